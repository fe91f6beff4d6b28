"""Refused items and requests, kept for some days."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from lrs import resources
from lrs.store.postgres import Database, translate_errors


class NewRefusal(msgspec.Struct, frozen=True):
    """A refused item; `item_index` None is a request that was refused as a whole.

    `problem` are problem details as JSON; `item` is the text as received, or its beginning, or
    None; `item_bytes` is the size as received. `requested_id` is the id in the query of a PUT.
    """

    partner_id: int
    refusal_id: UUID
    refused_at: datetime
    source: str
    credential: str
    organization: str
    outcome: str
    code: str
    pointer: str
    item_index: int | None
    statement_id: str | None
    requested_id: str | None
    version: str | None
    request_id: str
    problem: str
    item: bytes | None
    item_bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A kept refusal; `requested_id`, `version` and `item` are there if it was read alone."""

    refusal_id: UUID
    refused_at: datetime
    source: str
    credential: str
    organization: str
    outcome: str
    code: str
    pointer: str
    item_index: int | None
    item_bytes: int
    statement_id: str | None
    request_id: str
    resubmitted_at: datetime | None
    has_item: bool
    problem: str
    requested_id: str | None = None
    version: str | None = None
    item: bytes | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the whole item is kept."""
        return self.item is not None and len(self.item) == self.item_bytes


@dataclass(frozen=True, slots=True)
class RefusalFilter:
    """Selects refusals; None is any. Times from `since` to before `until`."""

    credential: str | None = None
    code: str | None = None
    source: str | None = None
    pointer: str | None = None
    organization: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ANY = RefusalFilter()


async def insert(database: Database, partner_id: int, refusals: Sequence[NewRefusal]) -> None:
    """Stores refusals of one partner. Raises Unavailable."""
    names = NewRefusal.__struct_fields__[1:]
    with translate_errors():
        await database.readers.execute(
            resources.query("insert_refusals"),
            partner_id,
            *([getattr(refusal, name) for refusal in refusals] for name in names),
        )


async def fetch_page(
    database: Database,
    partner_id: int,
    selection: RefusalFilter = ANY,
    *,
    before: UUID | None = None,
    limit: int = 100,
) -> list[Refusal]:
    """Newest first, without items; `before` is the id of the last one of the page before."""
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_refusals"),
            partner_id,
            before,
            selection.credential,
            selection.code,
            selection.source,
            selection.pointer,
            selection.organization,
            selection.since,
            selection.until,
            limit,
        )
    return [Refusal(**row) for row in rows]


async def get(database: Database, partner_id: int, refusal_id: UUID) -> Refusal | None:
    with translate_errors():
        row = await database.readers.fetchrow(
            resources.query("get_refusal"), partner_id, refusal_id
        )
    return Refusal(**row) if row else None


async def set_resubmitted(database: Database, partner_id: int, refusal_id: UUID) -> None:
    with translate_errors():
        await database.readers.execute(resources.query("set_resubmitted"), partner_id, refusal_id)


async def delete(database: Database, partner_id: int, refusal_id: UUID) -> bool:
    """Whether there was such a refusal."""
    with translate_errors():
        row = await database.readers.fetchrow(
            resources.query("delete_refusal"), partner_id, refusal_id
        )
    return row is not None


async def list_partners(database: Database) -> list[int]:
    """The partners with refusals."""
    with translate_errors():
        rows = await database.readers.fetch(resources.query("list_refusal_partners"))
    return [row["partner_id"] for row in rows]


async def remove_excess(
    database: Database,
    partner_id: int,
    excess: Callable[[Mapping[tuple[str, str], int]], Mapping[tuple[str, str], int]],
) -> None:
    """Deletes the oldest refusals of each reason (code, pointer).

    `excess` returns their numbers for the numbers that are kept. Nothing is deleted while another
    server does. Raises Unavailable.
    """
    with translate_errors():
        async with database.readers.acquire() as connection, connection.transaction():
            lock = resources.query("try_lock_intake_position")
            if await connection.fetchval(lock, partner_id) is None:
                return
            rows = await connection.fetch(resources.query("count_refusals_by_reason"), partner_id)
            kept = {(row["code"], row["pointer"]): row["kept"] for row in rows}
            for reason, count in excess(kept).items():
                await connection.execute(
                    resources.query("delete_refusals_of_reason"), partner_id, *reason, count
                )


async def delete_below(database: Database, partner_id: int, end: UUID, limit: int) -> int:
    """Deletes up to `limit` refusals with an id below `end`; returns their number."""
    with translate_errors():
        status: str = await database.readers.execute(
            resources.query("delete_expired_refusals"), partner_id, end, limit
        )
    return int(status.split()[-1])
