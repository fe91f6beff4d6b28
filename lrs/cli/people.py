"""`lrs people` and `lrs content`: who learns, and which content items are deleted."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

from lrs import bootstrap
from lrs.cli.options import DATABASE, configured, flags
from lrs.errors import InvalidImport
from lrs.people import importer as importing
from lrs.people import rows
from lrs.people.checks import NAME_COLUMNS
from lrs.people.plan import ImportPlan, RowOutcome
from lrs.people.rows import Row
from lrs.projection.partner_lock import PartnerLock
from lrs.reports import content_items, identifiers
from lrs.reports.content_items import ContentItem
from lrs.store.postgres import Pool
from lrs.store.registry import Partner
from lrs.xapi import strict_json

Result = TypeVar("Result")
Work = Callable[[Pool, Partner], Awaitable[Result]]

_PAGE = 1000


@click.group()
def people() -> None:
    """People: users, identifiers, groups, teams, memberships, assignments."""


@people.command("import")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--preview", is_flag=True, help="Only say what would become of each row.")
@flags(*DATABASE)
def people_import(partner_name: str, file: Path, preview: bool, **given: Any) -> None:
    """Import FILE, a table (or an array of rows, if it ends in .json); all of it or nothing."""
    read = _read(file)

    async def work(pool: Pool, partner: Partner) -> ImportPlan:
        if preview:
            return await importing.preview_import(pool, partner.partner_id, partner.home_page, read)
        return await _take(pool, partner, read)

    made = _with_partner(partner_name, given, work)
    for outcome in made.outcomes if preview else made.refused:
        if outcome.kind != "unchanged":
            click.echo(_told(outcome), err=outcome.kind == "refused")
    counts = Counter(each.kind for each in made.outcomes)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    click.echo(f"{len(made.outcomes)} rows: {told}" if counts else "no rows")
    if made.refused:
        click.echo("Nothing is imported while a row is refused.", err=True)
        sys.exit(1)


async def _take(pool: Pool, partner: Partner, read: list[Row]) -> ImportPlan:
    with ExitStack() as shown:
        bars: list[Any] = []

        def progress(done: int, total: int) -> None:
            if not bars:  # only now is it known that there is something to write
                new = click.progressbar(length=1, label="Writing ", file=sys.stderr)
                bars.append(shown.enter_context(new))
            (bar,) = bars
            bar.length = total
            bar.update(done - bar.pos)

        partner_lock = PartnerLock(pool)
        return await importing.import_rows(
            partner_lock, partner.partner_id, partner.home_page, read, progress
        )


def _read(file: Path) -> list[Row]:
    try:
        if file.suffix == ".json":
            return _checked(rows.read_json(strict_json.loads(file.read_bytes())), 0)
        text = file.read_bytes().decode()
        return _checked(rows.read_csv(text), text.count("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidImport(f"{file} cannot be read: {error}.") from None


def _checked(read: Iterable[Row], about: int) -> list[Row]:
    with click.progressbar(read, length=about, label="Checking", file=sys.stderr) as bar:
        return list(bar)


def _told(outcome: RowOutcome) -> str:
    row = outcome.row
    name = row.values.get(NAME_COLUMNS.get(row.kind, "user"), "")
    told = [f"{each.pointer[1:]}: {each.detail}".lstrip(": ") for each in outcome.violations]
    what = "; ".join(told) or ", ".join(outcome.changes)
    return f"{row.location}\t{row.kind}\t{name}\t{outcome.kind}\t{what}".rstrip()


@click.group()
def content() -> None:
    """Content items: what learners work on."""


@content.command("list")
@click.argument("partner_name", metavar="PARTNER")
@flags(*DATABASE)
def content_list(partner_name: str, **given: Any) -> None:
    """List the content items of PARTNER."""

    async def work(pool: Pool, partner: Partner) -> list[ContentItem]:
        listed: list[ContentItem] = []
        while found := await content_items.fetch_page(
            pool, partner.partner_id, after=listed[-1].content_id if listed else 0, limit=_PAGE
        ):
            listed += found
        return listed

    for each in _with_partner(partner_name, given, work):
        click.echo(_line(each))


@content.command("delete")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("activity")
@flags(*DATABASE)
def content_delete(partner_name: str, activity: str, **given: Any) -> None:
    """Show ACTIVITY as deleted in reports, with the id -1."""
    _set_deleted(partner_name, activity, given, deleted=True)
    click.echo(f"deleted {activity}")


@content.command("restore")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("activity")
@flags(*DATABASE)
def content_restore(partner_name: str, activity: str, **given: Any) -> None:
    """Show ACTIVITY in reports again."""
    _set_deleted(partner_name, activity, given, deleted=False)
    click.echo(f"restored {activity}")


def _set_deleted(partner_name: str, activity: str, given: dict[str, Any], *, deleted: bool) -> None:
    async def work(pool: Pool, partner: Partner) -> None:
        meant = identifiers.parse_content(activity, partner.home_page)
        await content_items.set_deleted(PartnerLock(pool), partner.partner_id, meant, deleted)

    _with_partner(partner_name, given, work)


def _line(each: ContentItem) -> str:
    state = f"deleted {each.deleted_at.date().isoformat()}" if each.deleted_at else "good"
    told = (each.content_id, each.activity_id, each.type or "", state, each.title or "")
    return "\t".join(map(str, told))


def _with_partner(partner_name: str, given: dict[str, Any], work: Work[Result]) -> Result:
    """Does some work for a partner in the configured database."""

    async def run(dsn: str) -> Result:
        async with bootstrap.partner(dsn, partner_name) as (pool, partner):
            return await work(pool, partner)

    with bootstrap.database_url(configured(given)) as dsn:
        return asyncio.run(run(dsn))
