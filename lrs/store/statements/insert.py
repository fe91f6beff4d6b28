"""Inserts statements, with their index entries and references.

A statement row is written once and never updated. Whether a statement is voided, and which index
keys it inherits from the statement it refers to, follow from other rows. Statements may therefore
arrive in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from asyncpg import RaiseError

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.statements.definitions import NO_UPSERTS, PendingUpserts
from lrs.store.statements.partner_keys import key_salt
from lrs.store.statements.reference_chains import NOTHING, Inherited, key_set_columns
from lrs.xapi.canvas_callbacks import PageView
from lrs.xapi.definitions import identity_hash
from lrs.xapi.signatures import Signature

_INSERT = resources.query("insert_statements")
_INSERT_PLAIN = resources.query("insert_plain_statements")
_STORED_DIGESTS = resources.query("list_stored_digests")

NOTHING_INHERITED: Mapping[str, Inherited] = {}

_ID_MEMBER_LENGTH = len('{"id":"00000000-0000-0000-0000-000000000000"')

_MAX_COMPARED_BYTES = 8_388_608
"""Total size of the stored statements that are read to compare them with conflicting ones."""


class StatementRow(msgspec.Struct, frozen=True, gc=False):
    """A valid, completed statement, ready for its insert; only `stored` is missing.

    `body` is the JSON text up to its last member, with a trailing comma. The insert appends
    `timestamp`, unless `has_timestamp`, and `stored`. The keys are unsalted 64-bit index keys:
    `actor_key` of an actor that is one identified agent, `object_key` of an object that is an
    activity; `index_entries` are all others, pairs of key and bit mask of roles. `target_id` is the
    id of the statement that a StatementRef refers to; `voids` whether it voids that.

    Parts of other tables: `definitions`, pairs of activity id and its definitions as JSON texts;
    `names`, pairs of agent identity and name; `contents` of attachments, pairs of SHA-2 in
    hexadecimal and bytes; `signatures`, the results of their verification; the `page_view` of a
    callback. `source` is the code of the interface that received it (`lrs.store.intake`). If its id
    is taken, a callback with a `fallback_id` is stored under that.
    """

    statement_id: str
    digest: bytes
    verb_key: int
    authority_key: int
    actor_key: int | None
    object_key: int | None
    organization: str | None
    has_timestamp: bool
    body: str
    index_entries: tuple[tuple[int, int], ...]
    target_id: str | None
    voids: bool
    definitions: Sequence[tuple[str, tuple[bytes, ...]]] = ()
    names: Sequence[tuple[str, str]] = ()
    contents: tuple[tuple[str, bytes], ...] = ()
    signatures: tuple[Signature, ...] = ()
    page_view: PageView | None = None
    source: int | None = None
    fallback_id: str | None = None

    @property
    def text(self) -> str:
        """The JSON text without the members that the insert appends."""
        return self.body.rstrip(",") + "}"

    def with_fallback_id(self) -> StatementRow:
        """The row of a callback under its other id."""
        assert self.fallback_id  # noqa: S101 - the caller has checked it
        assert self.page_view  # noqa: S101 - the row is that of a callback
        return msgspec.structs.replace(
            with_id(self, self.fallback_id),
            page_view=replace(self.page_view, reuses_id=True),
            fallback_id=None,
        )


def with_id(row: StatementRow, statement_id: str) -> StatementRow:
    """The row under another id; its body begins with the id, which the server has set."""
    body = f'{{"id":"{statement_id}"{row.body[_ID_MEMBER_LENGTH:]}'
    return msgspec.structs.replace(row, statement_id=statement_id, body=body)


@dataclass(frozen=True, slots=True)
class ExistingStatement:
    """The stored statement with the id of a refused one.

    `payload` is its JSON text if its digest differs, up to 8 MiB of payloads per query; else None.
    """

    digest: bytes
    payload: str | None


InsertResult = ExistingStatement | None
"""None if the statement was inserted, else the statement already stored under its id."""


@dataclass(frozen=True, slots=True)
class InsertedIds:
    """The result of an insert.

    `ids` were new; pending references wait for `waited_for` of them; the stored definitions of
    `changed_activities` changed.
    """

    ids: frozenset[str]
    waited_for: frozenset[str]
    changed_activities: frozenset[str]


class BatchAborted(Exception):
    """Nothing of an atomic batch was inserted, because one of its ids exists."""


async def insert_new(
    connection: Connection,
    partner_id: int,
    rows: Sequence[StatementRow],
    pending: PendingUpserts = NO_UPSERTS,
    inherited: Mapping[str, Inherited] = NOTHING_INHERITED,
    *,
    atomic: bool = False,
) -> InsertedIds:
    """Inserts the rows whose ids are new, and what is pending of them, in one round trip.

    The ids of `rows` must be distinct. `inherited` are the keys that statements inherit, by
    statement id; a StatementRef without an item in it stays pending. With `atomic`, raises
    BatchAborted unless all are new. Do not use `atomic` within a transaction, which it may abort.
    """
    own = _columns(partner_id, rows, inherited)
    references = _reference_columns(rows)
    if not (atomic or pending.definitions or pending.names or references[0]):
        return await _insert_plain(connection, partner_id, rows, own)
    columns = (
        *own,
        *references,
        *_pending_columns(pending),
        *_resolution_columns(rows, inherited),
        *key_set_columns(inherited, key_salt(partner_id)),
        [row.source for row in rows],
    )
    try:
        # Null is the same as an empty array, and costs less to send and to receive.
        (record,) = await connection.fetch(
            _INSERT, partner_id, atomic, *(column or None for column in columns)
        )
    except RaiseError as error:
        raise BatchAborted from error
    stored, ids, waited_for, changed = record
    if atomic and stored < len(rows):
        raise BatchAborted
    if stored == len(rows):
        ids = [row.statement_id for row in rows]
    return InsertedIds(frozenset(ids or ()), frozenset(waited_for or ()), frozenset(changed))


async def _insert_plain(
    connection: Connection,
    partner_id: int,
    rows: Sequence[StatementRow],
    columns: Sequence[Sequence[object]],
) -> InsertedIds:
    sources = [row.source for row in rows]
    (record,) = await connection.fetch(
        _INSERT_PLAIN, partner_id, *(column or None for column in columns), sources
    )
    stored, ids, waited_for = record
    if stored == len(rows):
        ids = [row.statement_id for row in rows]
    return InsertedIds(frozenset(ids or ()), frozenset(waited_for or ()), frozenset())


def _columns(
    partner_id: int, rows: Sequence[StatementRow], inherited: Mapping[str, Inherited]
) -> tuple[Sequence[object], ...]:
    """Arrays of the columns of the rows and of their index entries."""
    salt = key_salt(partner_id)
    index_entries = [
        (row.statement_id, key ^ salt, roles)
        for row in rows
        for key, roles in (_own_entries(row, inherited) if row.target_id else row.index_entries)
    ]
    return (
        [row.statement_id for row in rows],
        [row.verb_key ^ salt for row in rows],
        [row.authority_key ^ salt for row in rows],
        [None if row.actor_key is None else row.actor_key ^ salt for row in rows],
        [None if row.object_key is None else row.object_key ^ salt for row in rows],
        [row.organization for row in rows],
        [row.digest for row in rows],
        [row.has_timestamp for row in rows],
        [row.body for row in rows],
        [statement_id for statement_id, _, _ in index_entries],
        [key for _, key, _ in index_entries],
        [roles for _, _, roles in index_entries],
    )


def _reference_columns(rows: Sequence[StatementRow]) -> tuple[Sequence[object], ...]:
    references = [row for row in rows if row.target_id is not None]
    return (
        [row.statement_id for row in references],
        [row.target_id for row in references],
        [row.voids for row in references],
    )


def _own_entries(
    row: StatementRow, inherited: Mapping[str, Inherited]
) -> Iterable[tuple[int, int]]:
    """The index entries of a row, without keys that it inherits too: a key is inserted once."""
    keys = inherited.get(row.statement_id, NOTHING).keys
    return [(key, roles) for key, roles in row.index_entries if key not in keys]


def _resolution_columns(
    rows: Sequence[StatementRow], inherited: Mapping[str, Inherited]
) -> tuple[Sequence[object], ...]:
    """Arrays of two columns of the references: `resolved`, and what pending ones wait for."""
    items = [inherited.get(row.statement_id) for row in rows if row.target_id is not None]
    return (
        [item is not None and item.waits_for is None for item in items],
        [item and item.waits_for for item in items],
    )


def _pending_columns(pending: PendingUpserts) -> tuple[Sequence[object], ...]:
    """Arrays of the columns of definitions and names."""
    definitions = [
        (statement_id, activity, text)
        for statement_id, activity, texts in pending.definitions
        for text in texts
    ]
    return (
        [statement_id for statement_id, _, _ in definitions],
        [identity_hash(activity) for _, activity, _ in definitions],
        [activity for _, activity, _ in definitions],
        [text.decode() for _, _, text in definitions],
        [statement_id for statement_id, _, _ in pending.names],
        [identity_hash(identity) for _, identity, _ in pending.names],
        [identity_hash(name) for _, _, name in pending.names],
        [name for _, _, name in pending.names],
    )


async def find_existing(
    connection: Connection, partner_id: int, rows: Sequence[StatementRow]
) -> dict[tuple[str, bytes], ExistingStatement]:
    """The stored statements with the ids of `rows`, by id and digest of the row.

    Within the transaction of an insert, call it after the insert: only a later query sees the rows
    of concurrent transactions.
    """
    records = await connection.fetch(
        _STORED_DIGESTS,
        partner_id,
        [row.statement_id for row in rows],
        [row.digest for row in rows],
        _MAX_COMPARED_BYTES,
    )
    return {
        (str(record["statement_id"]), record["digest"]): ExistingStatement(
            record["stored_digest"], record["payload"]
        )
        for record in records
    }


async def preview(
    database: Database, partner_id: int, rows: Sequence[StatementRow]
) -> list[InsertResult]:
    """The results that an insert of `rows` would have, in order. Nothing is inserted."""
    with translate_errors():
        stored = await find_existing(database.readers, partner_id, rows)
    first_rows: dict[str, StatementRow] = {}
    results: list[InsertResult] = []
    for row in rows:
        existing = stored.get((row.statement_id, row.digest))
        first = first_rows.setdefault(row.statement_id, row)
        if existing is None and first is not row:
            existing = ExistingStatement(first.digest, first.text)
        results.append(existing)
    return results
