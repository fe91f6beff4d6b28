"""Settings: parsing, validation and values from files."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from lrs.bootstrap.secret_key import with_secret_key
from lrs.environment import convert, from_environment
from lrs.settings import Settings, SettingsError, settings_schema
from lrs.settings.server import is_loopback
from tests.support.settings_docs import variable

KEY = "k" * 32


# Values


def test_empty_environment_returns_defaults() -> None:
    assert from_environment({}) == Settings()
    assert from_environment({"PATH": "/bin", "LRSX": "1"}) == Settings()


def test_variables_are_converted_to_the_type_of_the_setting() -> None:
    settings = from_environment(
        {
            "LRS_HOST": "::",
            "LRS_PORT": "9000",
            "LRS_CREDENTIAL_CACHE_TTL_SECONDS": "0.5",
            "LRS_DATABASE_TIMEOUT_SECONDS": "5",
            "LRS_PUBLIC_URL": "https://lrs.example.com/here",
        }
    )
    assert (settings.host, settings.port) == ("::", 9000)
    assert settings.credential_cache_ttl_seconds == 0.5
    assert settings.database_timeout_seconds == 5.0
    assert settings.base_url == "https://lrs.example.com/here"


@pytest.mark.parametrize("word", ["true", "True", "yes", "on", "1"])
def test_boolean_text_is_true(word: str) -> None:
    assert from_environment({"LRS_DEMO_PARTNER": word}).demo_partner is True


@pytest.mark.parametrize("word", ["false", "FALSE", "no", "Off", "0"])
def test_boolean_text_is_false(word: str) -> None:
    assert from_environment({"LRS_DEMO_PARTNER": word}).demo_partner is False


def test_text_that_looks_like_another_type_stays_text() -> None:
    settings = from_environment({"LRS_DATA_DIRECTORY": "1234", "LRS_OAUTH_AUDIENCE": "null"})
    assert settings.data_directory == "1234"
    assert settings.oauth_audience == "null"


def test_boolean_word_in_a_text_setting_stays_text() -> None:
    assert from_environment({"LRS_DATA_DIRECTORY": "on"}).data_directory == "on"


def test_flag_overrides_variable() -> None:
    assert from_environment({"LRS_PORT": "1"}, {"port": "2"}).port == 2
    assert from_environment({"LRS_PORT": "1"}, {}).port == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("lrs.example", "http://lrs.example:8080"),
    ],
)
def test_base_url_of_listen_address_is_reachable(host: str, url: str) -> None:
    assert Settings(host=host).base_url == url


# Errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LRS_PORT", "http"),
        ("LRS_PORT", "65536"),
        ("LRS_PORT", "-1"),
        ("LRS_PORT", ""),
        ("LRS_WORKERS", "0"),
        ("LRS_WORKERS", "1.5"),
        ("LRS_DEMO_PARTNER", "perhaps"),
        ("LRS_LOG_LEVEL", "loud"),
        ("LRS_LOG_LEVEL", "INFO"),
        ("LRS_PUBLIC_URL", "lrs.example.com"),
        ("LRS_PUBLIC_URL", "https://lrs.example.com/"),
        ("LRS_PUBLIC_URL", "https://lrs.example.com?x=y"),
        ("LRS_CORS_ORIGINS", "https://a.b/"),
        ("LRS_CORS_ORIGINS", "https://a.b,"),
        ("LRS_CORS_ORIGINS", "https://a.b https://c.d"),
        ("LRS_CORS_ORIGINS", "a.b"),
        ("LRS_REPORTS_ADDRESS", "5433"),
        ("LRS_REPORTS_ADDRESS", "127.0.0.1:0"),
        ("LRS_REPORTS_ADDRESS", "127.0.0.1:65536"),
        ("LRS_TRUSTED_PROXIES", "proxy.internal"),
        ("LRS_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("LRS_TRUSTED_PROXIES", "127.0.0.1,*"),
        ("LRS_METRICS_ADDRESS", "9100"),
        ("LRS_METRICS_ADDRESS", "127.0.0.1:0"),
        ("LRS_METRICS_ADDRESS", "127.0.0.1:8080"),
        ("LRS_METRICS_ADDRESS", "0.0.0.0:9100"),
        ("LRS_METRICS_ADDRESS", "[::]:9100"),
        ("LRS_METRICS_TOKEN", "k" * 15),
        ("LRS_METRICS_TOKEN", "k" * 16 + " k"),
        ("LRS_MAX_PAGE_SIZE", "10001"),
        ("LRS_MAX_STATEMENT_BYTES", "1023"),
        ("LRS_DATABASE_TIMEOUT_SECONDS", "0"),
        ("LRS_CREDENTIAL_CACHE_TTL_SECONDS", "-1"),
        ("LRS_RATE_LIMIT", "often"),
        ("LRS_SECRET_KEY", "k" * 31),
        ("LRS_OAUTH_ISSUER", "https://login.example.com/"),
        ("LRS_OAUTH_JWKS", "https://login.example.com/keys"),
        ("LRS_NO_SUCH_SETTING", "1"),
        ("LRS_port", "1"),
        ("LRS_NO_SUCH_SETTING_FILE", "/dev/null"),
        ("LRS_SECRET_KEY_FILE", "/no/such/file"),
    ],
)
def test_invalid_variable_is_named_in_the_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environment({name: value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LRS_PORT", "http", "expected an integer from 0 to 65535, got 'http'"),
        (
            "LRS_MAX_STATEMENT_BYTES",
            "1023",
            "expected an integer of at least 1024, got '1023'",
        ),
        ("LRS_REQUEST_TIMEOUT_SECONDS", "0", "expected a number from 0.001 to 2000000, got '0'"),
        (
            "LRS_EXPORT_TIMEOUT_SECONDS",
            "inf",
            "expected a number from 0.001 to 2000000, got 'inf'",
        ),
        (
            "LRS_MAX_DATABASE_WRITE_CONNECTIONS",
            "9" * 20,
            "expected an integer from 1 to 1000, got '999",
        ),
        ("LRS_PUBLIC_URL", "http://[::1", "expected a URL such as"),
        ("LRS_ACCEPTED_SECRET_KEY", "short", "expected at least 32 characters"),
        ("LRS_DEMO_PARTNER", "perhaps", "expected true or false, got 'perhaps'"),
        ("LRS_LOG_LEVEL", "loud", "expected debug, info, warning or error, got 'loud'"),
        ("LRS_PUBLIC_URL", "https://a.b/", "without a trailing slash, got 'https://a.b/'"),
    ],
)
def test_error_says_the_expected_value(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        from_environment({name: value})


@pytest.mark.parametrize("name", settings_schema())
def test_setting_with_a_pattern_has_an_expectation(name: str) -> None:
    assert ("pattern" in settings_schema()[name]) == ("x-expected" in settings_schema()[name])


@pytest.mark.parametrize(
    "origins",
    ["", "*", "https://a.b", "https://a.b:8443, http://[::1]:5000", "tauri://localhost", "null"],
)
def test_valid_origins_are_accepted(origins: str) -> None:
    assert from_environment({"LRS_CORS_ORIGINS": origins}).cors_origins == origins


@pytest.mark.parametrize("proxies", ["", "*", "127.0.0.1, ::1", "10.0.0.0/8,fd00::/8"])
def test_valid_proxies_are_accepted(proxies: str) -> None:
    assert from_environment({"LRS_TRUSTED_PROXIES": proxies}).trusted_proxies == proxies


@pytest.mark.parametrize("name", ["LRS_SECRET_KEY", "LRS_METRICS_TOKEN"])
def test_error_does_not_contain_the_secret(name: str) -> None:
    secret = "not long"
    with pytest.raises(SettingsError) as refused:
        from_environment({name: secret})
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "listener"),
    [("127.0.0.1:9100", ("127.0.0.1", 9100)), ("[::1]:9100", ("::1", 9100)), ("", None)],
)
def test_metrics_address_is_split(address: str, listener: tuple[str, int] | None) -> None:
    assert from_environment({"LRS_METRICS_ADDRESS": address}).metrics_listener == listener


def test_metrics_address_for_other_hosts_requires_a_token() -> None:
    environ = {"LRS_METRICS_ADDRESS": "10.0.0.7:9100", "LRS_METRICS_TOKEN": "t" * 16}
    assert from_environment(environ).metrics_listener == ("10.0.0.7", 9100)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True),
        ("::ffff:127.0.0.1", True), ("", False), ("0.0.0.0", False), ("::", False),
        ("10.0.0.7", False), ("::ffff:10.0.0.7", False), ("lrs.example.com", False),
    ],
)  # fmt: skip
def test_loopback_addresses(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"LRS_HOST": "localhost"}, True),
        ({"LRS_HOST": "127.9.9.9"}, True),
        ({"LRS_HOST": "::1", "LRS_PUBLIC_URL": "http://[::1]:8080"}, True),
        ({"LRS_PUBLIC_URL": "http://localhost:8080/prefix"}, True),
        ({"LRS_HOST": "0.0.0.0"}, False),
        ({"LRS_HOST": "::"}, False),
        ({"LRS_HOST": "192.0.2.1"}, False),
        ({"LRS_HOST": "lrs.example.com"}, False),
        ({"LRS_PUBLIC_URL": "https://lrs.example.com"}, False),
        ({"LRS_HOST": "0.0.0.0", "LRS_PUBLIC_URL": "http://127.0.0.1:8080"}, False),
        ({"LRS_HOST": "0.0.0.0", "LRS_DEMO_PARTNER": "true"}, True),
        ({"LRS_PUBLIC_URL": "https://lrs.example.com", "LRS_DEMO_PARTNER": "on"}, True),
        ({"LRS_DEMO_PARTNER": "no"}, False),
    ],
    ids=str,
)
def test_demo_partner_is_created_by_default_on_loopback_only(
    environ: dict[str, str], expected: bool
) -> None:
    assert from_environment(environ).demo_partner is expected


def test_host_of_the_flag_decides_on_the_demo_partner() -> None:
    assert from_environment({}, {"host": "0.0.0.0"}).demo_partner is False


def test_secret_key_of_32_characters_is_accepted() -> None:
    assert from_environment({"LRS_SECRET_KEY": KEY}).secret_key == KEY


def test_issuer_with_its_jwks_is_accepted() -> None:
    both = {"LRS_OAUTH_ISSUER": "https://login.example.com/", "LRS_OAUTH_JWKS": "/keys.json"}
    assert from_environment(both).oauth_jwks == "/keys.json"


# Files


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("secret_key", KEY, f"\n{KEY}\n"), ("port", 9000, "9000\n"), ("demo_partner", False, "off")],
)
def test_value_is_read_from_a_file(tmp_path: Path, name: str, value: Any, text: str) -> None:
    path = tmp_path / "value"
    path.write_text(text)
    assert getattr(from_environment({f"{variable(name)}_FILE": str(path)}), name) == value


def test_variable_with_and_without_file_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    with pytest.raises(SettingsError, match="LRS_SECRET_KEY_FILE"):
        from_environment({"LRS_SECRET_KEY": KEY, "LRS_SECRET_KEY_FILE": str(path)})


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="LRS_SECRET_KEY_FILE"):
        from_environment({"LRS_SECRET_KEY_FILE": str(path)})


def test_invalid_value_from_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("http")
    with pytest.raises(SettingsError, match="LRS_PORT"):
        from_environment({"LRS_PORT_FILE": str(path)})


def test_secret_key_on_a_full_disk_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    settings = Settings(data_directory=str(tmp_path))
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail)
        with pytest.raises(SettingsError, match=r"cannot be written to .*No space left"):
            with_secret_key(settings)
    assert list(tmp_path.iterdir()) == []
    made = with_secret_key(settings).secret_key
    assert len(made) >= 32
    assert with_secret_key(settings).secret_key == made


@pytest.mark.parametrize(
    "roles", ["", "owner", "=owner", "a=admin", "a=owner,b", "a=viewer:x:y", "a=owner:"]
)
def test_malformed_roles_of_a_provider_are_refused(roles: str) -> None:
    values = {"oidc_issuer": "https://login.example.com", "oidc_client_id": "lrs"}
    with pytest.raises(SettingsError, match="LRS_OIDC_ROLES"):
        convert({**values, "oidc_roles": roles})
    convert({**values, "oidc_roles": "cn=admins=owner, b=viewer:acme"})
