"""Recomputing facts and records from all events of a learner and a content item.

They are a pure function of the events: the order of arrival does not matter, and recomputing again
changes nothing (idempotent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from lrs import resources
from lrs.projection.organization_writer import update_organizations
from lrs.store.postgres import Connection

_RECOMPUTE = resources.query("recompute")
_RECORD_CHANGED_DAYS = resources.query("record_changed_days")
_DAYS_OF_CONTENTS = resources.query("list_days_of_content_items")

# A cached plan would use the statistics from before the transaction filled the tables.
_DISABLE_PLAN_CACHE = "set local plan_cache_mode = force_custom_plan"

Pair = tuple[int, int]
"""The person id of a learner and the id of a content item."""

_PAIRS_PER_QUERY = 5_000

Progress = Callable[[int, int], None]
"""Called with the number of recomputed pairs and their total."""


def no_progress(done: int, total: int) -> None:
    """Reports nothing."""


async def recompute_all(
    connection: Connection,
    partner_id: int,
    pairs: Iterable[Pair],
    progress: Progress = no_progress,
    *,
    organizations_are_current: bool = False,
) -> None:
    """As `recompute`, for any number of pairs, in parts."""
    distinct = sorted(set(pairs))
    for start in range(0, len(distinct), _PAIRS_PER_QUERY):
        progress(start, len(distinct))
        await recompute(
            connection,
            partner_id,
            distinct[start : start + _PAIRS_PER_QUERY],
            organizations_are_current=organizations_are_current,
        )
    progress(len(distinct), len(distinct))


async def recompute(
    connection: Connection,
    partner_id: int,
    pairs: Iterable[Pair],
    *,
    all_of_learners: bool = False,
    organizations_are_current: bool = False,
) -> None:
    """Update facts and records of these pairs to match their events; call in a transaction.

    Includes the facts of the courses that the items are parts of. With `all_of_learners`, the pairs
    are all pairs of their learners. Unless `organizations_are_current`, the organizations of their
    events follow the memberships first. Only rows that differ are written, and their days are
    recorded as changed.
    """
    distinct = set(pairs)
    if not distinct:
        return
    if not organizations_are_current:
        learners = {person for person, _ in distinct}
        distinct.update(await update_organizations(connection, partner_id, learners))
    ordered = sorted(distinct)
    await connection.execute(_DISABLE_PLAN_CACHE)
    persons, contents = [person for person, _ in ordered], [content for _, content in ordered]
    rows = await connection.fetch(_RECOMPUTE, partner_id, persons, contents, all_of_learners)
    await _record_changed_days(connection, partner_id, [row["day"] for row in rows])


async def mark_contents_changed(
    connection: Connection, partner_id: int, content_ids: Iterable[int]
) -> None:
    """Record the days of all facts of these content items as changed.

    Their rows in exports change with the type or the deletion of the item, and not with the facts.
    """
    if content_ids := list(content_ids):
        rows = await connection.fetch(_DAYS_OF_CONTENTS, partner_id, content_ids)
        await _record_changed_days(connection, partner_id, [row["day"] for row in rows])


async def _record_changed_days(connection: Connection, partner_id: int, days: list[date]) -> None:
    if days:
        await connection.execute(_RECORD_CHANGED_DAYS, partner_id, sorted(days))
