"""`lrs content`: list, deletion and restoration of content items."""

from __future__ import annotations

from typing import Any

import click

from lrs.cli.database import run_with_database
from lrs.cli.options import (
    DATABASE,
    format_day,
    load_settings,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.projection.partner_lock import PartnerLock
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentItem
from lrs.store import registry
from lrs.store.postgres import Database

_PAGE_SIZE = 1000


@click.group()
def content() -> None:
    """List, delete and restore content items."""


@content.command("list")
@partner_argument
@setting_options(*DATABASE)
def content_list(partner_name: str, **options: Any) -> None:
    """List the content items of PARTNER."""

    async def fetch(database: Database) -> list[ContentItem]:
        partner = await registry.get_partner(database, partner_name)
        items: list[ContentItem] = []
        while page := await content_items.fetch_page(
            database.writers,
            partner.partner_id,
            after=items[-1].content_id if items else 0,
            limit=_PAGE_SIZE,
        ):
            items += page
        return items

    for item in run_with_database(load_settings(options), fetch):
        echo(*_columns(item))


@content.command("delete")
@partner_argument
@click.argument("activity")
@setting_options(*DATABASE)
def content_delete(partner_name: str, activity: str, **options: Any) -> None:
    """Mark ACTIVITY as deleted: reports show it with the id -1."""
    _set_deleted(partner_name, activity, options, deleted=True)
    echo(f"deleted {activity}")


@content.command("restore")
@partner_argument
@click.argument("activity")
@setting_options(*DATABASE)
def content_restore(partner_name: str, activity: str, **options: Any) -> None:
    """Undo the deletion of ACTIVITY in reports."""
    _set_deleted(partner_name, activity, options, deleted=False)
    echo(f"restored {activity}")


def _set_deleted(
    partner_name: str, activity: str, options: dict[str, Any], *, deleted: bool
) -> None:
    async def update(database: Database) -> None:
        partner = await registry.get_partner(database, partner_name)
        identifier = identifiers.parse_content(activity, partner.home_page)
        lock = PartnerLock(database.writers)
        await content_items.set_deleted(lock, partner.partner_id, identifier, deleted)

    run_with_database(load_settings(options), update)


def _columns(item: ContentItem) -> tuple[object, ...]:
    state = f"deleted {format_day(item.deleted_at)}" if item.deleted_at else "active"
    return item.content_id, item.activity_id, item.type or "", state, item.title or ""
