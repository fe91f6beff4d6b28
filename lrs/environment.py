"""The settings of a server as its environment says them.

Each setting is the variable `LRS_` + its name in capitals. A secret may stand in a file instead,
named by the same variable with `_FILE` behind it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import limits
import msgspec

from lrs.settings import PREFIX, Settings, SettingsError, documented

_TESTS = "LRS_TEST_"  # for the tests of this server, not for it
_CLIENT = ("LRS_URL", "LRS_PARTNER", "LRS_KEY", "LRS_SECRET")  # for lrs_client


def from_environment(
    environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> Settings:
    """The settings that the environment holds, with flags on top. Raises SettingsError."""
    names = {f"{PREFIX}{name.upper()}": name for name in Settings.__struct_fields__}
    given: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(_TESTS) or variable in _CLIENT:
            continue
        if variable in names:
            given[names[variable]] = text
        elif variable.removesuffix("_FILE") in names:
            name = names[variable.removesuffix("_FILE")]
            if f"{PREFIX}{name.upper()}" in environ:
                raise SettingsError(f"{variable} and its form without _FILE are both set.")
            given[name] = _file(variable, text)
        else:
            raise SettingsError(f"{variable} is not a setting of this server.")
    return convert({**given, **(flags or {})})


def convert(given: Mapping[str, Any]) -> Settings:
    """Settings from names and texts. Raises SettingsError."""
    given = {name: _worded(name, value) for name, value in given.items()}
    for name, value in given.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError:
            raise SettingsError(
                f"{PREFIX}{name.upper()}: expected {_wanted(documented()[name])}, "
                f"found {str(value)[:80]!r}."
            ) from None
    settings = msgspec.convert(given, Settings, strict=False)
    if settings.secret_key and len(settings.secret_key) < 32:
        raise SettingsError("LRS_SECRET_KEY: at least 32 characters are needed.")
    if bool(settings.oauth_issuer) != bool(settings.oauth_jwks):
        raise SettingsError("LRS_OAUTH_ISSUER and LRS_OAUTH_JWKS must be set together.")
    _require_port(settings.reports_address)
    _require_rate(settings.rate_limit)
    _require_dsn(settings.database_url)
    return settings


def _wanted(schema: Mapping[str, Any]) -> str:
    """What a setting takes, in words."""
    if "x-expected" in schema:
        return str(schema["x-expected"])
    kinds = {"boolean": "true or false", "integer": "a whole number", "number": "a number"}
    wanted = kinds.get(schema["type"], "a text")
    if "maximum" in schema:
        return f"{wanted} from {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"{wanted} of at least {schema['minimum']:g}"
    return wanted


def _require_dsn(url: str) -> None:
    """The rest is for the driver to say; it fails on these without saying why."""
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("LRS_DATABASE_URL: it must begin with postgresql://.")
    hosts = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    for host in hosts.split(","):
        if not re.fullmatch(r"(\[[^]]*\]|[^:]*)(:[0-9]*)?", host):
            raise SettingsError(f"LRS_DATABASE_URL: {host!r} is not a host and a port.")


def _require_port(address: str) -> None:
    if address and not 1 <= int(address.rpartition(":")[2]) <= 65535:
        raise SettingsError(f"LRS_REPORTS_ADDRESS: expected a port from 1 to 65535 in {address!r}.")


def _require_rate(rate: str) -> None:
    try:
        if rate and len(limits.parse_many(rate)) != 1:
            raise ValueError(rate)
    except ValueError:
        raise SettingsError(
            f"LRS_RATE_LIMIT: {rate!r} is not one rate such as 100/second."
        ) from None


def _worded(name: str, value: Any) -> Any:
    """More words for true and false than msgspec knows."""
    if not isinstance(value, str) or documented()[name]["type"] != "boolean":
        return value
    words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    return words.get(value.lower(), value)


def _file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error}.") from None
