"""Inserts statements, with their index entries and references.

A statement row is written once and never updated. Whether a statement is voided, and which index
keys it inherits from the statement it refers to, follow from other rows. Statements may therefore
arrive in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from asyncpg import UniqueViolationError

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.statements.definitions import News
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.canvas_callbacks import PageView
from lrs.xapi.definitions import identity_hash
from lrs.xapi.signatures import Signature

_GIVEN, _INSERT, _INSERT_ONE, _INSERT_ALL, _TELL, _INSERTED = (
    resources.sql_file(f"statements/{name}")
    for name in ("given", "insert", "insert_one", "insert_all", "tell", "inserted")
)
SEVERAL = f"{_GIVEN}{_INSERT}"
ONE = f"{_INSERT_ONE}{_INSERTED}"
ONE_TELLING = f"{_INSERT_ONE}, {_TELL}{_INSERTED}"
ALL_TELLING = f"{_GIVEN}{_INSERT_ALL}, {_TELL}{_INSERTED}"
_STORED_DIGESTS = resources.query("list_stored_digests")

_MAX_COMPARED_BYTES = 8_388_608
"""Total size of the stored statements that are read to compare them with conflicting ones."""


class StatementRow(msgspec.Struct, frozen=True, gc=False):
    """A valid, completed statement, ready for its insert; only `stored` is missing.

    `body` is the JSON text up to its last member, with a trailing comma. The insert appends
    `timestamp`, unless `timed`, and `stored`. The keys are unsalted 64-bit index keys:
    `actor_key` of an actor that is one identified agent, `object_key` of an object that is an
    activity; `links` are all other index entries, pairs of key and bit set of roles. `target` is
    the id of the statement that a StatementRef refers to; `voids` whether it voids that.

    Parts of other tables: `definitions`, pairs of activity id and definition as JSON text; `names`,
    pairs of agent identity and name; `contents` of attachments, pairs of SHA-2 in hexadecimal and
    bytes; `signatures`, the results of their verification; the `page_view` of a callback.
    """

    statement_id: str
    digest: bytes
    verb_key: int
    authority_key: int
    actor_key: int | None
    object_key: int | None
    organization: str | None
    timed: bool
    body: str
    links: tuple[tuple[int, int], ...]
    target: str | None
    voids: bool
    definitions: Sequence[tuple[str, bytes]] = ()
    names: Sequence[tuple[str, str]] = ()
    contents: tuple[tuple[str, bytes], ...] = ()
    signatures: tuple[Signature, ...] = ()
    page_view: PageView | None = None

    @property
    def text(self) -> str:
        """The JSON text without the members that the insert appends."""
        return self.body.rstrip(",") + "}"


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
    """The ids that were new, and those of them that stored statements refer to."""

    ids: frozenset[str]
    referred: frozenset[str]


async def insert_new(
    connection: Connection, partner_id: int, rows: Sequence[StatementRow]
) -> InsertedIds:
    """Inserts the rows whose ids are new. The ids of `rows` must be distinct."""
    references = [row for row in rows if row.target is not None]
    (record,) = await connection.fetch(
        SEVERAL,
        partner_id,
        *_columns(partner_id, rows),
        [row.statement_id for row in references],
        [row.target for row in references],
        [row.voids for row in references],
    )
    stored, ids, referred = record
    if stored == len(rows):
        ids = [row.statement_id for row in rows]
    return InsertedIds(frozenset(ids or ()), frozenset(referred or ()))


async def insert_one(
    connection: Connection, partner_id: int, row: StatementRow, news: News
) -> InsertedIds:
    """Inserts one row and `news` if its id is new. The row must not refer to another statement."""
    *values, keys, roles, _ = _columns(partner_id, [row])
    (record,) = await connection.fetch(
        ONE_TELLING if news else ONE,
        partner_id,
        *(value for (value,) in values),
        keys,
        roles,
        *(_definition_columns(1, news) if news else ()),
    )
    stored, referred = record
    return InsertedIds(frozenset((row.statement_id,) if stored else ()), frozenset(referred or ()))


async def insert_all_or_none(
    connection: Connection, partner_id: int, rows: Sequence[StatementRow], news: News
) -> InsertedIds | None:
    """Inserts the rows and `news` if every id is new; else inserts nothing and returns None.

    The ids must be distinct, and no row may refer to another statement. Within a transaction,
    `rows` must be empty, because a unique violation aborts the transaction.
    """
    *columns, index_entry_ids = _columns(partner_id, rows)
    try:
        (record,) = await connection.fetch(
            ALL_TELLING,
            partner_id,
            *columns,
            *_definition_columns(len(rows), news),
            index_entry_ids,
        )
    except UniqueViolationError:
        return None
    stored, referred = record
    if stored < len(rows):
        return None
    return InsertedIds(frozenset(row.statement_id for row in rows), frozenset(referred or ()))


def _columns(partner_id: int, rows: Sequence[StatementRow]) -> tuple[Sequence[object], ...]:
    """Arrays: nine columns of the rows; key, roles and statement id of their index entries."""
    salt = key_salt(partner_id)
    index_entries = [
        (row.statement_id, key ^ salt, roles) for row in rows for key, roles in row.links
    ]
    return (
        [row.statement_id for row in rows],
        [row.verb_key ^ salt for row in rows],
        [row.authority_key ^ salt for row in rows],
        [None if row.actor_key is None else row.actor_key ^ salt for row in rows],
        [None if row.object_key is None else row.object_key ^ salt for row in rows],
        [row.organization for row in rows],
        [row.digest for row in rows],
        [row.timed for row in rows],
        [row.body for row in rows],
        [key for _, key, _ in index_entries],
        [roles for _, _, roles in index_entries],
        [statement_id for statement_id, _, _ in index_entries],
    )


def _definition_columns(row_count: int, news: News) -> tuple[object, ...]:
    """The number of rows to insert, and arrays of the columns of definitions and names."""
    return (
        row_count,
        [identity_hash(activity) for activity in news.definitions],
        list(news.definitions),
        [text.decode() for text in news.definitions.values()],
        [identity_hash(identity) for identity, _ in news.names],
        [identity_hash(name) for _, name in news.names],
        [name for _, name in news.names],
    )


async def find_existing(
    connection: Connection, partner_id: int, rows: Sequence[StatementRow]
) -> dict[tuple[str, bytes], ExistingStatement]:
    """The stored statements with the ids of `rows`, by id and digest of the row.

    Within the transaction of an insert, this must be a statement of its own after the insert: only
    then does it see the rows of concurrent transactions.
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
    """The result of an insert of `rows`, without the insert: None where the id is new."""
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
