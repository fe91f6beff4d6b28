"""Advancing the projection: the next statements become events, and those facts and records.

The position is committed in the transaction that writes the events of the statements up to it.
Therefore each statement counts exactly once, also with several processes and after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.projection import partner_lock
from lrs.projection.event_batch import ProjectedStatement, extract_batch
from lrs.projection.event_writer import write_batch
from lrs.projection.partner_rules import load_rules
from lrs.projection.recompute import recompute
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Connection
from lrs.store.statements import sequence

_PAGE = resources.query("list_statements_to_project")
_COMMIT_POSITION = resources.query("advance_projection")

BATCH_SIZE = 5000

# One statement can be a thousand times the usual size: this bounds the memory of a batch.
MAX_BATCH_BYTES = 67_108_864

START_POSITION = 0
"""The position before the first statement. A position is the sequence of the last statement."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ProjectionPage:
    """Statements after a position.

    `position` is the sequence of the last one; no statement stored at or before `watermark` comes
    after it.
    """

    statements: list[ProjectedStatement]
    position: int
    watermark: datetime


async def advance(
    connection: PoolConnectionProxy[Record],
    partner_id: int,
    vocabulary: Vocabulary,
    watermark: datetime,
    *,
    limit: int = BATCH_SIZE,
) -> int:
    """Project the next statements up to the watermark; return their number.

    0 if there are none, or another transaction holds the partner's lock.
    """
    await partner_lock.register(connection, partner_id)
    async with connection.transaction():
        position = await partner_lock.try_acquire(connection, partner_id)
        if position is None:
            return 0
        page = await read_page(connection, partner_id, position, watermark, limit)
        if page.statements:
            rules = await load_rules(connection, partner_id, vocabulary)
            batch = extract_batch(page.statements, vocabulary, rules.time_zone)
            pairs = await write_batch(connection, partner_id, batch, rules)
            await recompute(connection, partner_id, pairs, organizations_are_current=True)
            await commit_position(connection, partner_id, page)
        return len(page.statements)


async def read_page(
    connection: Connection,
    partner_id: int,
    position: int,
    watermark: datetime,
    limit: int,
    *,
    max_bytes: int = MAX_BATCH_BYTES,
) -> ProjectionPage:
    """The next statements after the position and up to the watermark.

    At most `limit` statements; the statement that reaches `max_bytes` is the last one.
    """
    end = sequence.first_after(watermark)
    rows = await connection.fetch(_PAGE, partner_id, position, end, limit, max_bytes)
    if not rows:
        return ProjectionPage([], position, watermark)
    statements = [ProjectedStatement(sequence_, *fields) for sequence_, _, *fields in rows]
    last, total_bytes, *_ = rows[-1]
    if len(rows) == limit or total_bytes >= max_bytes:
        # More statements may have been stored in the same microsecond as the last one.
        watermark = sequence.stored_at(last) - _MICROSECOND
    return ProjectionPage(statements, last, watermark)


async def commit_position(connection: Connection, partner_id: int, page: ProjectionPage) -> None:
    """Set the position and the watermark of the projection to those of the page."""
    await connection.execute(_COMMIT_POSITION, partner_id, page.position, page.watermark)
