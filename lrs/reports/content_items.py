"""Content items: listing, deletion and restoration.

Reports show all deleted content items as one, with the id -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from lrs import resources
from lrs.errors import NotFound
from lrs.projection import recompute
from lrs.projection.partner_lock import PartnerLock
from lrs.reports.identifiers import Identifier
from lrs.store.postgres import Pool, retry_transaction, translate_errors

_PAGE = resources.query("list_content_items")
_ACTIVITY = resources.query("list_content_activity")
_FIND = resources.query("find_content_item")
_DETAIL = resources.query("get_content_detail")
_COUNT_RECORDS = resources.query("count_content_records")
_NAMES = resources.query("list_content_names")
_SET_DELETED = resources.query("set_content_item_deleted")

MAX_LISTED_RECORDS = 1_000
MAX_RECORDS = 10_000
MAX_NAMES = 50


@dataclass(frozen=True, slots=True)
class ContentItem:
    """A content item; `deleted_at` is None unless it is deleted.

    `alias_of` is the id of the item whose alias it is.
    """

    content_id: int
    activity_id: str
    type: str | None
    title: str | None
    deleted_at: datetime | None
    alias_of: int | None


async def fetch_page(
    pool: Pool, partner_id: int, *, after: int, limit: int, deleted: bool | None = None
) -> list[ContentItem]:
    """The next content items with ids above `after`, in the order of ids. Raises Unavailable.

    `deleted` filters for deleted or for other items; None is no filter.
    """
    with translate_errors():
        rows = await pool.fetch(_PAGE, partner_id, after, deleted, limit)
    return [ContentItem(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class ContentActivity:
    """Learner records of a content item, counted up to MAX_LISTED_RECORDS, and the last day."""

    records: int
    last_day: date | None


async def fetch_activity(
    pool: Pool, partner_id: int, content_ids: Sequence[int]
) -> dict[int, ContentActivity]:
    """The activity of content items by id. Raises Unavailable."""
    with translate_errors():
        rows = await pool.fetch(_ACTIVITY, partner_id, content_ids, MAX_LISTED_RECORDS)
    return {row["content_id"]: ContentActivity(row["records"], row["last_day"]) for row in rows}


@dataclass(frozen=True, slots=True)
class ContentName:
    """Another content item that one refers to."""

    content_id: int
    activity_id: str
    title: str | None


@dataclass(frozen=True, slots=True)
class ContentDetail:
    """A content item with what is known of it.

    `reported_type` is that of the Data Connector tables, None for an item in none of them.
    `records` are the learner records by status, of the first MAX_RECORDS. `parts` are those whose
    parent it is.
    """

    content_id: int
    activity_id: str
    type: str | None
    reported_type: str | None
    title: str | None
    deleted_at: datetime | None
    source: str | None
    is_in_catalog: bool
    parent_id: int | None
    parent_title: str | None
    first_day: date | None
    last_day: date | None
    records: dict[str, int]
    aliases: list[ContentName]
    parts: list[ContentName]


async def get_detail(pool: Pool, partner_id: int, identifier: Identifier) -> ContentDetail:
    """A content item; of an alias its content item. Raises NotFound and Unavailable."""
    with translate_errors():
        content_id = await pool.fetchval(_FIND, partner_id, identifier.keys, identifier.number)
        row = None
        if content_id is not None:
            row = await pool.fetchrow(_DETAIL, partner_id, content_id)
        if row is None:
            raise NotFound("Content item not found.")
        counts = await pool.fetch(_COUNT_RECORDS, partner_id, content_id, MAX_RECORDS)
        names = await pool.fetch(_NAMES, partner_id, content_id, MAX_NAMES)
    aliases, parts = (
        [ContentName(*item[:3]) for item in map(tuple, names) if item[3] == is_alias]
        for is_alias in (True, False)
    )
    records = {item["status"]: item["records"] for item in counts}
    return ContentDetail(**row, records=records, aliases=aliases, parts=parts)


async def set_deleted(
    partner_lock: PartnerLock, partner_id: int, identifier: Identifier, deleted: bool
) -> None:
    """Delete or restore a content item (idempotent). Raises NotFound and Unavailable."""

    async def attempt() -> None:
        async with partner_lock.transaction(partner_id) as connection:
            content_id = await connection.fetchval(
                _FIND, partner_id, identifier.keys, identifier.number
            )
            if content_id is None:
                raise NotFound("Content item not found.")
            if await connection.fetchval(_SET_DELETED, partner_id, content_id, deleted):
                await recompute.mark_contents_changed(connection, partner_id, [content_id])

    with translate_errors():
        await retry_transaction(attempt)
