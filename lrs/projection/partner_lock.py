"""The lock of a partner's projection: one transaction at a time writes the derived rows.

It is a row lock: it ends with the transaction that holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from lrs import resources
from lrs.errors import Unavailable
from lrs.store.postgres import Connection, Pool

_REGISTER = resources.query("register_projection")
_LOCK = resources.query("lock_projection")
_TRY_LOCK = resources.query("try_lock_projection")

LOCK_TIMEOUT_SECONDS = 5.0

_RETRY_AFTER_SECONDS = 30


async def register(connection: Connection, partner_id: int) -> None:
    """Insert the row that is locked, unless it exists.

    A long transaction calls this before it begins: until the insert is committed, every other
    transaction that needs the row waits.
    """
    await connection.execute(_REGISTER, partner_id)


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
    """Transactions of this process that change derived rows, one at a time.

    One at a time, because each holds a connection of the pool while it waits. The pool is not that
    of the writers: the watermark does not pass the start of an open write transaction.
    """

    def __init__(self, pool: Pool, *, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> None:
        self._pool = pool
        self._process_lock = asyncio.Lock()
        self.timeout_seconds = timeout_seconds

    @asynccontextmanager
    async def transaction(self, partner_id: int) -> AsyncIterator[Connection]:
        """A transaction that holds the partner's lock.

        Raises Unavailable if either lock is not free within the timeout.
        """
        await self._acquire_process_lock()
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._acquire_row_lock(connection, partner_id)
                yield connection
        finally:
            self._process_lock.release()

    async def _acquire_process_lock(self) -> None:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await self._process_lock.acquire()
        except TimeoutError:
            raise Unavailable(
                f"Another import or change is in progress; retry after {_RETRY_AFTER_SECONDS} s.",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            ) from None

    async def _acquire_row_lock(self, connection: Connection, partner_id: int) -> None:
        await connection.execute(f"set local lock_timeout = '{self.timeout_seconds}s'")
        try:
            await acquire(connection, partner_id)
        except asyncpg.LockNotAvailableError:
            raise Unavailable(
                "Reports of this partner are being rebuilt or changed; "
                f"retry after {_RETRY_AFTER_SECONDS} s.",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            ) from None
        await connection.execute("set local lock_timeout = 0")
