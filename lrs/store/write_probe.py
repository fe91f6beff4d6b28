"""A small real write, which meets what every other writer meets: a full disk, a standby."""

from __future__ import annotations

import asyncpg

from lrs import resources

_WRITE = resources.query("write_probe")
_TRUNCATE = resources.query("truncate_write_probe")

_MAX_BYTES = 8_388_608

# The first class that fits names the reason. Clients read it: it has no words of PostgreSQL.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer"),
    (asyncpg.DiskFullError, "disk full"),
    (asyncpg.ReadOnlySQLTransactionError, "read-only"),
    (asyncpg.TooManyConnectionsError, "too many connections"),
    (asyncpg.CannotConnectNowError, "starting or stopping"),
    (asyncpg.OperatorInterventionError, "stopping"),
    (asyncpg.InsufficientPrivilegeError, "permission denied"),
    (asyncpg.PostgresIOError, "input or output error"),
    (asyncpg.PostgresConnectionError, "connection lost"),
    (OSError, "unreachable"),
    (asyncpg.InterfaceError, "connection lost"),
    (asyncpg.PostgresError, "query failed"),
)


async def write(pool: asyncpg.Pool) -> None:
    """Commit one page. Raises what asyncpg raises; `reason` names it."""
    size = await pool.fetchval(_WRITE)
    if size > _MAX_BYTES:
        await pool.execute(_TRUNCATE)


def reason(error: BaseException) -> str:
    """Why the database refuses, in a few words."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "failed")
