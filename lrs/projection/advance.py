"""Following the statements: a chunk of them at a time becomes events, and those facts and records.

The position moves in the transaction of what was made of the statements up to it: each of them
counts exactly once, whatever is killed and however many follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.projection import dimensions, event_rows
from lrs.projection.event_batch import EventBatch, StoredStatement, extract_batch
from lrs.projection.events import Event
from lrs.projection.persons import ensure_persons
from lrs.projection.recompute import Pair, mark_contents_changed, recompute
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Connection
from lrs.store.statements import sequence

_LOCK = resources.query("lock_projection")
_TRY_LOCK = resources.query("try_lock_projection")
_ENROLL = resources.query("register_projection")
_PAGE = resources.query("list_statements_to_project")
_MOVE = resources.query("advance_projection")
_ADD_GROUPS = resources.query("insert_missing_groups")
_STATEMENTS = resources.query("get_statements_to_project")
_VOID = resources.query("delete_voided_events")

BATCH_SIZE = 5000

# A statement may be a thousand times as long as most are: a chunk is what fits into memory.
MAX_BATCH_BYTES = 67_108_864

_TICK = timedelta(microseconds=1)


START_POSITION = 0
"""The position before any statement was followed: that is the place of the last one."""


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Statements beyond a position; nothing that was stored up to `through` is beyond them."""

    statements: list[StoredStatement]
    position: int
    watermark: datetime


async def lock(connection: Connection, partner_id: int) -> None:
    """Takes the right to change what is made of the partner's statements; waits for it."""
    await register(connection, partner_id)
    await connection.execute(_LOCK, partner_id)


async def register(connection: Connection, partner_id: int) -> None:
    """Done before a long transaction: until it is committed, everybody waits here."""
    await connection.execute(_ENROLL, partner_id)


async def advance(
    connection: PoolConnectionProxy[Record],
    partner_id: int,
    vocabulary: Vocabulary,
    horizon: datetime,
    *,
    limit: int = BATCH_SIZE,
) -> int:
    """Follows the next statements up to the horizon, and returns how many they were.

    That is none if somebody else is doing it.
    """
    await register(connection, partner_id)
    async with connection.transaction():
        row = await connection.fetchrow(_TRY_LOCK, partner_id)
        if row is None:
            return 0
        page = await read_page(connection, partner_id, row["position"], horizon, limit)
        if page.statements:
            gathered = extract_batch(page.statements, vocabulary)
            touched = await write_batch(connection, partner_id, gathered, vocabulary)
            await recompute(connection, partner_id, touched)
            await commit_position(connection, partner_id, page)
        return len(page.statements)


async def read_page(
    connection: Connection, partner_id: int, position: int, horizon: datetime, limit: int
) -> StatementPage:
    end = sequence.first_after(horizon)
    rows = await connection.fetch(_PAGE, partner_id, position, end, limit, MAX_BATCH_BYTES)
    statements = [StoredStatement(*rest) for _, _, *rest in rows]
    if not rows:
        return StatementPage(statements, position, horizon)
    last, total, *_ = rows[-1]
    is_full = len(rows) == limit or total >= MAX_BATCH_BYTES
    return StatementPage(statements, last, sequence.stored_at(last) - _TICK if is_full else horizon)


async def write_batch(
    connection: Connection, partner_id: int, gathered: EventBatch, vocabulary: Vocabulary
) -> list[Pair]:
    """Writes what statements say, but for facts and records; returns whose those are."""
    persons = await ensure_persons(connection, partner_id, gathered.agents)
    retyped = await dimensions.upsert_contents(
        connection, partner_id, gathered.contents, gathered.mentioned, vocabulary
    )
    await mark_contents_changed(connection, partner_id, retyped.contents)
    await add_groups(connection, partner_id, gathered.organizations)
    touched = await _add(connection, partner_id, gathered.events, persons)
    touched += await _void(connection, partner_id, gathered.voided, vocabulary)
    await dimensions.update_track_contents(connection, partner_id, gathered.around, retyped.tracks)
    return touched


async def _add(
    connection: Connection, partner_id: int, told: list[Event], persons: Mapping[int, int]
) -> list[Pair]:
    if not told:
        return []
    keys = {each.content_key for each in told}
    known = await dimensions.content_ids(connection, partner_id, keys)
    await event_rows.insert_events(connection, partner_id, told, persons, known)
    return [(persons[each.agent_key], known[each.content_key]) for each in told]


async def _void(
    connection: Connection, partner_id: int, voided: list[str], vocabulary: Vocabulary
) -> list[Pair]:
    if not voided:
        return []
    found = await connection.fetch(_STATEMENTS, partner_id, voided)
    told = extract_batch((StoredStatement(*row) for row in found), vocabulary).events
    rows = await connection.fetch(
        _VOID,
        partner_id,
        [each.statement_id for each in told],
        [each.agent_key for each in told],
        [each.content_key for each in told],
    )
    return [(row["person_id"], row["content_id"]) for row in rows]


async def add_groups(connection: Connection, partner_id: int, organizations: Iterable[str]) -> None:
    await connection.execute(_ADD_GROUPS, partner_id, sorted(organizations))


async def commit_position(connection: Connection, partner_id: int, page: StatementPage) -> None:
    await connection.execute(_MOVE, partner_id, page.position, page.watermark)
