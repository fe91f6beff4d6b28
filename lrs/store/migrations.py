"""Schema migrations: `sql/migrations/NNNN_name.sql`, applied in order, each in one transaction.

A migration takes no long lock: it only adds. A backfill, or an index on a table with rows, stands
in a file whose first line is `-- outside a transaction`. It runs once, but starts over after a
crash, so each of its statements can be repeated: `where … is null`, or `drop index concurrently if
exists` before `create index concurrently`, which may have left an invalid index.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from lrs import resources
from lrs.errors import Unavailable
from lrs.store.keepalive import KeepaliveConnection, session_settings
from lrs.store.migration_locks import blocking_readers_ended
from lrs.store.postgres import Connection, translate_errors

_CREATE = resources.query("create_schema_migration")
_LOCK = resources.query("lock_schema_migration")
_INSERT = resources.query("insert_schema_migration")
_EXISTS = resources.query("has_schema_migration")
_VERSION = resources.query("get_schema_version")
_VERSIONS = resources.query("list_schema_versions")

_OUTSIDE_TRANSACTION = "-- outside a transaction"
_POLL_SECONDS = 0.1
_CLOSE_TIMEOUT_SECONDS = 1.0
_REPORT_INTERVAL_SECONDS = 10.0

_log = logging.getLogger("lrs.migrations")

Report = Callable[[str], None]

# Requests wait behind a migration that waits for a lock.
_LOCK_TIMEOUT_SECONDS = 2


class UnknownSchema(Unavailable):
    """The schema of the database has another version than this server needs."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str


def all_migrations() -> list[Migration]:
    """The migrations of this server, in order."""
    return [
        Migration(int(stem[:4]), stem[5:], sql)
        for stem, sql in sorted(resources.migrations().items())
    ]


async def migrate(
    dsn: str,
    migrations: Sequence[Migration] | None = None,
    report: Report = _log.info,
    *,
    report_interval: float = _REPORT_INTERVAL_SECONDS,
) -> list[Migration]:
    """Applies the migrations that are not applied yet, and returns them; by default, of all.

    Each is committed by itself: after an interruption the next call continues with the first one
    that is missing. `report` gets a line at the start and the end of each migration, and every
    `report_interval` seconds between; those of a new database are logged at level DEBUG. Servers
    that start together wait for each other. Raises UnknownSchema if the database has a later
    version than the last migration.
    """
    migrations = all_migrations() if migrations is None else migrations
    with translate_errors():
        async with _connect(dsn) as connection:
            await _create_table(connection)
            recorded = {row["version"] for row in await connection.fetch(_VERSIONS)}
            is_new = not recorded
            if is_new:  # takes less than a second
                report = _log.debug
            pending = [item for item in migrations if item.version not in recorded]
            applied = []
            for number, item in enumerate(pending, start=1):
                label = f"migration {number} of {len(pending)}, {item.version:04} {item.name}"
                async with _Progress(label, report, report_interval) as progress:
                    if await _apply(connection, item, dsn, progress, is_new=is_new):
                        applied.append(item)
            await verify(connection, migrations[-1].version)
            return applied


class _Progress:
    """Reports how far a migration is, and how long it has been running."""

    def __init__(self, label: str, report: Report, interval: float) -> None:
        self._label = label
        self._report = report
        self._interval = interval
        self.step = "waiting for another server that migrates"

    async def __aenter__(self) -> _Progress:
        self._began = time.monotonic()
        self._report(f"{self._label}: started")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        self._task.cancel()
        self._report(
            f"{self._label}: {'failed' if error else 'done'} after {self._seconds():.1f} s"
        )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._report(f"{self._label}: {self.step}, {self._seconds():.0f} s")

    def _seconds(self) -> float:
        return time.monotonic() - self._began


async def verify(connection: Connection, version: int | None = None) -> int:
    """The version of the schema. Raises UnknownSchema unless it is `version`, or the last."""
    needed = all_migrations()[-1].version if version is None else version
    current = await applied_version(connection)
    if current < needed:
        raise UnknownSchema(
            f"The database schema has version {current}, this server needs {needed}: "
            "run `lrs migrate`."
        )
    if current > needed:
        raise UnknownSchema(
            f"The database schema has version {current}, this server needs {needed}: "
            "run a newer server."
        )
    return current


async def applied_version(connection: Connection) -> int:
    """The version of the schema, whatever this server needs. Raises UnknownSchema without one."""
    if not await connection.fetchval(_EXISTS):
        raise UnknownSchema("The database has no schema yet: run `lrs migrate`.")
    return int(await connection.fetchval(_VERSION))


@asynccontextmanager
async def _connect(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        dsn,
        connection_class=KeepaliveConnection,
        server_settings=session_settings("lrs migrate"),
    )
    try:
        yield connection
    finally:
        with suppress(TimeoutError):  # a database that hangs
            await connection.close(timeout=_CLOSE_TIMEOUT_SECONDS)


async def _create_table(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute(_CREATE)
    except (
        asyncpg.UniqueViolationError,
        asyncpg.DuplicateObjectError,
        asyncpg.DuplicateTableError,
    ):
        return  # another server has just created it


async def _apply(
    connection: asyncpg.Connection,
    migration: Migration,
    dsn: str,
    progress: _Progress,
    *,
    is_new: bool,
) -> bool:
    """Applies the migration; False if it is applied already. Retries while a lock is not free."""
    while True:
        try:
            return await _apply_once(connection, migration, dsn, progress, is_new=is_new)
        except asyncpg.LockNotAvailableError:
            _log.warning("migration %s: a table is locked; retrying", migration.name)
            await asyncio.sleep(_LOCK_TIMEOUT_SECONDS)


async def _apply_once(
    connection: asyncpg.Connection,
    migration: Migration,
    dsn: str,
    progress: _Progress,
    *,
    is_new: bool,
) -> bool:
    async with _exclusive_transaction(connection):
        status = await connection.execute(_INSERT, migration.version, migration.name)
        if status != "INSERT 0 1":
            return False
        if migration.sql.startswith(_OUTSIDE_TRANSACTION):
            # The transaction keeps the lock, idle, for as long as the migration takes.
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            async with _connect(dsn) as other:
                await _execute(other, migration, dsn, progress)
        else:
            await connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
            if is_new:  # no readers, and no progress to report
                await connection.execute(migration.sql)
            else:
                await _execute(connection, migration, dsn, progress)
    return True


@asynccontextmanager
async def _exclusive_transaction(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction with the lock; waits for other servers outside of transactions."""
    while True:
        async with connection.transaction():
            if await _try_lock(connection):
                yield
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _try_lock(connection: asyncpg.Connection) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(_LOCK)
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def _execute(
    connection: asyncpg.Connection, migration: Migration, dsn: str, progress: _Progress
) -> None:
    import sqlparse  # takes longer than the other imports, and only migrations need it

    pid = connection.get_server_pid()
    statements = sqlparse.split(migration.sql)
    async with _connect(dsn) as other, blocking_readers_ended(other, pid):
        for number, statement in enumerate(statements, start=1):
            progress.step = f"statement {number} of {len(statements)}"
            await connection.execute(statement)
