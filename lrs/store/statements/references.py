"""What a statement inherits from the one it refers to (xAPI 1.0.3 Communication 2.1.3).

A statement whose object is a StatementRef is found by whatever finds its target, at any distance,
in whichever order they came. It is linked when both are there: in the transaction of the later one
as a rule. Two transactions that do not see each other are caught by looking again once every writer
that was open at the time is done (`settle_late`), and a crash in between by `sweep`. A reference is
settled when nothing is left to come: none of its targets, the farthest included, is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import cache

import orjson

from lrs import resources
from lrs.store.postgres import WRITER, Connection, Database, errors_translated
from lrs.store.statements.partner_keys import salt
from lrs.xapi import index_keys

_INHERITANCE = resources.query("list_reference_chains")
_INHERIT = resources.query("resolve_references")
_UNSETTLED = resources.query("list_pending_references")
_OPEN_SINCE = resources.query("has_open_writers")

_PATIENCE = 2.0
_PAUSE = 0.002


# Each statement of a chain has all that those behind it speak of, so the links grow with the square
# of its length. A statement whose target alone has less takes this many from farther ones; all that
# are settled together share the larger number.
_ENOUGH = 100
_ENOUGH_TOGETHER = 1_000_000

Links = dict[int, int]


@dataclass(frozen=True, slots=True)
class _Node:
    """A statement on the way: what it refers to, and its payload, if it is here."""

    target: str | None
    payload: str | None


@dataclass(frozen=True, slots=True)
class _Heritage:
    """What a statement inherits, the nearest first; complete if none of its targets is missing."""

    links: Links
    complete: bool


_NOTHING = _Heritage({}, complete=True)


async def settle(
    connection: Connection, partner_id: int, statement_ids: Iterable[str]
) -> frozenset[str]:
    """Links what is new among, or refers to, the given statements.

    Returns the ids of those that refer to others and have inherited all that they ever will: none
    of their targets, at any distance, is missing. May be repeated at will.
    """
    rows = await connection.fetch(_INHERITANCE, partner_id, sorted(statement_ids))
    nodes = {
        str(row["statement_id"]): _Node(row["target_id"] and str(row["target_id"]), row["payload"])
        for row in rows
    }
    heritage = _heritage(nodes)
    gaining = [str(row["statement_id"]) for row in rows if row["may_inherit"]]
    gained = {
        (key, statement_id): roles
        for statement_id in gaining
        for key, roles in heritage[statement_id].links.items()
    }
    settled = {each for each in gaining if nodes[each].target and heritage[each].complete}
    if gained or settled:
        await connection.execute(
            _INHERIT,
            partner_id,
            [statement_id for _, statement_id in gained],
            [key ^ salt(partner_id) for key, _ in gained],
            list(gained.values()),
            sorted(settled),
        )
    return frozenset(settled)


def _heritage(nodes: dict[str, _Node]) -> dict[str, _Heritage]:
    """What each statement inherits: what its target speaks of, and what that one inherits."""
    found: dict[str, _Heritage] = {}
    told = cache(
        lambda target: index_keys.inherited_entries(orjson.loads(str(nodes[target].payload)))
    )
    enough = max(_ENOUGH, _ENOUGH_TOGETHER // max(1, len(nodes)))
    for statement_id in nodes:
        way, turns = _way(nodes, statement_id, found)
        for each in list(reversed(way)) * turns:
            found[each] = _from_target(nodes, nodes[each].target, found, told, enough)
    return found


def _way(nodes: dict[str, _Node], start: str, found: Container[str]) -> tuple[list[str], int]:
    """The statements from this one on to the first whose heritage is known or that has no target.

    A way that leads back into itself has to be gone twice until each has what all speak of.
    """
    way: dict[str, None] = {}
    at: str | None = start
    while at in nodes and at not in found and at not in way:
        way[at] = None
        at = nodes[at].target
    return list(way), 2 if at in way else 1


def _from_target(
    nodes: dict[str, _Node],
    target: str | None,
    found: dict[str, _Heritage],
    told: Callable[[str], Links],
    enough: int,
) -> _Heritage:
    if target is None:
        return _NOTHING
    if target not in nodes or nodes[target].payload is None:
        return _Heritage({}, complete=False)
    behind = found.get(target, _NOTHING)
    together = dict(told(target))
    for key, roles in behind.links.items():
        if key in together or len(together) < enough:
            together[key] = together.get(key, 0) | roles
    return _Heritage(together, behind.complete)


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
