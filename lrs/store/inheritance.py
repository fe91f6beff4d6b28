"""What a statement inherits from the one it refers to (xAPI 1.0.3 Communication 2.1.3).

A statement whose object is a StatementRef is found by whatever finds its target, at any distance,
in whichever order they came. It is linked when both are there: in the transaction of the later one
as a rule. Two transactions that do not see each other are caught by looking again once every writer
that was open at the time is done (`settle_late`), and a crash in between by `sweep`. A reference is
settled when nothing is left to come: none of its targets, the farthest included, is missing. Beyond
a hundred steps nothing is inherited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import orjson

from lrs import resources
from lrs.store.database import WRITER, Connection, Database, errors_translated
from lrs.xapi import links

_INHERITANCE = resources.sql("statements/inheritance")
_INHERIT = resources.sql("statements/inherit")
_UNSETTLED = resources.sql("statements/unsettled")
_OPEN_SINCE = resources.sql("statements/writers_open_since")

_PATIENCE = 2.0
_PAUSE = 0.002


# How far a statement is from those that it inherits from, at most: every step multiplies the links.
_STEPS = 100

Links = dict[int, int]


@dataclass(frozen=True, slots=True)
class _Node:
    """A statement on the way: what it refers to, and its payload, if it is here."""

    target: str | None
    payload: str | None


async def settle(
    connection: Connection, partner_id: int, statement_ids: Iterable[str]
) -> frozenset[str]:
    """Links what is new among, or refers to, the given statements.

    Returns the ids of those that refer to others and have inherited all that they ever will: none
    of their targets, at any distance, is missing. May be repeated at will.
    """
    rows = await connection.fetch(_INHERITANCE, partner_id, sorted(statement_ids), _STEPS)
    nodes = {
        str(row["statement_id"]): _Node(row["target_id"] and str(row["target_id"]), row["payload"])
        for row in rows
    }
    told = cache(
        lambda statement_id: links.inherited(orjson.loads(str(nodes[statement_id].payload)))
    )
    gained: dict[tuple[int, str], int] = {}
    settled = set()
    for statement_id in (str(row["statement_id"]) for row in rows if row["gains"]):
        targets, complete = _targets(nodes, statement_id)
        for key, roles in _together(map(told, targets)).items():
            gained[key, statement_id] = roles
        if complete and nodes[statement_id].target:
            settled.add(statement_id)
    if gained or settled:
        await connection.execute(
            _INHERIT,
            partner_id,
            [statement_id for _, statement_id in gained],
            [key for key, _ in gained],
            list(gained.values()),
            sorted(settled),
        )
    return frozenset(settled)


def _targets(nodes: dict[str, _Node], statement_id: str) -> tuple[list[str], bool]:
    """What a statement refers to, near and far, as far as it is here; and whether that is all."""
    found: list[str] = []
    target = nodes[statement_id].target
    while target and target != statement_id and target not in found and len(found) < _STEPS:
        if target not in nodes or nodes[target].payload is None:
            return found, False
        found.append(target)
        target = nodes[target].target
    return found, True


def _together(several: Iterable[Links]) -> Links:
    together: Links = {}
    for each in several:
        for key, roles in each.items():
            together[key] = together.get(key, 0) | roles
    return together


async def settle_late(
    connection: Connection, partner_id: int, statement_ids: frozenset[str]
) -> None:
    """Looks again for targets that may have been stored while their references were.

    Called after the references' commit: a writer that begins now sees them by itself, so only those
    open now are waited for.
    """
    committed_at = await connection.fetchval("select clock_timestamp()")
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        if not await connection.fetchval(_OPEN_SINCE, WRITER, committed_at):
            break
        await asyncio.sleep(_PAUSE)
    await settle(connection, partner_id, statement_ids)


async def sweep(database: Database) -> int:
    """Settles what a crash has left unsettled; returns how many statements lack nothing now."""
    settled = 0
    with errors_translated():
        for row in await database.writers.fetch(_UNSETTLED):
            ids = map(str, row["statement_ids"])
            settled += len(await settle(database.writers, row["partner_id"], ids))
    return settled
