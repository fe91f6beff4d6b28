"""Use cases for content items: list, get, delete, restore, set the type."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date

from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator, record
from lrs.catalog import importer
from lrs.catalog.rows import CONTENT_KINDS, ROWS
from lrs.errors import InvalidParameter, Violation
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.vocabulary import Vocabulary
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentDetail, ContentItem
from lrs.store.postgres import Database


@dataclass(frozen=True, slots=True)
class ContentRow(ContentItem):
    """A content item with its learner records, counted up to 1,000, and the last day of work."""

    records: int
    last_day: date | None


async def list_contents(
    database: Database,
    operator: Operator,
    partner: str,
    *,
    deleted: bool | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[ContentRow]:
    """The next content items by id; `deleted` None: both. Raises NotFound (partner)."""
    partner_row = await find_partner(database, operator, partner)
    (after,) = decode_cursor(cursor, tuple[int]) if cursor else (0,)
    rows = await content_items.fetch_page(
        database.readers, partner_row.partner_id, after=after, limit=limit + 1, deleted=deleted
    )
    listed = page(rows, limit, lambda row: (row.content_id,))
    activity = await content_items.fetch_activity(
        database.readers, partner_row.partner_id, [row.content_id for row in listed.items]
    )
    items = [ContentRow(**asdict(row), **asdict(activity[row.content_id])) for row in listed.items]
    return Page(items, listed.cursor)


async def get_content(
    database: Database, operator: Operator, partner: str, content: str
) -> ContentDetail:
    """A content item by activity id, id of track events or id. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    identifier = identifiers.parse_content(content, partner_row.home_page)
    return await content_items.get_detail(database.readers, partner_row.partner_id, identifier)


async def set_type(
    database: Database,
    operator: Operator,
    partner_lock: PartnerLock,
    vocabulary: Vocabulary,
    partner: str,
    content: str,
    content_type: str,
) -> ContentDetail:
    """Sets the type as an import of a catalog does; what else the catalog has is kept.

    Reports move the item to the table of the type. Raises NotFound, InvalidParameter, Forbidden.
    """
    operator.require("operator")
    if content_type not in CONTENT_KINDS:
        detail = f"expected one of {', '.join(CONTENT_KINDS)}, got {content_type[:80]!r}"
        raise InvalidParameter(
            f"type: {detail}.", violations=[Violation("/type", detail, "Admin API")]
        )
    before = await get_content(database, operator, partner, content)
    partner_row = await find_partner(database, operator, partner)
    row = ROWS.row(0, None, {"type": content_type, "content": before.activity_id})
    plan = await importer.import_rows(
        partner_lock, partner_row.partner_id, partner_row.home_page, [row], vocabulary
    )
    for outcome in plan.refused:
        violations = [*outcome.violations]
        raise InvalidParameter(f"type: {violations[0].detail}.", violations=violations)
    await record(
        database,
        operator,
        "content.set-type",
        f"content/{before.activity_id}",
        partner_id=partner_row.partner_id,
        before={"type": before.type},
        after={"type": content_type},
    )
    return await get_content(database, operator, partner, content)


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
