"""The lock of a partner's projection: one transaction at a time writes the derived rows.

It is a row lock: it ends with the transaction that holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.errors import LRSError, Overloaded, Unavailable
from lrs.store.partner_settings import APPLIED_BY_REBUILD
from lrs.store.postgres import Connection, Pool, open_change_pool
from lrs.threads import FairThread

_REGISTER = resources.query("register_projection")
_LOCK = resources.query("lock_projection")
_TRY_LOCK = resources.query("try_lock_projection")

RULES_VERSION = 2
"""Increased with every change that only a rebuild applies to statements projected before."""

LOCK_TIMEOUT_SECONDS = 5.0

MAX_TRANSACTIONS = 4
"""Of all partners together; a transaction occupies a connection, and at times a thread."""

_RETRY_AFTER_SECONDS = 30
_RETRY_AFTER = {"Retry-After": str(_RETRY_AFTER_SECONDS)}


async def register(connection: Connection, partner_id: int) -> None:
    """Insert the row that is locked, unless it exists.

    A long transaction calls this before it begins: until the insert is committed, every other
    transaction that needs the row waits.
    """
    await connection.execute(_REGISTER, partner_id, RULES_VERSION, sorted(APPLIED_BY_REBUILD))


async def acquire(connection: Connection, partner_id: int) -> None:
    """Take the lock for the current transaction; wait for its holder."""
    await register(connection, partner_id)
    await connection.execute(_LOCK, partner_id)


async def try_acquire(connection: Connection, partner_id: int) -> int | None:
    """Take the lock for the current transaction and return the position of the projection.

    None if another transaction holds the lock, or the partner is not registered.
    """
    position: int | None = await connection.fetchval(_TRY_LOCK, partner_id)
    return position


class PartnerLock:
    """Transactions of this process that change derived rows: imports, and changes of content items.

    Each partner has one at a time, and all partners together `max_transactions`, each with a
    connection of `pool`. Of several waiting partners, the one that waits longest is next, so that
    a partner with one import after the other does not keep the others waiting. `thread` is for
    what they compute; it may take seconds.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        max_transactions: int = MAX_TRANSACTIONS,
        timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        self._pool = pool
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()
        self._free_transactions = asyncio.Semaphore(max_transactions)
        self.timeout_seconds = timeout_seconds
        self.thread = FairThread()

    @asynccontextmanager
    async def transaction(self, partner_id: int) -> AsyncIterator[Connection]:
        """A transaction that holds the partner's lock.

        Raises Unavailable if a lock of the partner is not free within the timeout, Overloaded if no
        transaction is free within several times the timeout.
        """
        async with self._connection(partner_id, "change") as connection, connection.transaction():
            await self._acquire_row_lock(connection, partner_id)
            yield connection

    @asynccontextmanager
    async def snapshot(self, partner_id: int) -> AsyncIterator[Connection]:
        """A transaction that reads, beside one that holds the lock. Raises as `transaction`."""
        async with (
            self._connection(partner_id, "preview") as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def _connection(
        self, partner_id: int, purpose: str
    ) -> AsyncIterator[PoolConnectionProxy[asyncpg.Record]]:
        async with AsyncExitStack() as stack:
            lock = self._locks.setdefault((partner_id, purpose), asyncio.Lock())
            await self._acquire(lock, self.timeout_seconds, stack, _partner_is_busy)
            await self._acquire(
                self._free_transactions, 4 * self.timeout_seconds, stack, _all_are_busy
            )
            yield await stack.enter_async_context(self._pool.acquire())

    async def _acquire(
        self,
        lock: asyncio.Lock | asyncio.Semaphore,
        timeout_seconds: float,
        stack: AsyncExitStack,
        error: Callable[[], LRSError],
    ) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await lock.acquire()
        except TimeoutError:
            raise error() from None
        stack.callback(lock.release)

    async def _acquire_row_lock(self, connection: Connection, partner_id: int) -> None:
        await connection.execute(f"set local lock_timeout = '{self.timeout_seconds}s'")
        try:
            await acquire(connection, partner_id)
        except asyncpg.LockNotAvailableError:
            raise Unavailable(
                "Reports of this partner are being rebuilt or changed; "
                f"retry after {_RETRY_AFTER_SECONDS} s.",
                headers=_RETRY_AFTER,
            ) from None
        await connection.execute("set local lock_timeout = 0")


@asynccontextmanager
async def open_partner_lock(dsn: str, *, timeout: float) -> AsyncIterator[PartnerLock]:
    """The lock, with connections of its own; `timeout` limits every query, in seconds."""
    async with open_change_pool(dsn, size=MAX_TRANSACTIONS, timeout=timeout) as pool:
        yield PartnerLock(pool)


def _partner_is_busy() -> Unavailable:
    return Unavailable(
        "Another import or change of this partner is in progress; "
        f"retry after {_RETRY_AFTER_SECONDS} s.",
        headers=_RETRY_AFTER,
    )


def _all_are_busy() -> Overloaded:
    return Overloaded(
        f"Too many imports and changes are in progress; retry after {_RETRY_AFTER_SECONDS} s.",
        headers=_RETRY_AFTER,
    )
