"""The sources that statements come from: interfaces, and the other LRSs of pulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from lrs.store.intake import source_name
from lrs.store.named_queries import fetch
from lrs.store.pipes import Pipe
from lrs.store.postgres import Database

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StatementOrigin:
    """What a source says of a statement; `authority` is JSON text, `origin` its scheme and host."""

    statement_id: str
    stored: datetime | None
    authority: str | None
    refused: bool = False


async def get_source(database: Database, partner_id: int, statement_id: UUID) -> str:
    """The name of the interface or pipe by which a statement arrived."""
    rows = await fetch(database.readers, "get_statement_source", partner_id, statement_id)
    return source_name(rows[0]["source"] if rows else None)


async def add_origins(
    database: Database, pipe: Pipe, origin: str, items: Sequence[StatementOrigin]
) -> None:
    """Records that a source has statements; what is recorded stays. Raises Unavailable."""
    await fetch(
        database.readers,
        "insert_statement_origins",
        pipe.partner_id,
        pipe.name,
        origin,
        [item.statement_id for item in items],
        [item.stored for item in items],
        [item.authority for item in items],
        [item.refused for item in items],
    )


async def add_forwarded(
    database: Database, partner_id: int, origin: str, statement_ids: Sequence[str]
) -> None:
    """Records that the partner of another LRS, whose pipe sends statements, has them.

    Raises Unavailable.
    """
    nulls = [None] * len(statement_ids)
    await fetch(
        database.readers,
        "insert_statement_origins",
        partner_id,
        origin,
        origin,
        list(statement_ids),
        nulls,
        nulls,
        [False] * len(statement_ids),
    )


async def find_origin(database: Database, pipe: Pipe, statement_id: str) -> Json | None:
    """What the source of a pipe says of a statement: origin, stored, authority (JSON text)."""
    rows = await fetch(
        database.readers, "get_statement_origin", pipe.partner_id, statement_id, pipe.name
    )
    return dict(rows[0]) if rows else None


async def set_stored(database: Database, pipe: Pipe, origin: str, item: StatementOrigin) -> None:
    """Records that a corrected statement is stored; what is recorded of its source stays.

    Raises Unavailable.
    """
    await fetch(
        database.readers,
        "set_origin_stored",
        pipe.partner_id,
        pipe.name,
        origin,
        item.statement_id,
        item.stored,
        item.authority,
    )


async def list_origins(
    database: Database, partner_id: int, statement_id: UUID, limit: int = 100
) -> list[Json]:
    """The sources that have a statement: pipe, origin, stored, authority, refused, pipe_exists."""
    rows = await fetch(database.readers, "list_statement_origins", partner_id, statement_id, limit)
    return [
        {**row, "authority": orjson.loads(row["authority"]) if row["authority"] else None}
        for row in rows
    ]


async def list_ids_of_origins(
    database: Database, partner_id: int, ids: Sequence[str], origins: Sequence[str]
) -> set[str]:
    """Those of the statements that an origin has: scheme, host and port, or an identity."""
    rows = await fetch(
        database.readers, "list_statements_of_origins", partner_id, list(ids), list(origins)
    )
    return {row["statement_id"] for row in rows}


async def list_ids_of_pipe(database: Database, pipe: Pipe, ids: Sequence[str]) -> set[str]:
    """Those of the statements whose origin the pipe has recorded."""
    rows = await fetch(
        database.readers, "list_statements_of_pipe", pipe.partner_id, list(ids), pipe.name
    )
    return {row["statement_id"] for row in rows}


async def forget_refused(database: Database, partner_id: int, name: str) -> None:
    """Statements that were refused are read again."""
    await fetch(database.readers, "delete_refused_origins", partner_id, name)


async def list_stored_ids(database: Database, partner_id: int, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are stored."""
    rows = await fetch(database.readers, "list_stored_ids", partner_id, list(ids))
    return {row["statement_id"] for row in rows}
