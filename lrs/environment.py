"""Read the settings from environment variables.

Each setting is the variable `LRS_` + its name in capitals. With the suffix `_FILE` the variable
names a file that holds the value, for secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lrs.settings import PREFIX, Settings, SettingsError, settings_schema
from lrs.settings.server import is_loopback

_TEST_PREFIX = "LRS_TEST_"  # variables of the test suite
_CLIENT_VARIABLES = ("LRS_URL", "LRS_PARTNER", "LRS_KEY", "LRS_SECRET")  # of lrs_client


def from_environment(
    environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from environment variables; flags override them. Raises SettingsError."""
    names = {f"{PREFIX}{name.upper()}": name for name in settings_schema()}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(_TEST_PREFIX):
            continue
        if variable in _CLIENT_VARIABLES:
            continue
        if variable in names:
            values[names[variable]] = text
        elif variable.removesuffix("_FILE") in names:
            name = names[variable.removesuffix("_FILE")]
            if f"{PREFIX}{name.upper()}" in environ:
                raise SettingsError(f"{variable} and the same variable without _FILE are both set.")
            values[name] = _read_file(variable, text)
        else:
            raise SettingsError(f"{variable} is not a setting of this server.")
    return convert({**values, **(flags or {})})


def convert(values: Mapping[str, Any]) -> Settings:
    """Settings from values by name; text is parsed. Raises SettingsError."""
    values = {name: _boolean_text(name, value) for name, value in values.items()}
    for name, value in values.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError:
            raise SettingsError(
                f"{PREFIX}{name.upper()}: expected {_expectation(settings_schema()[name])}, "
                f"got {str(value)[:80]!r}."
            ) from None
    settings = msgspec.convert(values, Settings, strict=False)
    _check_public_url(settings.public_url)
    if "demo_partner" not in values and settings.is_public:
        settings = replace(settings, demo_partner=False)
    for name in ("secret_key", "accepted_secret_key"):
        if 0 < len(getattr(settings, name)) < 32:
            raise SettingsError(f"{PREFIX}{name.upper()}: expected at least 32 characters.")
    if bool(settings.oauth_issuer) != bool(settings.oauth_jwks):
        raise SettingsError("LRS_OAUTH_ISSUER and LRS_OAUTH_JWKS must be set together.")
    if settings.oidc_issuer and not (settings.oidc_client_id and settings.oidc_roles):
        raise SettingsError("LRS_OIDC_ISSUER needs LRS_OIDC_CLIENT_ID and LRS_OIDC_ROLES.")
    _check_oidc_roles(settings.oidc_roles)
    _check_port("LRS_REPORTS_ADDRESS", settings.reports_address)
    _check_metrics(settings)
    _check_trusted_proxies(settings.trusted_proxies)
    _check_pipe_networks(settings.pipe_networks)
    _check_database_url(settings.database_url)
    return settings


def _expectation(schema: Mapping[str, Any]) -> str:
    """The valid values of a setting, in words."""
    if "x-expected" in schema:
        return str(schema["x-expected"])
    kinds = {"boolean": "true or false", "integer": "an integer", "number": "a number"}
    kind = kinds.get(schema["type"], "text")
    if "maximum" in schema:
        return f"{kind} from {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"{kind} of at least {schema['minimum']:g}"
    return kind


def _check_public_url(url: str) -> None:
    """Check the host in brackets, which the pattern of the setting does not."""
    try:
        urlsplit(url)
    except ValueError:
        raise SettingsError(
            f"LRS_PUBLIC_URL: expected a URL such as https://lrs.example.com, got {url!r}."
        ) from None


def _check_database_url(url: str) -> None:
    """Check what asyncpg reports without a reason; it explains all other errors itself."""
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("LRS_DATABASE_URL: expected a URL that starts with postgresql://.")
    hosts = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    for host in hosts.split(","):
        if not re.fullmatch(r"(\[[^]]*\]|[^:]*)(:[0-9]*)?", host):
            raise SettingsError(f"LRS_DATABASE_URL: expected a host and a port, got {host!r}.")


def _check_oidc_roles(text: str) -> None:
    for item in filter(None, map(str.strip, text.split(","))):
        if not re.fullmatch(r".*[^\s=].*=\s*(viewer|operator|owner)(:[^=:]+)?", item):
            raise SettingsError(
                f"LRS_OIDC_ROLES: expected VALUE=ROLE or VALUE=ROLE:PARTNER, got {item!r}."
            )


def _check_port(variable: str, address: str) -> None:
    if address and not 1 <= int(address.rpartition(":")[2]) <= 65535:
        raise SettingsError(f"{variable}: expected a port from 1 to 65535, got {address!r}.")


def _check_metrics(settings: Settings) -> None:
    if settings.metrics_token and not re.fullmatch("[!-~]{16,}", settings.metrics_token):
        raise SettingsError(
            "LRS_METRICS_TOKEN: expected at least 16 ASCII characters without spaces."
        )
    _check_port("LRS_METRICS_ADDRESS", settings.metrics_address)
    if (listener := settings.metrics_listener) is None:
        return
    host, port = listener
    if port == settings.port:
        raise SettingsError("LRS_METRICS_ADDRESS: expected another port than LRS_PORT.")
    if not settings.metrics_token and not is_loopback(host):
        raise SettingsError(
            f"LRS_METRICS_TOKEN must be set for LRS_METRICS_ADDRESS {settings.metrics_address}: "
            "without it, only direct clients on the same host read metrics."
        )


def _check_trusted_proxies(text: str) -> None:
    """uvicorn ignores what it cannot parse, such as 10.0.0.1/8 with bits beyond the prefix."""
    for item in (item.strip() for item in text.split(",")):
        try:
            if item and text != "*":
                ip_network(item)
        except ValueError:
            raise SettingsError(
                "LRS_TRUSTED_PROXIES: expected IP addresses and networks such as 10.0.0.0/8, "
                f"got {item!r}."
            ) from None


def _check_pipe_networks(text: str) -> None:
    for item in (item.strip() for item in text.split(",")):
        try:
            if item:
                ip_network(item)
        except ValueError as error:
            raise SettingsError(
                "LRS_PIPE_NETWORKS: expected IP addresses and networks such as 10.0.0.0/8: "
                f"{error}."
            ) from None


def _boolean_text(name: str, value: Any) -> Any:
    """yes, on, no and off, which msgspec does not accept, as true and false."""
    if not isinstance(value, str) or settings_schema()[name]["type"] != "boolean":
        return value
    words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    return words.get(value.lower(), value)


def _read_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error}.") from None
