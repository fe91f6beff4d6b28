"""Documents of a learner: State and Agent Profile resources under any of its identifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lrs import resources
from lrs.errors import NotFound
from lrs.store.postgres import Database, translate_errors

MAX_DOCUMENTS = 100
MAX_CONTENT_BYTES = 65_536

_LIST = resources.query("list_learner_documents")
_GET = resources.query("get_learner_document")

_KEY = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document without its content; `document_key` identifies it within the partner."""

    document_key: str
    kind: str
    activity: str | None
    agent: str
    registration: UUID | None
    document_id: str
    content_type: str
    size: int
    updated: datetime


@dataclass(frozen=True, slots=True)
class DocumentContent:
    """A document with at most MAX_CONTENT_BYTES of its content."""

    kind: str
    activity: str | None
    agent: str
    registration: UUID | None
    document_id: str
    content_type: str
    size: int
    updated: datetime
    etag: str
    content: bytes


async def list_documents(
    database: Database, partner_id: int, person_id: int, limit: int = MAX_DOCUMENTS
) -> list[DocumentRow]:
    """The last changed first."""
    with translate_errors():
        rows = await database.readers.fetch(_LIST, partner_id, person_id, limit)
    return [DocumentRow(**row) for row in rows]


async def get_document(
    database: Database, partner_id: int, person_id: int, key: str
) -> DocumentContent:
    """Raises NotFound."""
    row = None
    if _KEY.fullmatch(key):
        keys = bytes.fromhex(key)
        with translate_errors():
            row = await database.readers.fetchrow(
                _GET, partner_id, person_id, keys[:16], keys[16:], MAX_CONTENT_BYTES
            )
    if row is None:
        raise NotFound(f"Document {key[:80]!r} of the learner not found.")
    return DocumentContent(**row)
