"""`lrs keys`: signing keys, and the replacement of the secret key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from click.testing import Result

from lrs.auth import rekey, tools
from lrs.auth.secret_box import SecretBox
from lrs.store import migrations
from lrs.store import tools as stored_tools
from lrs.store.postgres import Database, open_admin_database
from lrs.store.tools import ToolSecrets
from tests.support.app import SECRET_KEY
from tests.support.cli import Lrs, refused
from tests.support.statements import new_id

NEW_KEY = "the new secret key of these tests, 2026"


@pytest.fixture(scope="module")
def own_url(database_url: str) -> Iterator[str]:
    """A database of this module, which is encrypted with other keys."""
    name = f"keys_{new_id()[:8]}"
    asyncio.run(_execute(database_url, f"create database {name}"))
    url = urlsplit(database_url)._replace(path=f"/{name}").geturl()
    asyncio.run(migrations.migrate(url))
    yield url
    asyncio.run(_execute(database_url, f"drop database {name} with (force)"))


@pytest.fixture
def url(own_url: str) -> str:
    """The database with two partners, without tools and keys."""
    asyncio.run(_execute(own_url, "truncate partner, tool, signing_key restart identity cascade"))
    insert = (
        "insert into partner (name, title, home_page) values ('acme', '', ''), ('other', '', '')"
    )
    asyncio.run(_execute(own_url, insert))
    return own_url


async def _execute(url: str, command: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(command)
    await connection.close()


@pytest.fixture
def keys(lrs: Lrs, url: str) -> Lrs:
    """`lrs keys` on this database."""
    return partial(lrs, "keys", LRS_DATABASE_URL=url)


def run(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def opened() -> Any:
        async with open_admin_database(url) as database:
            return await work(database)

    return asyncio.run(opened())


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    header, *lines = result.stdout.splitlines()
    assert header == "kid\tstate\tcreated_at"
    return [line.split("\t") for line in lines]


def test_signing_keys_are_rotated_and_retired(lrs: Lrs, url: str, keys: Lrs) -> None:
    assert rows(keys("list")) == []
    assert lrs("check", LRS_DATABASE_URL=url).exit_code == 0
    ((first, state, _),) = rows(keys("list"))
    assert state == "signs"
    sentence = refused(keys("retire", first))
    assert sentence == f"{first} is the only signing key: run `lrs keys rotate` first."
    added = keys("rotate").stdout
    second = added.split()[1].rstrip(":")
    assert added == f"added {second}: running servers sign with it within 50 seconds\n"
    assert {row[0]: row[1] for row in rows(keys("list"))} == {first: "signs", second: "verifies"}
    assert "2 signing keys" in lrs("check", LRS_DATABASE_URL=url).stdout
    assert keys("retire", first).stdout == f"retired {first}\n"
    states = {row[0]: row[1].split()[0] for row in rows(keys("list"))}
    assert states == {first: "retired", second: "signs"}
    assert refused(keys("retire", first)) == f"Signing key '{first}' not found, or retired."
    assert "not found" in refused(keys("retire", "\udcff"))


@pytest.mark.parametrize("command", ["rotate", "rekey"])
def test_missing_secret_key_is_not_generated(keys: Lrs, tmp_path: Path, command: str) -> None:
    data = ("--data-directory", str(tmp_path))
    sentence = refused(keys(command, *data, LRS_SECRET_KEY=""))
    assert sentence.startswith(f"The secret key cannot be read from {tmp_path / 'secret.key'}")
    assert not (tmp_path / "secret.key").exists()


def test_rotation_with_another_secret_key_is_refused(lrs: Lrs, url: str, keys: Lrs) -> None:
    assert lrs("check", LRS_DATABASE_URL=url).exit_code == 0
    assert "encrypted with another secret key" in refused(keys("rotate", LRS_SECRET_KEY=NEW_KEY))
    assert len(rows(keys("list"))) == 1


def test_tool_with_another_secret_key_is_refused(lrs: Lrs, url: str) -> None:
    assert lrs("tool", "add", "acme", "player", LRS_DATABASE_URL=url).exit_code == 0
    for command in (("add", "acme", "quiz"), ("rotate", "acme", "player")):
        result = lrs("tool", *command, LRS_DATABASE_URL=url, LRS_SECRET_KEY=NEW_KEY)
        assert "encrypted with another secret key" in refused(result)


# The secret key


async def _add_tools(database: Database) -> None:
    box = SecretBox(SECRET_KEY)
    for partner in (1, 2):
        for number in range(5):
            name = f"tool-{number}"
            await tools.add_tool(database, box, partner, name, secret=f"secret {partner} {number}")
    await stored_tools.rotate_tool(database, 1, "tool-0", box.encrypt(b"rotated"), None)


async def _secrets(database: Database) -> list[ToolSecrets]:
    return await stored_tools.list_secrets(database, (0, ""), 1000)


def test_rekey_encrypts_all_with_the_new_secret_key(lrs: Lrs, url: str, keys: Lrs) -> None:
    for _ in range(2):
        assert lrs("check", LRS_DATABASE_URL=url).exit_code == 0
        assert keys("rotate").exit_code == 0
    run(url, _add_tools)
    changed = {"LRS_SECRET_KEY": NEW_KEY, "LRS_DATABASE_URL": url}
    assert "another secret key" in refused(lrs("check", **changed))
    both = changed | {"LRS_ACCEPTED_SECRET_KEY": SECRET_KEY}
    assert lrs("check", **both).exit_code == 0
    assert lrs("keys", "rekey", **both).stdout == (
        "encrypted again: 13 of 13 (tools, pipes and signing keys)\n"
    )
    assert (
        lrs("keys", "rekey", **both).stdout
        == "encrypted again: 0 of 13 (tools, pipes and signing keys)\n"
    )
    assert lrs("check", **changed).exit_code == 0
    assert "another secret key" in refused(lrs("check", LRS_DATABASE_URL=url))
    box = SecretBox(NEW_KEY)
    for item in run(url, _secrets):
        expected = f"secret {item.partner_id} {item.name[-1]}".encode()
        if item.previous_secret_jwe is None:
            assert box.decrypt(item.secret_jwe) == expected
        else:
            assert box.decrypt(item.secret_jwe) == b"rotated"
            assert box.decrypt(item.previous_secret_jwe) == expected


def test_interrupted_rekey_is_resumed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(url, _add_tools)
    box = SecretBox(NEW_KEY, SECRET_KEY)
    replace_secrets = stored_tools.replace_secrets
    batches = 0

    async def interrupted(*arguments: Any) -> int:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise KeyboardInterrupt
        return await replace_secrets(*arguments)

    monkeypatch.setattr(stored_tools, "replace_secrets", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(url, lambda database: rekey.rekey(database, box, batch_size=2))
    for item in run(url, _secrets):  # every secret is readable in between
        box.decrypt(item.secret_jwe)
    result = run(url, lambda database: rekey.rekey(database, box, batch_size=2))
    assert (result.replaced, result.total, result.unreadable) == (6, 10, [])


def test_secret_that_is_rotated_meanwhile_is_encrypted_in_a_second_pass(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, _add_tools)
    box = SecretBox(NEW_KEY, SECRET_KEY)
    replace_secrets = stored_tools.replace_secrets
    until = datetime.now(UTC) + timedelta(hours=1)
    passes = 0

    async def delayed(database: Database, replacements: Any) -> int:
        nonlocal passes
        passes += 1
        if passes == 1:
            await tools.rotate_tool(database, box, 2, "tool-1", until)
        return await replace_secrets(database, replacements)

    monkeypatch.setattr(stored_tools, "replace_secrets", delayed)
    result = run(url, lambda database: rekey.rekey(database, box))
    assert (result.replaced, result.total, passes) == (10, 10, 2)
    secrets = {(item.partner_id, item.name): item for item in run(url, _secrets)}
    rotated = secrets[2, "tool-1"]
    assert SecretBox(NEW_KEY).decrypt(str(rotated.previous_secret_jwe)) == b"secret 2 1"
    assert len(SecretBox(NEW_KEY).decrypt(rotated.secret_jwe)) == 64


def test_unreadable_secret_is_reported_and_the_rest_encrypted(lrs: Lrs, url: str) -> None:
    run(url, _add_tools)
    foreign = SecretBox("x" * 32).encrypt(b"x")
    run(url, lambda database: stored_tools.rotate_tool(database, 1, "tool-3", foreign, None))
    result = lrs(
        *("keys", "rekey"),
        LRS_DATABASE_URL=url,
        LRS_SECRET_KEY=NEW_KEY,
        LRS_ACCEPTED_SECRET_KEY=SECRET_KEY,
    )
    assert result.exit_code == 1
    assert result.stdout == "encrypted again: 9 of 10 (tools, pipes and signing keys)\n"
    assert result.stderr == "encrypted with another key: tool tool-3 of partner acme\n"


def test_changes_of_keys_are_audited(lrs: Lrs, url: str, keys: Lrs) -> None:
    for _ in range(2):
        assert keys("rotate").exit_code == 0
    kid = rows(keys("list"))[0][0]
    assert keys("retire", kid).exit_code == 0
    result = lrs("audit", "--json", LRS_DATABASE_URL=url)
    actions = [entry["action"] for entry in json.loads(result.stdout)]
    assert actions[:3] == ["key.retire", "key.rotate", "key.rotate"]
