"""Settings: parsing, validation and values from files."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from lrs.bootstrap import with_secret_key
from lrs.environment import from_environment
from lrs.settings import Settings, SettingsError, documented
from tests.support.settings_docs import variable

KEY = "k" * 32


# What is read


def test_nothing_has_to_be_set() -> None:
    assert from_environment({}) == Settings()
    assert from_environment({"PATH": "/bin", "LRSX": "1"}) == Settings()


def test_values_are_read_as_what_they_are() -> None:
    found = from_environment(
        {
            "LRS_HOST": "::",
            "LRS_PORT": "9000",
            "LRS_CREDENTIAL_CACHE_SECONDS": "0.5",
            "LRS_DATABASE_TIMEOUT_SECONDS": "5",
            "LRS_PUBLIC_URL": "https://lrs.example.com/here",
        }
    )
    assert (found.host, found.port) == ("::", 9000)
    assert found.credential_cache_seconds == 0.5
    assert found.database_timeout_seconds == 5.0
    assert found.base_url == "https://lrs.example.com/here"


@pytest.mark.parametrize("word", ["true", "True", "yes", "on", "1"])
def test_words_for_true(word: str) -> None:
    assert from_environment({"LRS_DEMO": word}).demo is True


@pytest.mark.parametrize("word", ["false", "FALSE", "no", "Off", "0"])
def test_words_for_false(word: str) -> None:
    assert from_environment({"LRS_DEMO": word}).demo is False


def test_texts_that_look_like_other_things_stay_texts() -> None:
    found = from_environment({"LRS_DATA_DIRECTORY": "1234", "LRS_OAUTH_AUDIENCE": "null"})
    assert found.data_directory == "1234"
    assert found.oauth_audience == "null"


def test_words_for_booleans_are_texts_where_a_text_is_wanted() -> None:
    assert from_environment({"LRS_DATA_DIRECTORY": "on"}).data_directory == "on"


def test_a_flag_goes_before_the_variable() -> None:
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
def test_the_base_url_is_one_that_can_be_called(host: str, url: str) -> None:
    assert Settings(host=host).base_url == url


# What is refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LRS_PORT", "http"),
        ("LRS_PORT", "65536"),
        ("LRS_PORT", "-1"),
        ("LRS_PORT", ""),
        ("LRS_WORKERS", "0"),
        ("LRS_WORKERS", "1.5"),
        ("LRS_DEMO", "perhaps"),
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
        ("LRS_PAGE_SIZE", "10001"),
        ("LRS_STATEMENT_BYTES", "1023"),
        ("LRS_DATABASE_TIMEOUT_SECONDS", "0"),
        ("LRS_CREDENTIAL_CACHE_SECONDS", "-1"),
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
def test_what_is_refused_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environment({name: value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LRS_PORT", "http", "expected a whole number from 0 to 65535, found 'http'"),
        ("LRS_STATEMENT_BYTES", "1023", "expected a whole number of at least 1024, found '1023'"),
        ("LRS_REQUEST_SECONDS", "0", "expected a number from 0.001 to 2000000, found '0'"),
        ("LRS_EXPORT_SECONDS", "inf", "expected a number from 0.001 to 2000000, found 'inf'"),
        ("LRS_DATABASE_WRITERS", "9" * 20, "expected a whole number from 1 to 1000, found '999"),
        ("LRS_DEMO", "perhaps", "expected true or false, found 'perhaps'"),
        ("LRS_LOG_LEVEL", "loud", "expected debug, info, warning or error, found 'loud'"),
        ("LRS_PUBLIC_URL", "https://a.b/", "without a slash at the end, found 'https://a.b/'"),
    ],
)
def test_what_was_expected_is_told(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        from_environment({name: value})


@pytest.mark.parametrize("name", documented())
def test_a_pattern_has_its_words(name: str) -> None:
    assert ("pattern" in documented()[name]) == ("x-expected" in documented()[name])


@pytest.mark.parametrize(
    "origins",
    ["", "*", "https://a.b", "https://a.b:8443, http://[::1]:5000", "tauri://localhost", "null"],
)
def test_origins_are_as_browsers_send_them(origins: str) -> None:
    assert from_environment({"LRS_CORS_ORIGINS": origins}).cors_origins == origins


def test_a_refusal_does_not_tell_a_secret() -> None:
    secret = "not long enough"
    with pytest.raises(SettingsError) as refused:
        from_environment({"LRS_SECRET_KEY": secret})
    assert secret not in str(refused.value)


def test_a_secret_key_of_32_characters_is_enough() -> None:
    assert from_environment({"LRS_SECRET_KEY": KEY}).secret_key == KEY


def test_an_issuer_and_its_keys_go_together() -> None:
    both = {"LRS_OAUTH_ISSUER": "https://login.example.com/", "LRS_OAUTH_JWKS": "/keys.json"}
    assert from_environment(both).oauth_jwks == "/keys.json"


# Files


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("secret_key", KEY, f"\n{KEY}\n"), ("port", 9000, "9000\n"), ("demo", False, "off")],
)
def test_a_value_can_stand_in_a_file(tmp_path: Path, name: str, value: Any, text: str) -> None:
    path = tmp_path / "value"
    path.write_text(text)
    assert getattr(from_environment({f"{variable(name)}_FILE": str(path)}), name) == value


def test_both_forms_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    with pytest.raises(SettingsError, match="LRS_SECRET_KEY_FILE"):
        from_environment({"LRS_SECRET_KEY": KEY, "LRS_SECRET_KEY_FILE": str(path)})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="LRS_SECRET_KEY_FILE"):
        from_environment({"LRS_SECRET_KEY_FILE": str(path)})


def test_a_value_from_a_file_is_checked_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("http")
    with pytest.raises(SettingsError, match="LRS_PORT"):
        from_environment({"LRS_PORT_FILE": str(path)})


def test_a_key_that_cannot_be_written_leaves_nothing_behind(
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
