"""Merging persons: everything of one person becomes that of another."""

from __future__ import annotations

from collections.abc import Mapping

from lrs import resources
from lrs.projection.recompute import Pair, recompute_all
from lrs.store.postgres import Connection

_PAIRS = resources.query("list_pairs_of_persons")
_DELETE_PERSONS = resources.query("delete_merged_persons")
_STEPS = tuple(
    resources.query(name)
    for name in (
        "move_identifiers",
        "move_events",
        "merge_group_memberships",
        "merge_team_memberships",
        "move_assignments",
    )
)


async def merge_persons(
    connection: Connection, partner_id: int, targets: Mapping[int, int]
) -> None:
    """Merge persons into others, by person id; recompute facts and records.

    A target keeps its id and what is imported of it; it takes from the other what it lacks.
    Memberships become their union. No target is itself merged.
    """
    if not targets:
        return
    persons = list(targets), list(targets.values())
    before = await fetch_pairs(connection, partner_id, {*targets, *targets.values()})
    for step in _STEPS:
        await connection.execute(step, partner_id, *persons)
    moved = [(targets.get(person_id, person_id), content_id) for person_id, content_id in before]
    await recompute_all(connection, partner_id, [*before, *moved])
    await connection.execute(_DELETE_PERSONS, partner_id, *persons)


async def fetch_pairs(connection: Connection, partner_id: int, person_ids: set[int]) -> list[Pair]:
    """The pairs of these persons that have events or records."""
    rows = await connection.fetch(_PAIRS, partner_id, sorted(person_ids))
    return [(row["person_id"], row["content_id"]) for row in rows]
