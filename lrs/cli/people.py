"""`lrs people` and `lrs content`: import of people, deletion of content items."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
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
from lrs.errors import InvalidImport
from lrs.people import importer, rows
from lrs.people.checks import NAME_COLUMNS
from lrs.people.plan import ImportPlan, RowOutcome
from lrs.people.rows import Row
from lrs.projection.partner_lock import PartnerLock
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentItem
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.xapi import strict_json

_PAGE_SIZE = 1000


@click.group()
def people() -> None:
    """Import users, identifiers, groups, teams, memberships and assignments."""


@people.command("import")
@partner_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--preview", is_flag=True, help="Dry run: show the outcome of each row.")
@setting_options(*DATABASE)
def people_import(partner_name: str, file: Path, preview: bool, **options: Any) -> None:
    """Import FILE in one transaction: CSV, or a JSON array of rows if its name ends in .json."""
    parsed = _parse_file(file)

    async def plan_or_import(database: Database) -> ImportPlan:
        partner = await registry.get_partner(database, partner_name)
        if preview:
            return await importer.preview_import(
                database.writers, partner.partner_id, partner.home_page, parsed
            )
        return await _import(database, partner, parsed)

    plan = run_with_database(load_settings(options), plan_or_import)
    for outcome in plan.outcomes if preview else plan.refused:
        if outcome.kind != "unchanged":
            click.echo(_format_outcome(outcome), err=outcome.kind == "refused")
    counts = Counter(outcome.kind for outcome in plan.outcomes)
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    click.echo(f"{len(plan.outcomes)} rows: {summary}" if counts else "no rows")
    if plan.refused:
        click.echo("No row was imported: at least one is invalid.", err=True)
        sys.exit(1)


async def _import(database: Database, partner: Partner, parsed: list[Row]) -> ImportPlan:
    with ExitStack() as stack:
        bars: list[Any] = []

        def progress(done: int, total: int) -> None:
            if not bars:  # no bar when nothing changes
                new = click.progressbar(length=1, label="Writing ", file=sys.stderr)
                bars.append(stack.enter_context(new))
            (bar,) = bars
            bar.length = total
            bar.update(done - bar.pos)

        return await importer.import_rows(
            PartnerLock(database.writers), partner.partner_id, partner.home_page, parsed, progress
        )


def _parse_file(file: Path) -> list[Row]:
    try:
        if file.suffix == ".json":
            return _with_progress(rows.read_json(strict_json.loads(file.read_bytes())), 0)
        text = file.read_bytes().decode()
        return _with_progress(rows.read_csv(text), text.count("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidImport(f"{file} cannot be read: {error}.") from None


def _with_progress(parsed: Iterable[Row], estimated_count: int) -> list[Row]:
    with click.progressbar(
        parsed, length=estimated_count, label="Checking", file=sys.stderr
    ) as bar:
        return list(bar)


def _format_outcome(outcome: RowOutcome) -> str:
    row = outcome.row
    name = row.values.get(NAME_COLUMNS.get(row.kind, "user"), "")
    errors = [f"{item.pointer[1:]}: {item.detail}".lstrip(": ") for item in outcome.violations]
    details = "; ".join(errors) or ", ".join(outcome.changes)
    return f"{row.location}\t{row.kind}\t{name}\t{outcome.kind}\t{details}".rstrip()


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
        click.echo(_format_item(item))


@content.command("delete")
@partner_argument
@click.argument("activity")
@setting_options(*DATABASE)
def content_delete(partner_name: str, activity: str, **options: Any) -> None:
    """Mark ACTIVITY as deleted: reports show it with the id -1."""
    _set_deleted(partner_name, activity, options, deleted=True)
    click.echo(f"deleted {activity}")


@content.command("restore")
@partner_argument
@click.argument("activity")
@setting_options(*DATABASE)
def content_restore(partner_name: str, activity: str, **options: Any) -> None:
    """Undo the deletion of ACTIVITY in reports."""
    _set_deleted(partner_name, activity, options, deleted=False)
    click.echo(f"restored {activity}")


def _set_deleted(
    partner_name: str, activity: str, options: dict[str, Any], *, deleted: bool
) -> None:
    async def update(database: Database) -> None:
        partner = await registry.get_partner(database, partner_name)
        identifier = identifiers.parse_content(activity, partner.home_page)
        lock = PartnerLock(database.writers)
        await content_items.set_deleted(lock, partner.partner_id, identifier, deleted)

    run_with_database(load_settings(options), update)


def _format_item(item: ContentItem) -> str:
    state = f"deleted {format_day(item.deleted_at)}" if item.deleted_at else "active"
    columns = (item.content_id, item.activity_id, item.type or "", state, item.title or "")
    return "\t".join(map(str, columns))
