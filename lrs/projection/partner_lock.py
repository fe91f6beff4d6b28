"""What an operator changes of what reports are made of, beside what statements say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from lrs.errors import Unavailable
from lrs.projection import advance
from lrs.store.postgres import Connection, Pool

LOCK_TIMEOUT_SECONDS = 5.0


class PartnerLock:
    """Makes changes one after the other, so that there are connections left for others.

    They must not be the writers' connections: what is stored while such a transaction lasts would
    not be seen before its end.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, partner_id: int) -> AsyncIterator[Connection]:
        """A transaction that alone changes the partner's reports.

        Raises Unavailable if somebody else does so for long, or changes those of another one here.
        """
        await self._wait()
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await _lock(connection, partner_id)
                yield connection
        finally:
            self._turn.release()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise _busy() from None


async def _lock(connection: Connection, partner_id: int) -> None:
    await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
    try:
        await advance.lock(connection, partner_id)
    except asyncpg.LockNotAvailableError:
        raise _busy() from None
    await connection.execute("set local lock_timeout = 0")


def _busy() -> Unavailable:
    return Unavailable(
        "Reports are just being made anew, or changed by others.", headers={"Retry-After": "30"}
    )
