"""Documents: read, replaced, changed by compare and swap, deleted.

A change is decided on what is there, and written only if that is still there: by its ETag and
content type, which together are all that a decision can rest on. A lost swap is decided again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.errors import ConcurrencyConflict
from lrs.store.postgres import Connection, Database, errors_translated
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

_LOCKED_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Name:
    """Where a document is kept."""

    partner_id: int
    scope: Scope
    document_id: str

    @property
    def key(self) -> tuple[int, bytes, bytes]:
        return self.partner_id, self.scope.key, self.scope.document_key(self.document_id)


@dataclass(frozen=True, slots=True)
class Stored:
    document: Document
    updated: datetime


Decide = Callable[[Document | None], Document | None]
"""From what is there to what shall be there; None is no document. It may raise to refuse."""


async def one(database: Database, name: Name) -> Stored | None:
    with errors_translated():
        row = await database.readers.fetchrow(_ONE, *name.key)
    if row is None:
        return None
    return Stored(Document(row["content"], row["content_type"], row["etag"]), row["updated"])


async def ids(
    database: Database, partner_id: int, scope: Scope, since: datetime | None
) -> list[tuple[str, datetime]]:
    """The ids of a scope, and when each document was last changed, if that was after `since`."""
    with errors_translated():
        rows = await database.readers.fetch(_IDS, partner_id, scope.key, scope.registration, since)
    return [(row["document_id"], row["updated"]) for row in rows]


async def change(database: Database, name: Name, decide: Decide) -> Document | None:
    """Makes of the document what `decide` says, in one atomic step, and returns that.

    Raises what `decide` raises, with nothing changed.
    """
    with errors_translated():
        async with database.writers.acquire() as connection:
            found = await _read(connection, name, _ONE)
            if await _swap(connection, name, found, wanted := decide(found)):
                return wanted
            # From here on the document is locked: only its coming and going can lose a swap.
            for _ in range(_LOCKED_ATTEMPTS):
                async with connection.transaction():
                    found = await _read(connection, name, _ONE_LOCKED)
                    if await _swap(connection, name, found, wanted := decide(found)):
                        return wanted
    raise ConcurrencyConflict(
        "Others keep creating and deleting this document; nothing was changed.",
        headers={"Retry-After": "1"},
    )


async def replace(database: Database, name: Name, document: Document) -> None:
    """Stores the document, whatever was there."""
    with errors_translated():
        await database.writers.execute(_UPSERT, *_row(name, document))


async def delete(database: Database, name: Name) -> None:
    with errors_translated():
        await database.writers.execute(_DELETE, *name.key)


async def delete_all(database: Database, partner_id: int, scope: Scope) -> None:
    with errors_translated():
        await database.writers.execute(_DELETE_ALL, partner_id, scope.key, scope.registration)


async def _read(connection: Connection, name: Name, query: str) -> Document | None:
    row = await connection.fetchrow(query, *name.key)
    return None if row is None else Document(row["content"], row["content_type"], row["etag"])


async def _swap(
    connection: Connection, name: Name, found: Document | None, wanted: Document | None
) -> bool:
    """Whether what was found was still there and is now what is wanted."""
    if found is None:
        if wanted is None:
            return True
        status = await connection.execute(_INSERT, *_row(name, wanted))
    else:
        old = (*name.key, found.etag, found.content_type)
        if wanted is None:
            status = await connection.execute(_SWAP_DELETE, *old)
        else:
            new = (wanted.content_type, wanted.etag, wanted.content)
            status = await connection.execute(_UPDATE, *old, *new)
    return not status.endswith(" 0")


def _row(name: Name, document: Document) -> tuple[object, ...]:
    scope = name.scope
    return (
        *name.key,
        scope.kind,
        scope.activity,
        scope.agent,
        scope.registration,
        name.document_id,
        document.content_type,
        document.etag,
        document.content,
    )
