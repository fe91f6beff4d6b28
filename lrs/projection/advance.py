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
from lrs.projection import dimensions, event_rows, learners
from lrs.projection.event_batch import Gathered, Stored, gather
from lrs.projection.events import Event
from lrs.projection.recompute import Pair, note_changed, recompute
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

CHUNK = 5000

# A statement may be a thousand times as long as most are: a chunk is what fits into memory.
MOST_BYTES = 67_108_864

_TICK = timedelta(microseconds=1)


BEGINNING = 0
"""The position before any statement was followed: that is the place of the last one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Statements beyond a position; nothing that was stored up to `through` is beyond them."""

    statements: list[Stored]
    last: int
    through: datetime


async def lock(connection: Connection, partner_id: int) -> None:
    """Takes the right to change what is made of the partner's statements; waits for it."""
    await enroll(connection, partner_id)
    await connection.execute(_LOCK, partner_id)


async def enroll(connection: Connection, partner_id: int) -> None:
    """Done before a long transaction: until it is committed, everybody waits here."""
    await connection.execute(_ENROLL, partner_id)


async def advance(
    connection: PoolConnectionProxy[Record],
    partner_id: int,
    vocabulary: Vocabulary,
    horizon: datetime,
    *,
    limit: int = CHUNK,
) -> int:
    """Follows the next statements up to the horizon, and returns how many they were.

    That is none if somebody else is doing it.
    """
    await enroll(connection, partner_id)
    async with connection.transaction():
        row = await connection.fetchrow(_TRY_LOCK, partner_id)
        if row is None:
            return 0
        page = await read(connection, partner_id, row["position"], horizon, limit)
        if page.statements:
            gathered = gather(page.statements, vocabulary)
            touched = await project(connection, partner_id, gathered, vocabulary)
            await recompute(connection, partner_id, touched)
            await move(connection, partner_id, page)
        return len(page.statements)


async def read(
    connection: Connection, partner_id: int, position: int, horizon: datetime, limit: int
) -> Page:
    end = sequence.first_after(horizon)
    rows = await connection.fetch(_PAGE, partner_id, position, end, limit, MOST_BYTES)
    statements = [Stored(*rest) for _, _, *rest in rows]
    if not rows:
        return Page(statements, position, horizon)
    last, total, *_ = rows[-1]
    is_full = len(rows) == limit or total >= MOST_BYTES
    return Page(statements, last, sequence.stored_at(last) - _TICK if is_full else horizon)


async def project(
    connection: Connection, partner_id: int, gathered: Gathered, vocabulary: Vocabulary
) -> list[Pair]:
    """Writes what statements say, but for facts and records; returns whose those are."""
    persons = await learners.introduce(connection, partner_id, gathered.agents)
    retyped = await dimensions.describe_all(
        connection, partner_id, gathered.contents, gathered.mentioned, vocabulary
    )
    await note_changed(connection, partner_id, retyped.contents)
    await add_groups(connection, partner_id, gathered.organizations)
    touched = await _add(connection, partner_id, gathered.events, persons)
    touched += await _void(connection, partner_id, gathered.voided, vocabulary)
    await dimensions.fill_tracks(connection, partner_id, gathered.around, retyped.tracks)
    return touched


async def _add(
    connection: Connection, partner_id: int, told: list[Event], persons: Mapping[int, int]
) -> list[Pair]:
    if not told:
        return []
    keys = {each.content_key for each in told}
    known = await dimensions.ids(connection, partner_id, keys)
    await event_rows.write(connection, partner_id, told, persons, known)
    return [(persons[each.agent_key], known[each.content_key]) for each in told]


async def _void(
    connection: Connection, partner_id: int, voided: list[str], vocabulary: Vocabulary
) -> list[Pair]:
    if not voided:
        return []
    found = await connection.fetch(_STATEMENTS, partner_id, voided)
    told = gather((Stored(*row) for row in found), vocabulary).events
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


async def move(connection: Connection, partner_id: int, page: Page) -> None:
    await connection.execute(_MOVE, partner_id, page.last, page.through)
