"""Connections to PostgreSQL, transaction retries, and the translation of database errors.

A server has three pools. Writers carry an `application_name` of their own, because the watermark
is computed from their open transactions. Readers serve look-ups. List readers serve statement
lists. The planner cannot know how many statements an agent has: their sessions allow only index
scans and nested loops. The query decides the order of the scans.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy
from asyncpg.transaction import Transaction

from lrs.errors import InternalError, LRSError, OutcomeUnknown, Unavailable
from lrs.observability import metrics
from lrs.observability.server_timing import stage
from lrs.store.keepalive import (
    IDLE_TRANSACTION_SECONDS,
    WRITER_IDLE_TRANSACTION_SECONDS,
    KeepaliveConnection,
    session_settings,
)

Result = TypeVar("Result")

Pool = asyncpg.Pool
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy | asyncpg.Pool

# Values of application_name, by which pg_stat_activity tells connections apart.
WRITER = "lrs writer"
READER = "lrs reader"
PROJECTOR = "lrs projection"

OPERATOR_TIMEOUT_SECONDS = 5.0

_MAX_RETRIES = 5
_PROJECTOR_TIMEOUT = 86_400.0
_CLOSE_TIMEOUT = 0.5

# A prepared statement keeps its plan while tables grow. Look-ups may therefore use indexes only,
# which is the right plan at every size. The projector runs few, long queries and plans every one.
_INDEX_LOOKUPS = {"enable_seqscan": "off", "enable_sort": "off"}
_PLAN_EVERY_QUERY = {"plan_cache_mode": "force_custom_plan"}
_INDEX_SCANS_AND_LOOPS = {
    "plan_cache_mode": "force_generic_plan",
    **{
        f"enable_{node}": "off"
        for node in (
            "seqscan",
            "bitmapscan",
            "sort",
            "incremental_sort",
            "hashagg",
            "hashjoin",
            "mergejoin",
            "memoize",
        )
    },
}

# A unique violation is retried too: two writers took the same sequence in the same microsecond.
# All other conflicts are handled by `on conflict` or caught where they occur. A violation that
# outlasts the retries is a bug, hence not among the errors of a contended database.
_CONTENTION_ERRORS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
RETRYABLE_ERRORS = (*_CONTENTION_ERRORS, asyncpg.UniqueViolationError)

_LOST_CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection was lost within a protocol exchange
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)

_UNAVAILABLE_ERRORS = (
    *_LOST_CONNECTION_ERRORS,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    *_CONTENTION_ERRORS,
)


class _Connection(KeepaliveConnection):
    """Skips the reset query, a round trip per release: no code changes session state."""

    def get_reset_query(self) -> str:
        return ""

    def transaction(
        self,
        *,
        isolation: Any = None,
        readonly: bool = False,
        deferrable: bool = False,
    ) -> Transaction:
        return _Transaction(self, isolation, readonly, deferrable)


class _Transaction(Transaction):
    """Ends the connection instead of a rollback when a query timed out or was cancelled.

    The rollback would wait for the end of that query, as long as a database hangs. PostgreSQL rolls
    back the transaction of a lost connection.
    """

    async def __aexit__(self, extype: Any, ex: Any, tb: Any) -> None:
        if extype is not None and issubclass(extype, (asyncio.CancelledError, TimeoutError)):
            self._connection.terminate()  # type: ignore[attr-defined]
        else:
            await super().__aexit__(extype, ex, tb)


class _WaitingAcquire(PoolAcquireContext):
    """An acquire that waits for a connection of the pool, and measures how long."""

    __slots__ = ()
    pool: _Pool

    async def __aenter__(self) -> Any:
        began = time.monotonic()
        self.pool.waiting += 1
        try:
            return await super().__aenter__()
        finally:
            self.pool.waiting -= 1
            metrics.DATABASE_WAIT.labels(self.pool.label).observe(time.monotonic() - began)


class _Pool(asyncpg.Pool):
    """Applies the statement timeout to `acquire`, and releases connections in the background.

    A release takes several iterations of the event loop. The caller has its result before them.
    Waits of a pool with a label are measured; `waiting` is the number of those that wait now.
    """

    def __init__(self, *arguments: Any, acquire_timeout: float, label: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.label = label
        self.waiting = 0
        self._acquire_timeout = acquire_timeout
        self._release_tasks: set[asyncio.Task[None]] = set()

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        # A timeout costs more than the acquire of an idle connection, which needs none.
        if self.get_idle_size():
            return super().acquire(timeout=timeout)
        timeout = self._acquire_timeout if timeout is None else timeout
        return _WaitingAcquire(self, timeout) if self.label else super().acquire(timeout=timeout)

    async def release(
        self, connection: PoolConnectionProxy[asyncpg.Record], *, timeout: float | None = None
    ) -> None:
        task = asyncio.create_task(super().release(connection, timeout=timeout))
        self._release_tasks.add(task)
        task.add_done_callback(self._on_released)

    def _on_released(self, task: asyncio.Task[None]) -> None:
        self._release_tasks.discard(task)
        if not task.cancelled():
            task.exception()  # once retrieved, asyncio does not log a lost connection


@dataclass(frozen=True, slots=True)
class Database:
    """The pools of a process. In commands and in the projector all three are the same pool."""

    writers: asyncpg.Pool
    readers: asyncpg.Pool
    lists: asyncpg.Pool


def waiting(pool: asyncpg.Pool) -> int:
    """How many acquires wait for a connection of the pool."""
    return pool.waiting if isinstance(pool, _Pool) else 0


@asynccontextmanager
async def open_database(
    dsn: str,
    *,
    writers: int = 4,
    readers: int = 8,
    timeout: float = 30.0,
    idle_transaction_timeout: float = WRITER_IDLE_TRANSACTION_SECONDS,
) -> AsyncIterator[Database]:
    """Opens the pools of a server; half of the `readers` connections are for lists.

    `timeout` limits every statement and every acquire, in seconds. PostgreSQL ends a writer whose
    transaction waits for its next statement longer than `idle_transaction_timeout`. Raises
    Unavailable if the database cannot be reached.
    """
    idle = idle_transaction_timeout
    with translate_errors():
        async with (
            _pool(
                dsn, WRITER, writers, timeout, _INDEX_LOOKUPS, idle, label="writers"
            ) as writer_pool,
            _pool(dsn, READER, (readers + 1) // 2, timeout, label="readers") as reader_pool,
            _pool(
                dsn, READER, (readers + 1) // 2, timeout, _INDEX_SCANS_AND_LOOPS, label="lists"
            ) as list_pool,
        ):
            try:
                yield Database(writer_pool, reader_pool, list_pool)
            finally:
                await close_pools(writer_pool, reader_pool, list_pool)


@asynccontextmanager
async def open_admin_database(dsn: str) -> AsyncIterator[Database]:
    """Opens a single connection for a command. Raises Unavailable as `open_database`."""
    with translate_errors():
        async with asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=1,
            connection_class=KeepaliveConnection,
            server_settings=session_settings("lrs admin"),
        ) as pool:
            yield Database(pool, pool, pool)


@asynccontextmanager
async def open_transaction(database: Database) -> AsyncIterator[Database]:
    """A database all of whose queries run in one transaction, on a connection of the readers.

    Not for statements: the watermark is computed from the transactions of writers.
    """
    connection = cast(Connection, database.readers)
    with translate_errors():
        if not isinstance(connection, asyncpg.Pool):  # in a transaction already: a savepoint
            async with connection.transaction():
                yield database
            return
        async with connection.acquire() as acquired, acquired.transaction():
            pool = cast(asyncpg.Pool, acquired)
            yield Database(pool, pool, pool)


@asynccontextmanager
async def open_projector_database(
    dsn: str, *, timeout: float = _PROJECTOR_TIMEOUT
) -> AsyncIterator[Database]:
    """Opens two connections for the projector.

    `timeout` limits every statement and every acquire, in seconds. Raises Unavailable as
    `open_database`.
    """
    with translate_errors():
        async with _pool(dsn, PROJECTOR, 2, timeout, _PLAN_EVERY_QUERY) as pool:
            try:
                yield Database(pool, pool, pool)
            finally:
                await close_pools(pool)


@asynccontextmanager
async def open_change_pool(dsn: str, *, size: int, timeout: float) -> AsyncIterator[asyncpg.Pool]:
    """Opens a pool for long changes of derived data; it has no connections while there are none.

    The pool is not that of the writers: the watermark does not pass the start of an open write
    transaction. `timeout` limits every statement and every acquire, in seconds.
    """
    with translate_errors():
        async with _pool(dsn, READER, size, timeout, min_size=0) as pool:
            try:
                yield pool
            finally:
                await close_pools(pool)


@asynccontextmanager
async def open_operator_database(
    dsn: str, *, timeout: float = OPERATOR_TIMEOUT_SECONDS
) -> AsyncIterator[Database]:
    """Opens two connections for operators, so that their queries take none of the requests'.

    They have no connections while nobody uses them. `timeout` limits every statement and every
    acquire, in seconds.
    """
    with translate_errors():
        limits = {**_PLAN_EVERY_QUERY, "statement_timeout": f"{int(timeout * 1000)}"}
        # PostgreSQL's timeout comes first: it says that the query took too long.
        async with _pool(
            dsn, READER, 2, timeout + 1.0, limits, min_size=0, label="operators"
        ) as pool:
            try:
                yield Database(pool, pool, pool)
            finally:
                await close_pools(pool)


async def close_pools(*pools: asyncpg.Pool) -> None:
    """Close the connections; those still in use after half a second are terminated."""

    async def close(pool: asyncpg.Pool) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), _CLOSE_TIMEOUT)

    await asyncio.gather(*map(close, pools))


async def server_version(connection: Connection) -> str:
    """The version of the PostgreSQL server, such as "18.1"."""
    return str(await connection.fetchval("show server_version"))


async def session_names(connection: Connection) -> tuple[str, str]:
    """The database and the role of a session."""
    row = await connection.fetchrow("select current_database(), current_user")
    assert row is not None  # noqa: S101 - one row
    return row[0], row[1]


def _pool(
    dsn: str,
    application_name: str,
    size: int,
    timeout: float,
    settings: Mapping[str, str] | None = None,
    idle_transaction_timeout: float = IDLE_TRANSACTION_SECONDS,
    *,
    min_size: int = 1,
    label: str = "",
) -> asyncpg.Pool:
    return _Pool(
        dsn,
        acquire_timeout=timeout,
        label=label,
        loop=None,
        min_size=min_size,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        record_class=asyncpg.Record,
        command_timeout=timeout,
        timeout=timeout,
        connection_class=_Connection,
        max_cacheable_statement_size=0,  # no limit: a page query with many predicates is long
        server_settings={
            **session_settings(application_name, idle_transaction_timeout),
            "jit": "off",
            "default_transaction_isolation": "read committed",
            "timezone": "UTC",
            **(settings or {}),
        },
    )


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raises Unavailable or InternalError for errors of PostgreSQL and of the connection.

    The detail does not repeat the words of PostgreSQL, which may name addresses, tables and
    values: they are the cause, which is logged. The block counts as the stage `database` of
    Server-Timing.
    """
    try:
        with stage("database"):
            yield
    except LRSError:
        raise
    except asyncpg.QueryCanceledError as error:
        raise Unavailable("The query took too long.", headers={"Retry-After": "1"}) from error
    except _UNAVAILABLE_ERRORS as error:
        raise Unavailable("The database does not answer.", headers={"Retry-After": "1"}) from error
    except asyncpg.PostgresError as error:
        raise InternalError("The database rejected a query of the server.") from error


@contextmanager
def lost_connection_is_unknown_outcome(detail: str) -> Iterator[None]:
    """Raises OutcomeUnknown if the connection is lost in the block, which writes.

    An error that PostgreSQL reports is none of these: the transaction was rolled back. A connection
    is acquired before the block, because without one nothing is written.
    """
    try:
        yield
    except ConnectionRefusedError:
        raise  # connecting failed before anything was sent
    except _LOST_CONNECTION_ERRORS as error:
        raise OutcomeUnknown(detail, headers={"Retry-After": "1"}) from error


async def retry_transaction(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Runs a whole transaction, and up to 5 times more while it raises RETRYABLE_ERRORS."""
    for _ in range(_MAX_RETRIES):
        try:
            return await attempt()
        except RETRYABLE_ERRORS:
            await asyncio.sleep(0)
    return await attempt()
