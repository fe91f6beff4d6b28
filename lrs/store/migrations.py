"""The schema's versions: `sql/migrations/NNNN_name.sql`, applied in order, each in one transaction.

A migration takes no long lock: it only adds. What fills a new column, or indexes a table that has
rows, stands in a file whose first line is `-- outside a transaction`. It is done once, but from its
beginning if it was interrupted: `where … is null`, or `drop index concurrently if exists` and then
`create index concurrently`, as what is there may be half an index.
Two are exceptions: `0008_places` writes all statements anew, `0010_groups` changes some of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import sqlparse

from lrs import resources
from lrs.errors import Unavailable
from lrs.store.postgres import Connection, translate_errors

_CREATE = """
create table if not exists schema_migration (
    version    integer primary key,
    name       text not null,
    applied_at timestamptz not null default now()
)
"""

_OUTSIDE = "-- outside a transaction"
_PAUSE_SECONDS = 0.1


class UnknownSchema(Unavailable):
    """The database's schema is not the one that this version of the server knows."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str


def known() -> list[Migration]:
    """Every migration of this version of the server, in order."""
    return [
        Migration(int(stem[:4]), stem[5:], sql)
        for stem, sql in sorted(resources.migrations().items())
    ]


async def migrate(dsn: str) -> list[Migration]:
    """Brings the schema up to date, and returns what had to be applied.

    Servers that start together wait for each other here. Raises UnknownSchema if the database is
    newer than this version of the server.
    """
    with translate_errors():
        async with _connected(dsn) as connection:
            await _create(connection)
            applied = [each for each in known() if await _apply(connection, each, dsn)]
            await verify(connection)
            return applied


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "lrs migrate"})
    try:
        yield connection
    finally:
        await connection.close()


async def _create(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute(_CREATE)
    except (
        asyncpg.UniqueViolationError,
        asyncpg.DuplicateObjectError,
        asyncpg.DuplicateTableError,
    ):
        return  # "if not exists" is not atomic: another server has just made it


async def _apply(connection: asyncpg.Connection, migration: Migration, dsn: str) -> bool:
    """Applies the migration; False if it already was."""
    async with _alone(connection):
        if not await _record(connection, migration):
            return False
        if migration.sql.startswith(_OUTSIDE):
            # The transaction keeps others waiting, for as long as it takes.
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            async with _connected(dsn) as beside:
                await _run(beside, migration)
        else:
            await _run(connection, migration)
    return True


@asynccontextmanager
async def _alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction that one server has at a time.

    Others wait between transactions: what builds an index waits for the end of those under way.
    """
    while True:
        async with connection.transaction():
            if await _locked(connection):
                yield
                return
        await asyncio.sleep(_PAUSE_SECONDS)


async def _locked(connection: asyncpg.Connection) -> bool:
    try:
        async with connection.transaction():
            await connection.execute("lock table schema_migration in exclusive mode nowait")
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def _run(connection: asyncpg.Connection, migration: Migration) -> None:
    for statement in sqlparse.split(migration.sql):
        await connection.execute(statement)


async def _record(connection: asyncpg.Connection, migration: Migration) -> bool:
    """Notes the migration as applied; False if it already was."""
    status = await connection.execute(
        "insert into schema_migration (version, name) values ($1, $2) on conflict do nothing",
        migration.version,
        migration.name,
    )
    return bool(status == "INSERT 0 1")


async def verify(connection: Connection) -> int:
    """The schema's version, if it is the one this server knows; else raises UnknownSchema."""
    wanted = known()[-1].version
    if await connection.fetchval("select to_regclass('schema_migration')") is None:
        raise UnknownSchema("The database has no schema yet: run `lrs migrate`.")
    found = await connection.fetchval("select coalesce(max(version), 0) from schema_migration")
    if found < wanted:
        raise UnknownSchema(
            f"The database's schema has version {found}, this server needs {wanted}: "
            "run `lrs migrate`."
        )
    if found > wanted:
        raise UnknownSchema(
            f"The database's schema has version {found}, this server only knows {wanted}: "
            "run a newer server."
        )
    return int(found)
