"""What an operator changes of what reports are made of, beside what statements say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from lrs.errors import Unavailable
from lrs.store import projection
from lrs.store.database import Connection, Pool

PATIENCE_SECONDS = 5.0


class Changes:
    """Makes changes one after the other, so that there are connections left for others.

    They must not be the writers' connections: what is stored while such a transaction lasts would
    not be seen before its end.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def of(self, partner_id: int) -> AsyncIterator[Connection]:
        """A transaction that alone changes the partner's reports.

        Raises Unavailable if somebody else does so for long.
        """
        async with self._turn, self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"set local lock_timeout = '{PATIENCE_SECONDS}s'")
            try:
                await projection.lock(connection, partner_id)
            except asyncpg.LockNotAvailableError:
                raise Unavailable(
                    "The partner's reports are just being made anew, or changed by others.",
                    headers={"Retry-After": "30"},
                ) from None
            await connection.execute("set local lock_timeout = 0")
            yield connection
