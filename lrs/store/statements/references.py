"""Resolves StatementRefs: a statement inherits the index keys of its target.

A statement whose object is a StatementRef matches every filter that its target matches, through any
number of references and in any order of arrival (xAPI 1.0.3 Communication 2.1.3). Inherited keys
are index entries of the referring statement.

A reference is resolved in the transaction that stores the later of the two statements. Two
concurrent transactions do not see each other; `resolve_after_commit` runs once more when every
transaction open at the commit has ended. `resolve_pending` repairs references left by a crash
between the two. A reference stays pending while its target, or any target behind that, is
missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import cache

import orjson

from lrs import resources
from lrs.store.postgres import WRITER, Connection, Database, translate_errors
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys

_CHAINS = resources.query("list_reference_chains")
_INSERT_INHERITED = resources.query("resolve_references")
_PENDING = resources.query("list_pending_references")
_OPEN_SINCE = resources.query("has_open_writers")

_OPEN_WRITERS_TIMEOUT = 2.0
_POLL_INTERVAL = 0.002

# A statement inherits the keys of every target in its chain. The number of index entries would grow
# with the square of the length of the chain. A statement therefore takes keys of targets behind its
# direct target only up to a limit: 100, or its share of 1,000,000 keys per call, if that is more.
_MIN_KEY_LIMIT = 100
_MAX_INHERITED_KEYS_PER_CALL = 1_000_000

Keys = dict[int, int]
"""Unsalted index key -> bit set of roles."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A statement of a chain: its target, and its JSON text if it is stored."""

    target: str | None
    payload: str | None


@dataclass(frozen=True, slots=True)
class _Inherited:
    """The keys that a statement inherits, the nearest first.

    `is_complete` is False while a target of the chain is missing.
    """

    keys: Keys
    is_complete: bool


_NOTHING = _Inherited({}, is_complete=True)


async def resolve(
    connection: Connection, partner_id: int, statement_ids: Iterable[str]
) -> frozenset[str]:
    """Inserts the inherited index entries of the statements, and of those that refer to them.

    Returns the ids of the references that are resolved: no target of their chain is missing.
    Idempotent.
    """
    rows = await connection.fetch(_CHAINS, partner_id, sorted(statement_ids))
    nodes = {
        str(row["statement_id"]): _Node(row["target_id"] and str(row["target_id"]), row["payload"])
        for row in rows
    }
    inherited = _inherit(nodes)
    referring_ids = [str(row["statement_id"]) for row in rows if row["may_inherit"]]
    entries = {
        (key, statement_id): roles
        for statement_id in referring_ids
        for key, roles in inherited[statement_id].keys.items()
    }
    resolved = {
        statement_id
        for statement_id in referring_ids
        if nodes[statement_id].target and inherited[statement_id].is_complete
    }
    if entries or resolved:
        salt = key_salt(partner_id)
        await connection.execute(
            _INSERT_INHERITED,
            partner_id,
            [statement_id for _, statement_id in entries],
            [key ^ salt for key, _ in entries],
            list(entries.values()),
            sorted(resolved),
        )
    return frozenset(resolved)


def _inherit(nodes: dict[str, _Node]) -> dict[str, _Inherited]:
    """What every statement inherits: the keys of its target, and what the target inherits."""
    inherited: dict[str, _Inherited] = {}
    payload_keys = cache(
        lambda target: index_keys.inherited_entries(orjson.loads(str(nodes[target].payload)))
    )
    key_limit = max(_MIN_KEY_LIMIT, _MAX_INHERITED_KEYS_PER_CALL // max(1, len(nodes)))
    for statement_id in nodes:
        chain, passes = _unvisited_chain(nodes, statement_id, inherited)
        for node_id in list(reversed(chain)) * passes:
            inherited[node_id] = _from_target(
                nodes, nodes[node_id].target, inherited, payload_keys, key_limit
            )
    return inherited


def _unvisited_chain(
    nodes: dict[str, _Node], start: str, visited: Container[str]
) -> tuple[list[str], int]:
    """The chain from `start` up to the first visited statement, and the number of passes over it.

    A cycle needs two passes until every statement has the keys of all others.
    """
    chain: dict[str, None] = {}
    current: str | None = start
    while current in nodes and current not in visited and current not in chain:
        chain[current] = None
        current = nodes[current].target
    return list(chain), 2 if current in chain else 1


def _from_target(
    nodes: dict[str, _Node],
    target: str | None,
    inherited: dict[str, _Inherited],
    payload_keys: Callable[[str], Keys],
    key_limit: int,
) -> _Inherited:
    if target is None:
        return _NOTHING
    if target not in nodes or nodes[target].payload is None:
        return _Inherited({}, is_complete=False)
    behind = inherited.get(target, _NOTHING)
    keys = dict(payload_keys(target))
    for key, roles in behind.keys.items():
        if key in keys or len(keys) < key_limit:
            keys[key] = keys.get(key, 0) | roles
    return _Inherited(keys, behind.is_complete)


async def resolve_after_commit(
    connection: Connection, partner_id: int, statement_ids: frozenset[str]
) -> None:
    """Resolves references whose targets concurrent transactions may have stored.

    Call it after the commit of the references: transactions that begin later see them. Waits up to
    2 s for write transactions opened before that.
    """
    committed_at = await connection.fetchval("select clock_timestamp()")
    deadline = time.monotonic() + _OPEN_WRITERS_TIMEOUT
    while time.monotonic() < deadline:
        if not await connection.fetchval(_OPEN_SINCE, WRITER, committed_at):
            break
        await asyncio.sleep(_POLL_INTERVAL)
    await resolve(connection, partner_id, statement_ids)


async def resolve_pending(database: Database) -> int:
    """Resolves pending references of every partner whose target is stored; returns their number."""
    resolved = 0
    with translate_errors():
        for row in await database.writers.fetch(_PENDING):
            statement_ids = map(str, row["statement_ids"])
            resolved += len(await resolve(database.writers, row["partner_id"], statement_ids))
    return resolved
