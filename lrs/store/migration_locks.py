"""Locks of a migration: no session of a reporting role delays it.

A table that a migration changes is locked for a moment. A reader's open transaction would delay
it, and every request that needs the table would wait behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from lrs import resources

_END_BLOCKING_READERS = resources.query("end_blocking_readers")

_POLL_SECONDS = 0.2


@asynccontextmanager
async def blocking_readers_ended(connection: asyncpg.Connection, pid: int) -> AsyncIterator[None]:
    """End the sessions of reporting roles that block the process `pid`, while the block runs.

    `connection` is used for nothing else. Without the privilege to end them, they stay.
    """
    task = asyncio.create_task(_end_blocking_readers(connection, pid))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _end_blocking_readers(connection: asyncpg.Connection, pid: int) -> None:
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        with suppress(asyncpg.InsufficientPrivilegeError):
            await connection.execute(_END_BLOCKING_READERS, pid)
