"""Resolves StatementRefs: a statement inherits the index keys of its target.

A statement whose object is a StatementRef matches every filter that its target matches, through any
number of references and in any order of arrival (xAPI 1.0.3 Communication 2.1.3). Inherited keys
are index entries of the referring statement; see reference_chains.py.

A reference whose chain of targets is stored is resolved by the insert of its statement
(`load_inherited` before it). Otherwise it is pending, and waits for the first missing statement.
The transaction that stores that statement resolves it (`resolve`). Two concurrent transactions do
not see each other; `resolve_after_commit` runs once more when every transaction open at the commit
has ended.

One call inherits a bounded number of keys. The rest is left to the backlog; see
reference_backlog.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.store.postgres import WRITER, Connection
from lrs.store.statements import reference_chains
from lrs.store.statements.partner_keys import key_salt
from lrs.store.statements.reference_chains import Inherited

_WAITING = resources.query("list_waiting_references")
_RESOLVE = resources.query("resolve_references")
_ADD_TO_BACKLOG = resources.query("insert_reference_backlog")
_OPEN_WRITERS = resources.query("list_open_writers")

_OPEN_WRITERS_TIMEOUT = 0.25
_POLL_INTERVAL = 0.002

# Bounds of one call. A batch of 1,000 voiding statements inherits about 7,000 keys.
MAX_REFERENCES = 1_000
MAX_KEYS = 20_000
_MAX_QUERIES = 10
_REFERENCES_PER_QUERY = 500
_KEYS_PER_QUERY = 2_000


@dataclass(frozen=True, slots=True)
class Reference:
    """A pending reference: its target, and the missing statement that it waits for."""

    target: str
    waits_for: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of a call.

    `resolved` counts references, `pending` still wait for a missing statement, `left` are beyond
    the bounds of one call.
    """

    resolved: int
    pending: dict[str, Reference]
    left: list[Reference]


async def load_inherited(
    connection: Connection, partner_id: int, targets: Mapping[str, str], max_keys: int = MAX_KEYS
) -> dict[str, Inherited]:
    """What statements inherit; `targets` are the targets by statement id.

    Omits statements beyond the bounds of one call.
    """
    inherited: dict[str, Inherited] = {}
    remaining = list(targets)
    key_count, size = 0, _REFERENCES_PER_QUERY
    for _ in range(_MAX_QUERIES):
        if not remaining or key_count >= max_keys:
            break
        chunk = {statement_id: targets[statement_id] for statement_id in remaining[:size]}
        loaded = await reference_chains.load_inherited(connection, partner_id, chunk)
        for statement_id, item in loaded.items():
            if key_count < max_keys:
                inherited[statement_id] = item
                key_count += len(item.keys)
        if len(loaded) < len(chunk):
            size = max(1, len(chunk) // 8)
        remaining = [statement_id for statement_id in remaining if statement_id not in inherited]
    return inherited


async def list_waiting(
    connection: Connection, partner_id: int, statement_ids: Iterable[str], limit: int
) -> dict[str, Reference]:
    """The first pending references that wait for one of the statements, by statement id."""
    rows = await connection.fetch(_WAITING, partner_id, sorted(statement_ids), limit)
    return {statement_id: Reference(target, waits_for) for statement_id, target, waits_for in rows}


async def resolve(
    connection: Connection,
    partner_id: int,
    references: Mapping[str, Reference],
    max_keys: int = MAX_KEYS,
) -> Resolution:
    """Inserts the inherited index entries of stored references. Idempotent."""
    targets = {statement_id: item.target for statement_id, item in references.items()}
    inherited = await load_inherited(connection, partner_id, targets, max_keys)
    changed = {
        statement_id: item
        for statement_id, item in inherited.items()
        if item.waits_for != references[statement_id].waits_for
    }
    if changed:
        await _update(connection, partner_id, changed)
    pending = {
        statement_id: Reference(targets[statement_id], item.waits_for)
        for statement_id, item in inherited.items()
        if item.waits_for is not None
    }
    left = [item for key, item in references.items() if key not in inherited]
    return Resolution(len(inherited) - len(pending), pending, left)


async def _update(
    connection: Connection, partner_id: int, changed: Mapping[str, Inherited]
) -> None:
    """Writes what references inherit, in short queries: lists wait for open transactions."""
    for ids in _parts(changed):
        part = {statement_id: changed[statement_id] for statement_id in ids}
        await connection.execute(
            _RESOLVE,
            partner_id,
            *reference_chains.key_set_columns(part, key_salt(partner_id)),
            [item.waits_for for item in part.values()],
        )


def _parts(changed: Mapping[str, Inherited]) -> Iterator[list[str]]:
    """The sorted statement ids, in parts with about 2,000 keys."""
    part: list[str] = []
    key_count = 0
    for statement_id in sorted(changed):
        part.append(statement_id)
        key_count += len(changed[statement_id].keys)
        if key_count >= _KEYS_PER_QUERY:
            yield part
            part, key_count = [], 0
    if part:
        yield part


async def resolve_stored(
    connection: Connection,
    partner_id: int,
    stored: Collection[str],
    own: Mapping[str, Reference],
) -> dict[str, Reference]:
    """Resolves the references that wait for statements just `stored`, and `own` ones of those.

    Returns those that wait for another statement now. References beyond the bounds of one call are
    left to the backlog.
    """
    waiting = await list_waiting(connection, partner_id, stored, MAX_REFERENCES) if stored else {}
    result = await resolve(connection, partner_id, {**waiting, **own})
    left = [item.waits_for for item in result.left]
    if len(waiting) == MAX_REFERENCES:
        left += stored
    await leave_to_backlog(connection, partner_id, left)
    return result.pending


async def resolve_after_commit(
    connection: Connection, partner_id: int, pending: Mapping[str, Reference]
) -> None:
    """Resolves references whose targets concurrent transactions may have stored.

    Call it after the commit of the references: transactions that begin later see them. Waits up to
    0.25 s for write transactions opened before that.
    """
    await _wait_for_open_writers(connection)
    result = await resolve(connection, partner_id, pending)
    await leave_to_backlog(connection, partner_id, [item.waits_for for item in result.left])


async def leave_to_backlog(
    connection: Connection, partner_id: int, statement_ids: Collection[str]
) -> None:
    """Leaves the references that wait for the statements to the background."""
    if statement_ids:
        await connection.execute(_ADD_TO_BACKLOG, partner_id, sorted(set(statement_ids)))


async def _wait_for_open_writers(connection: Connection) -> None:
    deadline = time.monotonic() + _OPEN_WRITERS_TIMEOUT
    open_writers = await _list_open_writers(connection)
    while open_writers and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_INTERVAL)
        open_writers &= await _list_open_writers(connection)


async def _list_open_writers(connection: Connection) -> set[tuple[int, datetime]]:
    """Process id and start of the open transactions of other writers."""
    return {
        (row["pid"], row["xact_start"]) for row in await connection.fetch(_OPEN_WRITERS, WRITER)
    }
