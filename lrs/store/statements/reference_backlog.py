"""The backlog of pending references: resolves in the background what a request leaves.

An entry is a stored statement that references still wait for: more of them than one transaction
resolves, or left by a crash between two commits. Entries are resolved in short transactions, one
partner after the other. A locked entry is skipped, so that servers share the work. An entry that
fails is retried with exponential backoff, and given up after 10 attempts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from uuid import UUID

from lrs import resources
from lrs.errors import LRSError
from lrs.observability import metrics
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.statements import references

_SCAN = resources.query("scan_pending_references")
_PARTNERS = resources.query("list_backlog_partners")
_LOCK = resources.query("lock_backlog_entry")
_POSTPONE = resources.query("postpone_backlog_entry")
_RETRY = resources.query("retry_backlog_entry")
_DELETE = resources.query("delete_backlog_entry")

_log = logging.getLogger("lrs.references")

# One transaction: short, because lists wait for open ones.
_REFERENCES_PER_TRANSACTION = 200
_KEYS_PER_TRANSACTION = 5_000

_MAX_ATTEMPTS = 10
_SCAN_LIMIT = 5_000
_SCAN_INTERVAL = 20.0
_IDLE_INTERVAL = 2.0

_Position = tuple[int, UUID]
_START: _Position = (0, UUID(int=0))


class ReferenceBacklog:
    """Resolves the backlog of all partners, in one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position = _START

    async def run(self) -> None:
        """Works until it is cancelled: at most half of the time, with pauses between entries."""
        scan_at = 0.0
        while True:
            started_at = time.monotonic()
            worked_on = 0
            try:
                if started_at >= scan_at:
                    scan_at = started_at + _SCAN_INTERVAL
                    await self.scan()
                worked_on = await self.work_round()
            except LRSError as error:
                _log.warning("cannot read the backlog of references: %s", error.detail)
            elapsed = time.monotonic() - started_at
            await asyncio.sleep(elapsed if worked_on else _IDLE_INTERVAL)

    async def scan(self) -> None:
        """Adds statements to the backlog that a crash has left, from the next 5,000 references.

        A scan that reaches the end starts over next time.
        """
        with translate_errors():
            row = await self._database.writers.fetchrow(_SCAN, *self._position, _SCAN_LIMIT)
        self._position = tuple(row) if row else _START

    async def work_round(self) -> int:
        """Works on one entry of each partner; returns the number of entries.

        The failure of one entry does not stop the others.
        """
        with translate_errors():
            rows = await self._database.writers.fetch(_PARTNERS)
            return sum([await _work_on(self._database, row["partner_id"]) for row in rows])


async def _work_on(database: Database, partner_id: int) -> int:
    """Resolves references of one entry of a partner; returns 0 if there is none.

    Raises Unavailable if the failure of an entry cannot be stored.
    """
    statement_id: str | None = None
    try:
        async with database.writers.acquire() as connection, connection.transaction():
            statement_id = await connection.fetchval(_LOCK, partner_id)
            if statement_id is None:
                return 0
            await _resolve_entry(connection, partner_id, statement_id)
            return 1
    except Exception as error:
        # Any error of one entry must not stop the others.
        if statement_id is None:
            raise
        with translate_errors():
            await _schedule_retry(database, partner_id, statement_id, error)
        return 1


async def _resolve_entry(connection: Connection, partner_id: int, statement_id: str) -> None:
    waiting = await references.list_waiting(
        connection, partner_id, [statement_id], _REFERENCES_PER_TRANSACTION
    )
    result = await references.resolve(connection, partner_id, waiting, _KEYS_PER_TRANSACTION)
    moved = [key for key, item in result.pending.items() if item != waiting[key]]
    is_last = not result.left and len(waiting) < _REFERENCES_PER_TRANSACTION
    # Without progress the statement is not stored: its references wait for it.
    has_progress = result.resolved or moved
    query = _DELETE if is_last or not has_progress else _POSTPONE
    await connection.execute(query, partner_id, statement_id)


async def _schedule_retry(
    database: Database, partner_id: int, statement_id: str, error: Exception
) -> None:
    attempts = await database.writers.fetchval(_RETRY, partner_id, statement_id, _MAX_ATTEMPTS)
    fields = {"partner_id": partner_id, "statement_id": statement_id, "attempts": attempts}
    if attempts == _MAX_ATTEMPTS:
        metrics.ABANDONED_REFERENCES.inc()
        _log.error("gave up references to a statement", extra=fields, exc_info=error)
    else:
        _log.warning("cannot resolve references to a statement", extra=fields, exc_info=error)
