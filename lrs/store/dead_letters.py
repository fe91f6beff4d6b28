"""Dead letters: statements that a pipe could not deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from lrs.errors import NotFound
from lrs.store.named_queries import fetch
from lrs.store.postgres import Connection, Database
from lrs.store.storable_text import replace_unstorable

_MAX_RESPONSE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A statement that the target refuses; `request` is None if the stored text was sent.

    Its key is the id of the statement: one that is refused again is the same letter. `response` is
    kept up to 4 KiB.
    """

    statement_id: UUID
    reason: str
    url: str
    status: int | None = None
    request: str | None = None
    response: str | None = None
    attempts: int = 1
    retry: bool = False
    created_at: datetime | None = None


async def upsert_letters(
    connection: Connection, partner_id: int, name: str, letters: Sequence[DeadLetter]
) -> None:
    """Keeps refused statements; those that are refused again count their attempts."""
    await fetch(
        connection,
        "upsert_dead_letters",
        partner_id,
        name,
        [letter.statement_id for letter in letters],
        [replace_unstorable(letter.reason) for letter in letters],
        [letter.status for letter in letters],
        [letter.url for letter in letters],
        [letter.request and replace_unstorable(letter.request) for letter in letters],
        [letter.response and _storable_response(letter.response) for letter in letters],
    )


async def list_letters(
    database: Database, partner_id: int, name: str, *, after: UUID | None = None, limit: int = 100
) -> list[DeadLetter]:
    """A page of dead letters in the order of their ids."""
    rows = await fetch(database.lists, "list_dead_letters", partner_id, name, after, limit)
    return [_letter(row) for row in rows]


async def get_letter(
    database: Database, partner_id: int, name: str, statement_id: UUID
) -> DeadLetter:
    """Raises NotFound."""
    rows = await fetch(database.readers, "get_dead_letter", partner_id, name, statement_id)
    if not rows:
        raise _not_found(name, statement_id)
    return _letter(rows[0])


async def correct_letter(
    database: Database, partner_id: int, name: str, statement_id: UUID, request: str
) -> None:
    """Replaces what is sent of a dead letter, and marks it to be sent again. Raises NotFound."""
    rows = await fetch(
        database.readers, "correct_dead_letter", partner_id, name, statement_id, request
    )
    if not rows[0]["count"]:
        raise _not_found(name, statement_id)


async def list_letters_to_retry(
    database: Database, partner_id: int, name: str, limit: int
) -> list[DeadLetter]:
    """Dead letters that an operator wants to be sent again."""
    rows = await fetch(database.readers, "list_letters_to_retry", partner_id, name, limit)
    return [_letter(row) for row in rows]


async def retry_letters(
    database: Database, partner_id: int, name: str, ids: Sequence[UUID] | None
) -> int:
    """Marks dead letters, or all, to be sent again; returns their number."""
    rows = await fetch(database.readers, "retry_dead_letters", partner_id, name, ids)
    return int(rows[0]["count"])


async def drop_letters(
    database: Database, partner_id: int, name: str, ids: Sequence[UUID] | None
) -> int:
    """Deletes dead letters, or all; returns their number."""
    return await delete_letters(database.readers, partner_id, name, ids)


async def delete_letters(
    connection: Connection, partner_id: int, name: str, ids: Sequence[UUID] | None
) -> int:
    return len(await fetch(connection, "delete_dead_letters", partner_id, name, ids))


async def list_letter_ids(
    database: Database, partner_id: int, name: str, ids: Sequence[str]
) -> set[str]:
    """Those of the statements that are dead letters of the pipe."""
    rows = await fetch(database.readers, "list_letters_among", partner_id, name, list(ids))
    return {row["statement_id"] for row in rows}


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter(
        **{name: value for name, value in row.items() if name not in ("partner_id", "pipe")}
    )


def _not_found(name: str, statement_id: UUID) -> NotFound:
    return NotFound(f"Dead letter {statement_id} of pipe {name!r} not found.")


def _storable_response(text: str) -> str:
    return replace_unstorable(text).encode()[:_MAX_RESPONSE_BYTES].decode("utf-8", "ignore")
