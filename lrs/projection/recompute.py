"""Facts and records, made anew from all events of a learner and a content item.

They are a pure function of the events, so the order in which those came never matters, and doing it
once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from lrs import resources
from lrs.store.postgres import Connection

_RECORDS = resources.query("recompute_records")
_DAYS = resources.query("recompute_facts")
_NOTE_DAYS = resources.query("record_changed_days")
_DAYS_OF_CONTENTS = resources.query("list_days_of_content_items")

# Of tables that a transaction fills, a plan of its beginning would know nothing.
_PLAN_ANEW = "set local plan_cache_mode = force_custom_plan"

Pair = tuple[int, int]
"""A person and a content."""


async def recompute(connection: Connection, partner_id: int, pairs: Iterable[Pair]) -> None:
    """Brings the facts and records of these people and contents up to date with their events.

    To be called in a transaction.
    """
    touched = sorted(set(pairs))
    if not touched:
        return
    await connection.execute(_PLAN_ANEW)
    people, contents = [person for person, _ in touched], [content for _, content in touched]
    await connection.execute(_RECORDS, partner_id, people, contents)
    rows = await connection.fetch(_DAYS, partner_id, people, contents)
    await _note(connection, partner_id, [row["day"] for row in rows])


async def mark_contents_changed(
    connection: Connection, partner_id: int, content_ids: Iterable[int]
) -> None:
    """Notes that all facts of these contents now read otherwise than before."""
    if content_ids := list(content_ids):
        rows = await connection.fetch(_DAYS_OF_CONTENTS, partner_id, content_ids)
        await _note(connection, partner_id, [row["day"] for row in rows])


async def _note(connection: Connection, partner_id: int, days: list[date]) -> None:
    if days:
        await connection.execute(_NOTE_DAYS, partner_id, sorted(days))
