"""`lrs credentials` and `lrs token`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from lrs.auth import credential_secrets, scopes
from lrs.cli import main
from lrs.store import server_properties
from lrs.store.postgres import open_admin_database
from tests.support.cli import Lrs, new_name, printed_fields, refused
from tests.support.statements import statement


async def row(database_url: str, key: str) -> Any:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchrow("select * from credential where key = $1", key)
    finally:
        await connection.close()


def fetch(database_url: str, key: str) -> Any:
    return asyncio.run(row(database_url, key))


def test_secret_is_printed_once_and_stored_as_a_hash(
    lrs: Lrs, name: str, database_url: str
) -> None:
    result = lrs("credential", "add", name, "--label", "Their server")
    reported = printed_fields(result)
    assert set(reported) == {"key", "secret"}
    assert result.stderr == "Store the secret now: it is not shown again.\n"
    remaining = fetch(database_url, reported["key"])
    assert remaining["secret_hash"] == credential_secrets.hash_secret(reported["secret"])
    assert reported["secret"] not in repr(dict(remaining))
    listed = lrs("credential", "list", name).stdout
    header, line = listed.splitlines()
    assert header.startswith("partner\tkey\tkind\tscopes\tstate\tlabel\tcreated_at\t")
    assert line.startswith(f"{name}\t{reported['key']}\tclient\tall\tactive\tTheir server\t20")
    (item,) = json.loads(lrs("credential", "list", name, "--json").stdout)
    assert (item["key"], item["last_used_at"]) == (reported["key"], None)
    assert reported["secret"] not in listed


def test_bearer_credential_prints_the_static_token(lrs: Lrs, name: str, server: str) -> None:
    reported = printed_fields(lrs("credential", "add", name, "--kind", "bearer"))
    assert set(reported) == {"key", "token"}
    response = httpx.get(
        f"{server}/v1/partners/{name}/statements",
        headers={"Authorization": f"Bearer {reported['token']}"},
    )
    assert response.status_code == 200


def test_credential_is_stored_with_scopes_and_expiry(
    lrs: Lrs, name: str, database_url: str
) -> None:
    reported = printed_fields(
        lrs(
            *("credential", "add", name, "--expires-in-days", "30"),
            *("--scope", "track/write", "--scope", "statements/read"),
        )
    )
    remaining = fetch(database_url, reported["key"])
    assert remaining["scopes"] == ["statements/read", "track/write"]
    assert 29 <= (remaining["expires_at"] - remaining["created_at"]).days <= 30
    assert "\tuntil 20" in lrs("credential", "list", name).stdout


def test_chosen_key_is_unique_over_all_partners(lrs: Lrs, name: str) -> None:
    key = f"{name}.client@issuer"
    assert printed_fields(lrs("credential", "add", name, "--key", key))["key"] == key
    other = new_name()
    lrs("partner", "add", other)
    sentence = refused(lrs("credential", "add", other, "--key", key))
    assert sentence == f"A credential with the key {key!r} already exists."
    assert "not a valid key" in refused(lrs("credential", "add", name, "--key", "a:b"))
    dotted = ("credential", "add", name, "--kind", "bearer", "--key", "a.b")
    assert "must not contain a dot" in refused(lrs(*dotted))


def test_unknown_scope_is_a_usage_error(lrs: Lrs, name: str) -> None:
    result = lrs("credential", "add", name, "--scope", "everything")
    assert result.exit_code == 2
    assert all(scope in result.stderr for scope in scopes.SUPPORTED)


def test_rotated_secret_overlaps_with_the_old_one(lrs: Lrs, name: str, server: str) -> None:
    old = printed_fields(lrs("credential", "add", name))
    new = printed_fields(lrs("credential", "rotate", old["key"]))
    assert (new["key"] == old["key"], new["secret"] == old["secret"]) == (True, False)
    for reported in (old, new):
        assert lrs(
            "token", "--url", server, "--key", reported["key"], SECRET=reported["secret"]
        ).stdout
    last = printed_fields(lrs("credential", "rotate", old["key"], "--overlap-hours", "0"))
    for reported, code in ((old, 1), (new, 1), (last, 0)):
        result = lrs("token", "--url", server, "--key", reported["key"], SECRET=reported["secret"])
        assert result.exit_code == code


def test_revoked_credential_is_listed_as_revoked(lrs: Lrs, name: str) -> None:
    reported = printed_fields(lrs("credential", "add", name))
    assert lrs("credential", "revoke", reported["key"]).stdout == f"revoked {reported['key']}\n"
    assert "\trevoked\t" in lrs("credential", "list", name).stdout
    for command in ("revoke", "rotate"):
        sentence = refused(lrs("credential", command, reported["key"]))
        assert sentence.startswith(f"Credential '{reported['key']}' not found")


def test_unknown_partner_or_credential_is_reported(lrs: Lrs) -> None:
    for command in (("credential", "add"), ("credential", "list"), ("tool", "list")):
        assert refused(lrs(*command, "nobody")) == "Partner 'nobody' not found."
    for command in ("revoke", "rotate"):
        assert refused(lrs("credential", command, "x")).startswith("Credential 'x' not found")


def test_nul_character_in_an_argument_is_refused(lrs: Lrs, name: str) -> None:
    for arguments in (
        ("partner", "add", new_name(), "--title", "\udcff"),
        ("credential", "add", name, "--label", "\udcff"),
        ("credential", "add", "\udcff"),
    ):
        assert "cannot be stored" in refused(lrs(*arguments))


# Tokens


def test_token_is_requested_from_the_recorded_url(
    lrs: Lrs, name: str, server: str, database_url: str
) -> None:
    async def record_url() -> None:
        async with open_admin_database(database_url) as database:
            await server_properties.record_base_url(database, server)

    asyncio.run(record_url())
    reported = printed_fields(lrs("credential", "add", name))
    result = lrs("token", "--key", reported["key"], SECRET=reported["secret"], LRS_PUBLIC_URL="")
    assert result.exit_code == 0, result.output
    assert result.stdout.count(".") == 2


def test_token_is_requested_from_a_running_server(lrs: Lrs, name: str, server: str) -> None:
    reported = printed_fields(lrs("credential", "add", name))
    result = lrs(
        *("token", "--url", f"{server}/", "--key", reported["key"]), SECRET=reported["secret"]
    )
    assert result.exit_code == 0, result.output
    response = httpx.post(
        f"{server}/v1/partners/{name}/statements",
        json=statement(),
        headers={"Authorization": f"Bearer {result.stdout.strip()}"},
    )
    assert response.status_code == 200
    narrow = lrs(
        *("token", "--url", server, "--key", reported["key"], "--scope", "track/write"),
        SECRET=reported["secret"],
    )
    response = httpx.get(
        f"{server}/v1/partners/{name}/statements",
        headers={"Authorization": f"Bearer {narrow.stdout.strip()}"},
    )
    assert response.status_code == 403


def test_failed_token_request_is_reported(lrs: Lrs, server: str) -> None:
    for url, words in (
        (server, "returned status 401: "),
        (f"{server}/docs", "returned status 404: No resource at"),
        ("http://127.0.0.1:1", "Token request to http://127.0.0.1:1"),
        ("nonsense", "Token request to nonsense"),
        ("http://[", "Token request to"),
    ):
        assert words in refused(lrs("token", "--url", url, "--key", "x", SECRET="y"))


def test_secret_is_read_from_a_file_or_standard_input_or_prompt(
    lrs: Lrs, name: str, server: str, tmp_path: Path
) -> None:
    reported = printed_fields(lrs("credential", "add", name))
    path = tmp_path / "secret"
    path.write_text(reported["secret"] + "\n")
    arguments = ("token", "--url", server, "--key", reported["key"])
    assert lrs(*arguments, "--secret-file", str(path), SECRET="wrong").exit_code == 0
    environment = {"SECRET": None, "LRS_DATABASE_URL": None}
    for more in (("--secret-file", "-"), ()):
        result = CliRunner().invoke(
            main.main, (*arguments, *more), input=reported["secret"] + "\n", env=environment
        )
        assert result.exit_code == 0, result.output
        assert reported["secret"] not in result.output
    path.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in refused(lrs(*arguments, "--secret-file", str(path)))
    assert lrs(*arguments, "--secret-file", str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [("token", "--key", "x", "--secret", "y"), ("tool", "add", "acme", "quiz", "--secret", "y")],
    ids=lambda arguments: arguments[0],
)
def test_secret_as_an_argument_is_refused(lrs: Lrs, arguments: tuple[str, ...]) -> None:
    result = lrs(*arguments)
    assert result.exit_code == 2
    assert "--secret-file" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://lrs:hidden@127.0.0.1:1/lrs",
        "postgresql://lrs:hidden@127.0.0.1:1,127.0.0.1:2/lrs",
        "postgresql:///lrs?host=/nowhere&password=hidden",
        "postgresql:///lrs?host=/nowhere&sslpassword=hidden",
    ],
)
def test_database_password_as_an_argument_is_refused(lrs: Lrs, url: str) -> None:
    for command in (("partner", "list"), ("serve",), ("migrate",)):
        sentence = refused(lrs(*command, "--database-url", url))
        assert sentence.startswith("--database-url: other users")
        assert "hidden" not in sentence


@pytest.mark.parametrize("url", ["postgresql://lrs@127.0.0.1:1/lrs", "postgresql://[::1/lrs"])
def test_database_url_without_a_password_is_an_option(lrs: Lrs, url: str) -> None:
    sentence = refused(lrs("partner", "list", "--database-url", url))
    assert sentence.startswith(("The database does not answer: ", "LRS_DATABASE_URL: "))


def test_limits_of_a_credential_are_listed(lrs: Lrs, name: str) -> None:
    key = printed_fields(lrs("credential", "add", name))["key"]
    result = lrs("credential", "set", key, "--rate-limit", "5/second")
    assert result.stdout == f"credential {key}\trate_limit=5/second\n"
    _, line = lrs("credential", "list", name).stdout.splitlines()
    assert line.endswith("\trate_limit=5/second")


def test_changed_credential_is_listed_with_the_changes(lrs: Lrs, name: str) -> None:
    key = printed_fields(lrs("credential", "add", name))["key"]
    changes = ("--label", "New", "--scope", "state", "--expires-in-days", "3")
    assert lrs("credential", "set", key, *changes).exit_code == 0
    (item,) = json.loads(lrs("credential", "list", name, "--json").stdout)
    assert (item["label"], item["scopes"]) == ("New", ["state"])
    assert item["expires_at"]
    assert lrs("credential", "set", key, "--never-expires").exit_code == 0
    (item,) = json.loads(lrs("credential", "list", name, "--json").stdout)
    assert item["expires_at"] is None
    assert lrs("credential", "set", key).exit_code == 2
