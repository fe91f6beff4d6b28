"""Database roles that read the reports of a partner."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
from click.testing import Result

from tests.support.partners import Partner

Reports = Callable[..., Awaitable[Result]]
"""Runs `lrs reports …` with arguments, and environment variables as keywords."""


async def granted(reports: Reports, partner: Partner, *options: str) -> dict[str, str]:
    """The output of `lrs reports grant`, by the first word of each line."""
    result = await reports("grant", partner.name, *options)
    assert result.exit_code == 0, result.output
    return dict(re.findall(r"^(\w+) {2,}(\S+)$", result.stdout, re.MULTILINE))


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        yield connection
    finally:
        with suppress(OSError, asyncpg.InternalClientError):  # the server has ended the session
            await connection.close()
