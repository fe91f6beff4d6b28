"""Chains of StatementRefs: which index keys a statement inherits from its targets.

A statement inherits the keys of its target and of every statement behind that, the nearest first,
100 at most (xAPI 1.0.3 Communication 2.1.3). Without a limit, a few hundred small statements could
inherit the 20,000 activities of one large target each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import orjson

from lrs import resources
from lrs.store.postgres import Connection
from lrs.xapi import index_keys

_CHAINS = resources.query("list_reference_chains")

MAX_INHERITED_KEYS = 100

# Bounds of one query, and of the work on its result. A chain that is longer ends there.
_MAX_NODES = 2_000
_MAX_PAYLOAD_BYTES = 4_194_304

# More than this is parsed in a thread.
_MAX_NODES_ON_EVENT_LOOP = 50
_MAX_BYTES_ON_EVENT_LOOP = 65_536

_Row = tuple[str, str | None, bool, str | None]
"""Statement id, id of its target, whether it is stored, its JSON text if it is loaded."""

Keys = Mapping[int, int]
"""Unsalted index key -> bit set of roles."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """The keys that a statement inherits, the nearest first.

    `waits_for` is the first missing statement of the chain; None if the chain is complete.
    """

    keys: Keys
    waits_for: str | None = None


NOTHING = Inherited({})
_CUT = Inherited({}, waits_for="")
"""What a statement inherits whose target is stored but not loaded."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A statement of a chain: its target, whether it is stored, its JSON text if it is loaded."""

    target: str | None
    is_stored: bool
    payload: str | None


def key_set_columns(
    inherited: Mapping[str, Inherited], salt: int
) -> tuple[list[str], list[int], list[int], list[int], list[int]]:
    """Arrays for a query: statement ids with the number of their set of keys, and these sets.

    Thousands of statements can inherit the same keys; to encode each of them takes long.
    """
    numbers: dict[int, int] = {}
    keys: list[tuple[int, int, int]] = []
    for item in inherited.values():
        if id(item.keys) not in numbers:
            number = numbers[id(item.keys)] = len(numbers)
            keys += [(number, key ^ salt, roles) for key, roles in item.keys.items()]
    return (
        list(inherited),
        [numbers[id(item.keys)] for item in inherited.values()],
        [number for number, _, _ in keys],
        [key for _, key, _ in keys],
        [roles for _, _, roles in keys],
    )


async def load_inherited(
    connection: Connection, partner_id: int, targets: Mapping[str, str]
) -> dict[str, Inherited]:
    """What statements inherit; `targets` are the targets by statement id.

    The result omits statements whose chains exceed the bounds of a query, unless `targets` is one
    statement: its chain ends at the bounds.
    """
    records = await connection.fetch(
        _CHAINS, partner_id, sorted(set(targets.values())), _MAX_PAYLOAD_BYTES
    )
    rows: list[_Row] = [tuple(record) for record in records]
    size = sum(len(payload) for *_, payload in rows if payload)
    if len(rows) > _MAX_NODES_ON_EVENT_LOOP or size > _MAX_BYTES_ON_EVENT_LOOP:
        return await asyncio.to_thread(_from_rows, rows, targets)
    return _from_rows(rows, targets)


def _from_rows(rows: Sequence[_Row], targets: Mapping[str, str]) -> dict[str, Inherited]:
    nodes = {
        statement_id: _Node(target, is_stored, payload)
        for statement_id, target, is_stored, payload in rows[:_MAX_NODES]
    }
    inherit = _Inheritance(nodes)
    result = {key: inherit.from_target(target) for key, target in targets.items()}
    if len(result) == 1:
        return {key: Inherited(item.keys, item.waits_for or None) for key, item in result.items()}
    return {key: item for key, item in result.items() if item.waits_for != ""}


class _Inheritance:
    """Computes what statements inherit, each node once."""

    def __init__(self, nodes: Mapping[str, _Node]) -> None:
        self._nodes = nodes
        self._inherited: dict[str, Inherited] = {}
        self._by_target: dict[str, Inherited] = {}
        self._keys: Callable[[str], Keys] = cache(self._payload_keys)

    def from_target(self, target: str) -> Inherited:
        """What a statement with this target inherits; the same object for all of them."""
        if target not in self._by_target:
            self._by_target[target] = self._resolve(target)
        return self._by_target[target]

    def _resolve(self, target: str) -> Inherited:
        chain, passes = self._unvisited_chain(target)
        for node_id in list(reversed(chain)) * passes:
            if next_target := self._nodes[node_id].target:
                self._inherited[node_id] = self._merge(next_target)
        return self._merge(target)

    def _unvisited_chain(self, start: str) -> tuple[list[str], int]:
        """The chain from `start` up to the first visited node, and the number of passes over it.

        A cycle needs two passes until every statement has the keys of all others.
        """
        chain: dict[str, None] = {}
        current: str | None = start
        while (
            current is not None
            and current in self._nodes
            and current not in self._inherited
            and current not in chain
        ):
            chain[current] = None
            current = self._nodes[current].target
        return list(chain), 2 if current in chain else 1

    def _merge(self, target: str) -> Inherited:
        """The keys of the target, and what the target inherits."""
        node = self._nodes.get(target)
        if node is None:
            return _CUT
        if not node.is_stored:
            return Inherited({}, waits_for=target)
        if node.payload is None:
            return _CUT
        behind = self._inherited.get(target, NOTHING)
        keys = dict(self._keys(target))
        for key, roles in behind.keys.items():
            if key in keys or len(keys) < MAX_INHERITED_KEYS:
                keys[key] = keys.get(key, 0) | roles
        return Inherited(keys, behind.waits_for)

    def _payload_keys(self, target: str) -> Keys:
        statement = orjson.loads(self._nodes[target].payload or "")
        return index_keys.inherited_entries(statement, MAX_INHERITED_KEYS)
