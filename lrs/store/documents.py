"""Documents of the State and Profile resources: read, upsert, compare and swap, delete.

A conditional change is optimistic: it reads the document, computes the new one, and writes only if
ETag and content type are still the same. A lost swap is repeated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.errors import ConcurrencyConflict
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.xapi.documents import Document, Scope

_ONE = resources.query("get_document")
_ONE_LOCKED = resources.query("get_document_for_update")
_IDS = resources.query("list_document_ids")
_INSERT = resources.query("insert_document")
_UPDATE = resources.query("replace_document")
_UPSERT = resources.query("upsert_document")
_DELETE = resources.query("delete_document")
_SWAP_DELETE = resources.query("delete_document_if_unchanged")
_DELETE_ALL = resources.query("delete_documents")

_MAX_ATTEMPTS = 10
_MAX_LOCKED_BYTES = 16_384
"""A connection is held for a lock, and an update of more bytes may wait for a thread."""


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """The key of a document within its partner."""

    scope: Scope
    document_id: str

    def columns(self, partner_id: int) -> tuple[int, bytes, bytes]:
        """The primary key of the row: partner id, hash of the scope, hash of the document id."""
        return partner_id, self.scope.key, self.scope.document_key(self.document_id)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    document: Document
    updated: datetime


Update = Callable[[Document | None], Awaitable[Document | None]]
"""Computes the new document from the present one; None is no document. May raise to refuse."""


async def get(database: Database, partner_id: int, key: DocumentKey) -> StoredDocument | None:
    """The document, or None if there is none."""
    with translate_errors():
        row = await database.readers.fetchrow(_ONE, *key.columns(partner_id))
    if row is None:
        return None
    return StoredDocument(
        Document(row["content"], row["content_type"], row["etag"]), row["updated"]
    )


async def list_ids(
    database: Database, partner_id: int, scope: Scope, since: datetime | None
) -> list[tuple[str, datetime]]:
    """Pairs of id and time of the last change of a scope's documents, changed after `since`."""
    with translate_errors():
        rows = await database.readers.fetch(_IDS, partner_id, scope.key, scope.registration, since)
    return [(row["document_id"], row["updated"]) for row in rows]


async def compare_and_swap(
    database: Database, partner_id: int, key: DocumentKey, update: Update, *, sent_bytes: int = 0
) -> Document | None:
    """Replaces the document by the result of `update`, atomically, and returns that result.

    `update` runs again if another transaction changed the document in between. No connection is
    held while it runs, unless the stored document and what was sent are small. Raises what `update`
    raises, with nothing changed; ConcurrencyConflict after 10 lost swaps.
    """
    columns = key.columns(partner_id)
    with translate_errors():
        for _ in range(_MAX_ATTEMPTS):
            present = await _read(database.writers, _ONE, columns)
            new = await update(present)
            if await _swap(database.writers, partner_id, key, present, new):
                return new
            if sent_bytes + (len(present.content) if present else 0) <= _MAX_LOCKED_BYTES:
                return await _lock_and_swap(database, partner_id, key, update)
    raise _lost_swaps()


async def _lock_and_swap(
    database: Database, partner_id: int, key: DocumentKey, update: Update
) -> Document | None:
    """As compare_and_swap, but only an insert or a delete of the document can lose a swap."""
    async with database.writers.acquire() as connection:
        for _ in range(_MAX_ATTEMPTS):
            async with connection.transaction():
                present = await _read(connection, _ONE_LOCKED, key.columns(partner_id))
                new = await update(present)
                if await _swap(connection, partner_id, key, present, new):
                    return new
    raise _lost_swaps()


def _lost_swaps() -> ConcurrencyConflict:
    return ConcurrencyConflict(
        "Concurrent requests change this document; nothing was changed. Retry.",
        headers={"Retry-After": "1"},
    )


async def put(database: Database, partner_id: int, key: DocumentKey, document: Document) -> None:
    """Upserts the document, unconditionally."""
    with translate_errors():
        await database.writers.execute(_UPSERT, *_row(partner_id, key, document))


async def delete(database: Database, partner_id: int, key: DocumentKey) -> int:
    """Deletes the document, if there is one; returns its size in bytes."""
    with translate_errors():
        size = await database.writers.fetchval(_DELETE, *key.columns(partner_id))
    return size or 0


async def delete_all(database: Database, partner_id: int, scope: Scope) -> int:
    """Deletes every document of a scope; returns their size in bytes."""
    with translate_errors():
        size = await database.writers.fetchval(
            _DELETE_ALL, partner_id, scope.key, scope.registration
        )
    return int(size)


async def _read(
    connection: Connection, query: str, columns: tuple[int, bytes, bytes]
) -> Document | None:
    row = await connection.fetchrow(query, *columns)
    return None if row is None else Document(row["content"], row["content_type"], row["etag"])


async def _swap(
    connection: Connection,
    partner_id: int,
    key: DocumentKey,
    present: Document | None,
    new: Document | None,
) -> bool:
    """Replaces `present` by `new`; False if `present` is no longer the stored document."""
    if present is None:
        if new is None:
            return True
        status = await connection.execute(_INSERT, *_row(partner_id, key, new))
    else:
        expected = (*key.columns(partner_id), present.etag, present.content_type)
        if new is None:
            status = await connection.execute(_SWAP_DELETE, *expected)
        else:
            values = (new.content_type, new.etag, new.content)
            status = await connection.execute(_UPDATE, *expected, *values)
    return not status.endswith(" 0")


def _row(partner_id: int, key: DocumentKey, document: Document) -> tuple[object, ...]:
    scope = key.scope
    return (
        *key.columns(partner_id),
        scope.kind,
        scope.activity,
        scope.agent,
        scope.registration,
        key.document_id,
        document.content_type,
        document.etag,
        document.content,
    )
