"""Content items: listing, deletion and restoration.

Reports show all deleted content items as one, with the id -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.errors import NotFound
from lrs.projection import recompute
from lrs.projection.partner_lock import PartnerLock
from lrs.reports.identifiers import Identifier
from lrs.store.postgres import Pool, retry_transaction, translate_errors

_PAGE = resources.query("list_content_items")
_FIND = resources.query("find_content_item")
_SET_DELETED = resources.query("set_content_item_deleted")


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
