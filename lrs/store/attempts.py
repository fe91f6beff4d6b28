"""Denied requests of partners."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from lrs import resources
from lrs.store.postgres import Database, translate_errors


class AttemptCount(NamedTuple):
    """Equal denied requests of a partner, which `attempt_hash` identifies."""

    partner_id: int
    attempt_hash: bytes
    status: int
    code: str
    reason: str
    method: str
    path: str
    key: str | None
    address: str
    request_id: str
    attempts: int
    first_at: datetime
    last_at: datetime


async def find_partners(
    database: Database, keys: Collection[str], names: Collection[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """The partners of those keys that are of credentials, and those with these names."""
    with translate_errors():
        of_keys = await database.readers.fetch(
            resources.query("list_partners_of_keys"), sorted(keys)
        )
        of_names = await database.readers.fetch(
            resources.query("list_partners_of_names"), sorted(names)
        )
    return (
        {row["key"]: row["partner_id"] for row in of_keys},
        {row["name"]: row["partner_id"] for row in of_names},
    )


async def add(database: Database, counts: Sequence[AttemptCount]) -> None:
    """Adds to the rows of equal attempts. Raises Unavailable."""
    columns = list(zip(*counts, strict=True))
    with translate_errors():
        await database.readers.execute(resources.query("upsert_attempts"), *columns)


async def delete_excess(
    database: Database, partner_id: int, limit: int, limit_per_address: int
) -> None:
    """Keeps the last `limit` attempts, and fewer of one client address."""
    with translate_errors():
        await database.readers.execute(
            resources.query("delete_excess_attempts"), partner_id, limit, limit_per_address
        )


async def fetch_page(
    database: Database,
    partner_id: int,
    *,
    before: tuple[datetime, bytes] | None = None,
    limit: int = 100,
) -> list[AttemptCount]:
    """The last attempts first; `before` are time and hash of the last one of the page before."""
    last_at, attempt_hash = before or (None, None)
    with translate_errors():
        rows = await database.readers.fetch(
            resources.query("list_attempts"), partner_id, last_at, attempt_hash, limit
        )
    return [AttemptCount(partner_id, **row) for row in rows]
