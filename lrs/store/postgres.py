"""Connections to PostgreSQL, and what its errors mean to a request.

Three pools: writers, told apart by their application_name since statements/horizon.sql watches
them; readers, for look-ups; and lists of statements, whose queries say themselves how they are to
be run, since the planner cannot know whether an agent has one statement or a million. A SQLSTATE is
turned into an error of ours here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

from lrs.errors import InternalError, LRSError, Unavailable
from lrs.observability.server_timing import stage

Result = TypeVar("Result")

Pool = asyncpg.Pool
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy | asyncpg.Pool

WRITER = "lrs writer"
READER = "lrs reader"
PROJECTOR = "lrs projection"

_A_DAY = 86_400.0

_RETRIES = 5

# All that is left are walks along indexes, and look-ups in them; planned once.
_WALKS = {
    "plan_cache_mode": "force_generic_plan",
    **{
        f"enable_{way}": "off"
        for way in (
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

# A plan is kept, and a table that is small now may be large before the next one is made: so
# look-ups have but one way, and what takes longer than its planning is planned each time.
_LOOK_UPS = {"enable_seqscan": "off", "enable_sort": "off"}
_PLANNED_ANEW = {"plan_cache_mode": "force_custom_plan"}

# A unique violation is two writers' taking the same place at the same time: what else may be there
# twice is inserted `on conflict`, or caught where that may be. One that stays however often all is
# done again is a mistake of ours, and no reason to come back later.
_CONTENDED = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
RETRYABLE_ERRORS = (*_CONTENDED, asyncpg.UniqueViolationError)

_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that was lost at an awkward moment
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    *_CONTENDED,
)


class _Connection(asyncpg.Connection):
    """Nothing of ours is ever set on a session, so giving one back costs no round trip."""

    def get_reset_query(self) -> str:
        return ""


class _Pool(asyncpg.Pool):
    """Waits for a connection as long as for an answer, and for none to be given back.

    To give one back takes turns of the loop, each with all the work that is at hand: whoever has
    its answer, and whoever comes next, need not wait for that.
    """

    def __init__(self, *arguments: Any, patience: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._patience = patience
        self._releasing: set[asyncio.Task[None]] = set()

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        # A wait that can end early costs more than a connection that is there.
        if timeout is None and not self.get_idle_size():
            timeout = self._patience
        return super().acquire(timeout=timeout)

    async def release(
        self, connection: PoolConnectionProxy[asyncpg.Record], *, timeout: float | None = None
    ) -> None:
        releasing = asyncio.create_task(super().release(connection, timeout=timeout))
        self._releasing.add(releasing)
        releasing.add_done_callback(self._released)

    def _released(self, releasing: asyncio.Task[None]) -> None:
        self._releasing.discard(releasing)
        if not releasing.cancelled():
            releasing.exception()  # the connection was lost meanwhile, and is in no one's way


@dataclass(frozen=True, slots=True)
class Database:
    writers: asyncpg.Pool
    readers: asyncpg.Pool
    lists: asyncpg.Pool


@asynccontextmanager
async def open_database(
    dsn: str, *, writers: int = 4, readers: int = 8, timeout: float = 30.0
) -> AsyncIterator[Database]:
    """The pools, open; half of `readers` are for lists.

    `timeout` (seconds) bounds each statement and each wait for a connection.
    Raises Unavailable if the server cannot be reached.
    """
    with translate_errors():
        async with (
            _pool(dsn, WRITER, writers, timeout, _LOOK_UPS) as writing,
            _pool(dsn, READER, (readers + 1) // 2, timeout) as reading,
            _pool(dsn, READER, (readers + 1) // 2, timeout, _WALKS) as listing,
        ):
            yield Database(writing, reading, listing)


@asynccontextmanager
async def open_admin_database(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """One connection, for a command. Raises Unavailable if the server cannot be reached."""
    with translate_errors():
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings={"application_name": "lrs admin"}
        ) as pool:
            yield pool


@asynccontextmanager
async def open_projector_database(
    dsn: str,
    *,
    seconds: float = _A_DAY,
    opened: Callable[[int], None] = lambda pid: None,
) -> AsyncIterator[Database]:
    """Two connections for whoever makes reports of statements; what they do may take its time.

    `seconds` bounds each statement, `opened` is told which process of PostgreSQL works for a
    connection. Raises Unavailable if the server cannot be reached.
    """

    async def tell(connection: asyncpg.Connection) -> None:
        opened(connection.get_server_pid())

    with translate_errors():
        async with _pool(dsn, PROJECTOR, 2, seconds, _PLANNED_ANEW, init=tell) as pool:
            yield Database(pool, pool, pool)


async def server_version(connection: Connection) -> str:
    return str(await connection.fetchval("show server_version"))


def _pool(
    dsn: str,
    name: str,
    size: int,
    timeout: float,
    ways: Mapping[str, str] | None = None,
    init: Callable[[asyncpg.Connection], Coroutine[Any, Any, None]] | None = None,
) -> asyncpg.Pool:
    return _Pool(
        dsn,
        patience=timeout,
        init=init,
        loop=None,
        min_size=1,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        record_class=asyncpg.Record,
        command_timeout=timeout,
        timeout=timeout,
        connection_class=_Connection,
        max_cacheable_statement_size=0,  # a list with all its conditions is long
        server_settings={
            "application_name": name,
            "jit": "off",
            "default_transaction_isolation": "read committed",
            "timezone": "UTC",
            **(ways or {}),
        },
    )


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turns what PostgreSQL or the way to it raises into Unavailable or InternalError."""
    try:
        with stage("database"):
            yield
    except LRSError:
        raise
    except _UNAVAILABLE as error:
        raise Unavailable(
            f"The database does not answer: {_sentence(error)}", headers={"Retry-After": "1"}
        ) from error
    except asyncpg.PostgresError as error:
        raise InternalError("The database refused what the server asked of it.") from error


def _sentence(error: BaseException) -> str:
    """What went wrong, but for the address that follows it: anybody may read this."""
    text = str(error).strip().partition(" (")[0].splitlines()
    return text[0].rstrip(".") + "." if text else f"{type(error).__name__}."


async def retry_transaction(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Repeats a whole transaction after a serialization failure or a deadlock (40001, 40P01)."""
    for _ in range(_RETRIES):
        try:
            return await attempt()
        except RETRYABLE_ERRORS:
            await asyncio.sleep(0)
    return await attempt()
