"""Migrations: repeatable, concurrent, without long locks; unknown schemas are refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
import sqlparse

from lrs.app import open_services
from lrs.errors import InternalError
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.migrations import UnknownSchema


@asynccontextmanager
async def empty_database(dsn: str) -> AsyncIterator[str]:
    """A second database on the same server, without a schema."""
    name = f"empty_{uuid4().hex}"
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"create database {name}")
    try:
        yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[str]:
    async with empty_database(database_url) as dsn:
        yield dsn


async def execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(sql)
    await connection.close()


async def value(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_second_migration_changes_nothing(empty: str) -> None:
    assert await migrations.migrate(empty) == migrations.all_migrations()
    assert await migrations.migrate(empty) == []


@pytest.mark.slow
async def test_concurrent_migrations_run_once(empty: str) -> None:
    applied = await asyncio.gather(*(migrations.migrate(empty) for _ in range(6)))
    versions = [migration.version for item in applied for migration in item]
    assert sorted(versions) == [item.version for item in migrations.all_migrations()]


async def test_migration_outside_a_transaction_runs_once(empty: str) -> None:
    await migrations.migrate(empty)
    await execute(empty, "create table thing (n integer); insert into thing values (1)")
    migrated = migrations.all_migrations()
    increment = migrations.Migration(
        migrated[-1].version + 1,
        "increment",
        "-- outside a transaction\nupdate thing set n = n + 1;\n",
    )
    later = [*migrated, increment]
    assert await migrations.migrate(empty, later) == [increment]
    assert await migrations.migrate(empty, later) == []
    assert await value(empty, "select n from thing") == 2


async def test_interrupted_migrations_continue_and_report_progress(empty: str) -> None:
    migrated = await migrations.migrate(empty)
    last = migrated[-1].version
    first = migrations.Migration(last + 1, "first", "create table thing (n integer);")
    second = migrations.Migration(
        last + 2, "second", "insert into thing values (1);\nselect pg_sleep(0.3);\n"
    )
    later = [*migrated, first, second]
    lines: list[str] = []
    half_done = asyncio.Event()

    def report(line: str) -> None:
        lines.append(line)
        if "statement 2 of 2" in line:
            half_done.set()

    task = asyncio.create_task(migrations.migrate(empty, later, report, report_interval=0.05))
    await half_done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lines[0] == f"migration 1 of 2, {last + 1:04} first: started"
    assert lines[1].startswith(f"migration 1 of 2, {last + 1:04} first: done after ")
    assert lines[-1].startswith(f"migration 2 of 2, {last + 2:04} second: failed after ")
    lines.clear()
    assert await migrations.migrate(empty, later, lines.append) == [second]
    assert lines[0] == f"migration 1 of 1, {last + 2:04} second: started"
    assert await value(empty, "select count(*) from thing") == 1


@pytest.mark.slow
async def test_invalid_index_is_built_again(empty: str) -> None:
    await migrations.migrate(empty)
    await execute(empty, "create table thing (n integer); insert into thing values (1), (1)")
    migrated = migrations.all_migrations()
    index = migrations.Migration(
        migrated[-1].version + 1,
        "index",
        "-- outside a transaction\n"
        "drop index concurrently if exists thing_by_n;\n"
        "create unique index concurrently thing_by_n on thing (n);\n"
        "select pg_sleep(0.4);\n",
    )
    later = [*migrated, index]
    with pytest.raises(InternalError):
        await migrations.migrate(empty, later)
    is_whole = "select indisvalid from pg_index where indrelid = 'thing'::regclass"
    assert await value(empty, is_whole) is False
    await execute(empty, "delete from thing where ctid = '(0,1)'")
    name = urlsplit(empty).path[1:]
    await execute(empty, f"alter database {name} set idle_in_transaction_session_timeout = '200ms'")
    applied = await asyncio.gather(*(migrations.migrate(empty, later) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], [index]]
    assert await value(empty, is_whole) is True


async def test_migration_numbers_have_no_gaps() -> None:
    assert [item.version for item in migrations.all_migrations()] == [
        number + 1 for number in range(len(migrations.all_migrations()))
    ]


INDEX = re.compile(
    r"create (unique )?index (?P<concurrently>concurrently )?(?P<name>\w+) on (?P<table>\w+)"
)
DROP = re.compile(r"drop index concurrently if exists (\w+);?$")
ADD_COLUMN = (
    r"add column (if not exists )?\w+ (double precision|[\w\[\]]+)"
    r"(( not null)? default ('\w*'|\w+|now\(\)))?"
)
HARMLESS = (
    r"create (unlogged )?table \w+ \(",
    r"create (or replace )?(view|function|aggregate) ",
    r"comment on ",
    r"insert into (?!statement|index_entry)",
    r"update content_item ",
    rf"alter table \w+ {ADD_COLUMN}(, {ADD_COLUMN})*;?$",
    r"alter table \w+ alter (column )?\w+ set (statistics \d+|storage \w+);?$",
    r"alter table \w+ add constraint .* not valid;?$",
    r"alter table \w+ drop constraint \w+;?$",
    r"revoke [\w, ]+ on \w+ from current_user;?$",
)
"""What neither rewrites a table nor holds a lock for as long as it has rows."""


@pytest.mark.parametrize("migration", migrations.all_migrations(), ids=lambda item: item.name)
def test_migration_takes_no_long_lock(migration: migrations.Migration) -> None:
    outside = migration.sql.startswith("-- outside a transaction")
    text = sqlparse.format(migration.sql, strip_comments=True).lower()
    created = set(re.findall(r"create table (\w+)", text))
    dropped = set()
    for item in filter(None, map(str.strip, sqlparse.split(text))):
        item = " ".join(item.split())
        if index := INDEX.match(item):
            if outside:
                assert index["concurrently"], item
                assert index["name"] in dropped, item
            else:
                assert index["table"] in created, item
        elif outside and (drop := DROP.match(item)):
            dropped.add(drop[1])
        else:
            assert any(re.match(pattern, item) for pattern in HARMLESS), item


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (None, "no schema yet: run `lrs migrate`"),
        (
            "delete from schema_migration where version > 1",
            "has version 1, this server needs",
        ),
        ("insert into schema_migration values (9999, 'later')", "has version 9999, this server"),
    ],
    ids=["none", "older", "newer"],
)
async def test_server_refuses_an_unknown_schema(
    empty: str, settings: Settings, change: str | None, sentence: str
) -> None:
    if change:
        await migrations.migrate(empty)
        await execute(empty, change)
    with pytest.raises(UnknownSchema) as refused:
        async with open_services(replace(settings, database_url=empty)):
            pass
    assert sentence in refused.value.detail
    assert refused.value.detail.endswith((".", "`."))


async def test_newer_schema_is_not_migrated(empty: str) -> None:
    await migrations.migrate(empty)
    await execute(empty, "insert into schema_migration values (9999, 'later')")
    with pytest.raises(UnknownSchema, match="run a newer server"):
        await migrations.migrate(empty)
