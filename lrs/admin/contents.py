"""Use cases for content items: list, delete, restore."""

from __future__ import annotations

from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator, record
from lrs.projection.partner_lock import PartnerLock
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentItem
from lrs.store.postgres import Database


async def list_contents(
    database: Database,
    operator: Operator,
    partner: str,
    *,
    deleted: bool | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[ContentItem]:
    """The next content items by id; `deleted` None: both. Raises NotFound (partner)."""
    partner_row = await find_partner(database, operator, partner)
    (after,) = decode_cursor(cursor, tuple[int]) if cursor else (0,)
    rows = await content_items.fetch_page(
        database.readers, partner_row.partner_id, after=after, limit=limit + 1, deleted=deleted
    )
    return page(rows, limit, lambda row: (row.content_id,))


async def set_deleted(
    database: Database,
    operator: Operator,
    partner_lock: PartnerLock,
    partner: str,
    content: str,
    *,
    deleted: bool,
) -> None:
    """Deletes or restores a content item (idempotent). Raises NotFound, Forbidden."""
    operator.require("operator")
    partner_row = await find_partner(database, operator, partner)
    identifier = identifiers.parse_content(content, partner_row.home_page)
    await content_items.set_deleted(partner_lock, partner_row.partner_id, identifier, deleted)
    action = "content.delete" if deleted else "content.restore"
    await record(
        database, operator, action, f"content/{content}", partner_id=partner_row.partner_id
    )
