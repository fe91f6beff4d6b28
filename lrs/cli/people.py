"""`lrs people`: import of people."""

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
    load_settings,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.errors import InvalidImport
from lrs.people import importer, rows
from lrs.people.checks import NAME_COLUMNS
from lrs.people.plan import ImportPlan, RowOutcome
from lrs.people.rows import Row
from lrs.projection.partner_lock import PartnerLock
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.xapi import strict_json


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
                PartnerLock(database.writers), partner.partner_id, partner.home_page, parsed
            )
        return await _import(database, partner, parsed)

    plan = run_with_database(load_settings(options), plan_or_import)
    for outcome in plan.outcomes if preview else plan.refused:
        if outcome.kind != "unchanged":
            echo(*_columns(outcome), err=outcome.kind == "refused")
    counts = Counter(outcome.kind for outcome in plan.outcomes)
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    echo(f"{len(plan.outcomes)} rows: {summary}" if counts else "no rows")
    if plan.refused:
        echo("No row was imported: at least one is invalid.", err=True)
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


def _columns(outcome: RowOutcome) -> list[str]:
    row = outcome.row
    name = row.values.get(NAME_COLUMNS.get(row.kind, "user"), "")
    errors = [f"{item.pointer[1:]}: {item.detail}".lstrip(": ") for item in outcome.violations]
    details = "; ".join(errors) or ", ".join(outcome.changes)
    columns = [str(row.location), row.kind, name, outcome.kind]
    return [*columns, details] if details else columns
