"""`lrs check` and `lrs migrate`."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import Result
from joserfc.jwk import RSAKey

from lrs.store import migrations
from tests.support.cli import Lrs, refused


def test_check_reports_every_component(lrs: Lrs) -> None:
    result = lrs("check")
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["settings", "ok:"],
        ["database", "ok:"],
        ["schema", "ok:"],
        ["keys", "ok:"],
    ]


@pytest.mark.slow
def test_check_reads_the_keys_of_an_external_issuer(lrs: Lrs, tmp_path: Path) -> None:
    def checked(position: Path | str) -> Result:
        issuer = "https://login.example.com/"
        return lrs("check", LRS_OAUTH_ISSUER=issuer, LRS_OAUTH_JWKS=str(position))

    keys = tmp_path / "keys.json"
    key = RSAKey.generate_key(2048, auto_kid=True)
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    assert checked(keys).stdout.endswith("issuer    ok: 1 key of https://login.example.com/\n")
    assert "No such file" in refused(checked(tmp_path / "nothing"))
    assert "connection attempts failed" in refused(checked("http://127.0.0.1:1/keys"))
    for content in ("<html>", "{}", '{"keys": []}'):
        keys.write_text(content)
        assert refused(checked(keys)) == (
            "LRS_OAUTH_JWKS: the keys cannot be read: not a JWK Set with keys."
        )


def test_migrate_of_a_current_schema_changes_nothing(lrs: Lrs) -> None:
    assert lrs("migrate").stdout == f"schema version {migrations.all_migrations()[-1].version}\n"


@pytest.fixture
def empty(database_url: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"empty_{time.time_ns()}"

    async def execute(command: str) -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(command)
        await connection.close()

    asyncio.run(execute(f"create database {name}"))
    yield re.sub(r"/[^/?]+(\?|$)", rf"/{name}\1", database_url, count=1)
    asyncio.run(execute(f"drop database {name}"))


def test_empty_schema_is_refused_until_migrated(lrs: Lrs, empty: str) -> None:
    for command in (("check",), ("partner", "list"), ("serve", "--port", "0")):
        result = lrs(*command, LRS_DATABASE_URL=empty)
        assert refused(result) == "The database has no schema yet: run `lrs migrate`."
    result = lrs("migrate", LRS_DATABASE_URL=empty)
    assert result.stdout.splitlines() == [
        *(f"applied {item.version:04} {item.name}" for item in migrations.all_migrations()),
        f"schema version {migrations.all_migrations()[-1].version}",
    ]
    assert lrs("check", LRS_DATABASE_URL=empty).exit_code == 0


def test_changed_secret_key_is_refused(lrs: Lrs) -> None:
    for command in (("check",), ("serve", "--port", "0")):
        sentence = refused(lrs(*command, LRS_SECRET_KEY="another secret key of 32 characters"))
        assert sentence == (
            "The signing keys in the database are encrypted with another secret key."
        )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://127.0.0.1:1/lrs", "The database does not answer: "),
        ("postgresql://nobody:hidden@127.0.0.1:1/lrs", "The database does not answer: "),
        ("postgresql:///lrs?host=/nowhere", "The database does not answer: "),
        ("mysql://localhost/lrs", "LRS_DATABASE_URL: "),
        ("postgresql://localhost:port/lrs", "LRS_DATABASE_URL: "),
        ("postgresql://nobody:hidden@localhost:port/lrs", "LRS_DATABASE_URL: "),
        ("nonsense", "LRS_DATABASE_URL: "),
    ],
)
def test_unreachable_database_is_reported_in_one_sentence(lrs: Lrs, url: str, words: str) -> None:
    for command in (("check",), ("migrate",), ("partner", "list"), ("serve", "--port", "0")):
        sentence = refused(lrs(*command, LRS_DATABASE_URL=url))
        assert words in sentence
        assert "hidden" not in sentence


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LRS_PORT", "x", "LRS_PORT: "),
        ("LRS_PORT", "70000", "LRS_PORT: "),
        ("LRS_WORKERS", "0", "LRS_WORKERS: "),
        ("LRS_LOG_LEVEL", "loud", "LRS_LOG_LEVEL: "),
        ("LRS_PUBLIC_URL", "lrs.example", "LRS_PUBLIC_URL: "),
        ("LRS_SECRET_KEY", "short", "LRS_SECRET_KEY: expected at least 32 characters"),
        ("LRS_RATE_LIMIT", "many", "LRS_RATE_LIMIT: "),
        ("LRS_RATE_LIMIT", "1/second;2/minute", "LRS_RATE_LIMIT: "),
        ("LRS_OAUTH_ISSUER", "https://x.example", "must be set together"),
        ("LRS_DATABASE_URL_FILE", "/no/such/file", "LRS_DATABASE_URL"),
        ("LRS_PROT", "8080", "LRS_PROT is not a setting"),
    ],
)
def test_invalid_setting_is_reported_by_name(
    lrs: Lrs, variable: str, value: str, words: str
) -> None:
    assert words in refused(lrs("check", **{variable: value}))


def test_test_variables_are_not_settings(lrs: Lrs) -> None:
    assert lrs("check", LRS_TEST_DATABASE_URL="x").exit_code == 0


def test_check_names_database_role_address_and_programs(lrs: Lrs, database_url: str) -> None:
    (line,) = [item for item in lrs("check").stdout.splitlines() if item.startswith("database")]
    assert re.fullmatch(
        r"database  ok: \d+\.\d+, database \S+, role \S+, (socket|host) \S+ port \d+, programs .+",
        line,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("partner", "list"),
        ("operator", "list"),
        ("tool", "add", "acme", "player"),
        ("keys", "list"),
        ("keys", "rotate"),
        ("people", "list", "acme"),
        ("content", "list", "acme"),
        ("reports", "lag"),
        ("reports", "rebuild"),
        ("refusals", "list", "acme"),
        ("audit",),
    ],
    ids=" ".join,
)
def test_command_creates_no_data_directory(
    lrs: Lrs, tmp_path: Path, command: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    result = lrs(*command, LRS_DATABASE_URL="", LRS_SECRET_KEY="", LRS_DATA_DIRECTORY=str(data))
    assert result.exit_code == 1
    assert str(data) in result.stderr
    assert not data.exists()


def test_check_of_a_given_database_creates_no_secret_key(lrs: Lrs, tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = lrs("check", LRS_SECRET_KEY="", LRS_DATA_DIRECTORY=str(data))
    assert result.exit_code in (0, 1)  # 1: other tests have created signing keys
    assert not data.exists()
