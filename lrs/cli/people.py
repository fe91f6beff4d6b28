"""`lrs people`: import of people; `lrs.cli.learners` has the other commands."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from lrs.cli import learners
from lrs.cli.database import record_change, run_with_database
from lrs.cli.options import (
    DATABASE,
    load_settings,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.table_options import read_file, read_table_options, table_options
from lrs.imports import encodings
from lrs.imports.rows import Row
from lrs.imports.tables import TableOptions
from lrs.people import importer, rows
from lrs.people.checks import NAME_COLUMNS
from lrs.people.plan import ImportPlan, RowOutcome
from lrs.plurals import quantity
from lrs.projection.partner_lock import PartnerLock
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.xapi import strict_json


@click.group()
def people() -> None:
    """Import people; list and change learners."""


@people.command("import")
@partner_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--preview", is_flag=True, help="Dry run: show the outcome of each row.")
@click.option(
    "--merge",
    is_flag=True,
    help="Move identifiers of other users, with their events, to the users of the rows.",
)
@table_options
@setting_options(*DATABASE)
def people_import(
    partner_name: str, file: Path, preview: bool, merge: bool, **options: Any
) -> None:
    """Import FILE in one transaction. It is CSV, or a JSON array if its name ends in .json."""
    parsed, notes = _parse_file(file, read_table_options(options))
    for note in notes:
        echo(note, err=True)

    async def plan_or_import(database: Database) -> ImportPlan:
        partner = await registry.get_partner(database, partner_name)
        if preview:
            return await importer.preview_import(
                PartnerLock(database.writers),
                partner.partner_id,
                partner.home_page,
                parsed,
                merge=merge,
            )
        plan = await _import(database, partner, parsed, merge=merge)
        if not plan.refused:
            await record_change(
                database,
                "people.import",
                f"partner/{partner_name}",
                partner_id=partner.partner_id,
                after=dict(Counter(outcome.kind for outcome in plan.outcomes)),
            )
        return plan

    plan = run_with_database(load_settings(options), plan_or_import)
    for outcome in plan.outcomes if preview else plan.refused:
        if outcome.kind != "unchanged":
            echo(*_columns(outcome), err=outcome.kind == "refused")
    counts = Counter(outcome.kind for outcome in plan.outcomes)
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    moved = sum(outcome.moved_events for outcome in plan.outcomes if outcome.kind != "refused")
    verb = "moves" if moved == 1 else "move"
    events = f"; {quantity(moved, 'event')} {verb} to another learner" if moved else ""
    echo(f"{quantity(len(plan.outcomes), 'row')}: {summary}{events}" if counts else "no rows")
    if plan.refused:
        echo("No row was imported: at least one is invalid.", err=True)
        sys.exit(1)


async def _import(
    database: Database, partner: Partner, parsed: list[Row], *, merge: bool
) -> ImportPlan:
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
            PartnerLock(database.writers),
            partner.partner_id,
            partner.home_page,
            parsed,
            progress,
            merge=merge,
        )


def _parse_file(file: Path, options: TableOptions) -> tuple[list[Row], list[str]]:
    """The rows of a file, and notes on how it was read."""
    data = read_file(file)
    if file.suffix == ".json":
        return _with_progress(rows.read_json(strict_json.loads(data)), 0), []
    decoded = encodings.decode(data, options.encoding)
    table = rows.ROWS.read_csv(decoded.text, options)
    parsed = _with_progress(table.rows, decoded.text.count("\n"))
    return parsed, [*decoded.notes, *table.notes]


def _with_progress(parsed: Iterable[Row], estimated_count: int) -> list[Row]:
    with click.progressbar(
        parsed,
        length=estimated_count,
        label="Checking",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    ) as bar:
        return list(bar)


def _columns(outcome: RowOutcome) -> list[str]:
    row = outcome.row
    name = row.values.get(NAME_COLUMNS.get(row.kind, "user"), "")
    errors = [f"{item.pointer[1:]}: {item.detail}".lstrip(": ") for item in outcome.violations]
    moves = [quantity(outcome.moved_events, "event")] if outcome.moved_events else []
    details = "; ".join(errors) or ", ".join(outcome.changes)
    columns = [str(row.location), row.kind, name, outcome.kind]
    return [*columns, details, *moves] if details or moves else columns


for _command in learners.COMMANDS:
    people.add_command(_command)
