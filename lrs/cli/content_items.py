"""`lrs content`: catalog import, list, deletion, restoration and aliases of content items."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lrs.admin import contents
from lrs.admin.contents import ContentRow
from lrs.admin.operators import command_operator
from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.catalog import importer, rows
from lrs.catalog.plan import CatalogPlan, RowOutcome
from lrs.cli.database import all_pages, record_change, run_with_database
from lrs.cli.options import (
    DATABASE,
    format_day,
    load_settings,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.table_options import read_file, read_table_options, table_options
from lrs.cli.tables import json_option, print_table
from lrs.imports import alias_map
from lrs.plurals import quantity
from lrs.projection.partner_lock import PartnerLock
from lrs.reports import content_aliases
from lrs.reports.content_aliases import AliasChange
from lrs.store import registry
from lrs.store.postgres import Database

_COLUMNS = ("content_id", "activity_id", "type", "state", "title")


@click.group()
def content() -> None:
    """Import a catalog; list, delete, restore and link content items."""


@content.command("import")
@partner_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--preview", is_flag=True, help="Dry run: show the outcome of each row.")
@table_options
@setting_options(*DATABASE, "vocabulary_path")
def content_import(partner_name: str, file: Path, preview: bool, **options: Any) -> None:
    """Import a catalog in one transaction. FILE is CSV, NDJSON or a JSON array of rows."""
    table = rows.read(read_file(file), read_table_options(options))
    parsed = list(table.rows)
    for note in table.notes:
        echo(note, err=True)
    settings = load_settings(options)
    vocabulary = load_configured_vocabulary(settings)

    async def run(database: Database) -> CatalogPlan:
        partner = await registry.get_partner(database, partner_name)
        arguments = (
            PartnerLock(database.writers),
            partner.partner_id,
            partner.home_page,
            parsed,
        )
        if preview:
            return await importer.preview_import(*arguments)
        plan = await importer.import_rows(*arguments, vocabulary)
        if not plan.refused:
            await record_change(
                database,
                "content.import",
                f"partner/{partner_name}",
                partner_id=partner.partner_id,
                after=dict(Counter(outcome.kind for outcome in plan.outcomes)),
            )
        return plan

    plan = run_with_database(settings, run)
    for outcome in plan.outcomes if preview else plan.refused:
        if outcome.kind != "unchanged":
            echo(*_outcome_columns(outcome), err=outcome.kind == "refused")
    counts = Counter(outcome.kind for outcome in plan.outcomes)
    summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    echo(f"{quantity(len(plan.outcomes), 'row')}: {summary}" if counts else "no rows")
    if plan.refused:
        echo("No row was imported: at least one is invalid.", err=True)
        sys.exit(1)


@content.command("list")
@partner_argument
@json_option
@setting_options(*DATABASE)
def content_list(partner_name: str, as_json: bool, **options: Any) -> None:
    """List the content items of PARTNER."""

    async def fetch(database: Database) -> list[ContentRow]:
        return await all_pages(
            lambda cursor, limit: contents.list_contents(
                database, command_operator(), partner_name, cursor=cursor, limit=limit
            )
        )

    rows = [asdict(item) for item in run_with_database(load_settings(options), fetch)]
    if not as_json:
        for row in rows:
            deleted_at = row["deleted_at"]
            row["state"] = f"deleted {format_day(deleted_at)}" if deleted_at else "active"
            if row["alias_of"] is not None:
                row["state"] = f"alias of {row['alias_of']}"
    print_table(_COLUMNS, rows, as_json=as_json)


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


@content.command("link")
@partner_argument
@click.argument("activity", required=False)
@click.argument("aliases", nargs=-1)
@click.option(
    "--map",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns content and alias, or a JSON array if its name ends in .json.",
)
@click.option("--preview", is_flag=True, help="Dry run: show what moves.")
@setting_options(*DATABASE)
def content_link(
    partner_name: str,
    activity: str | None,
    aliases: tuple[str, ...],
    file: Path | None,
    preview: bool,
    **options: Any,
) -> None:
    """Make ALIASES other names of ACTIVITY: their history moves to it.

    Reports show one record and one row of facts. `lrs content unlink` moves it back.
    """
    if (file is None) == (not activity or not aliases):
        raise click.UsageError("Name ACTIVITY and at least one alias, or a file with --map.")
    if file is None:
        named: Mapping[str, Sequence[str]] = {str(activity): aliases}
    else:
        read = alias_map.read_json if file.suffix == ".json" else alias_map.read_csv
        named = read(file.read_bytes())

    async def link(database: Database) -> list[AliasChange]:
        partner = await registry.get_partner(database, partner_name)
        changes = await content_aliases.link(
            PartnerLock(database.writers),
            partner.partner_id,
            partner.home_page,
            named,
            preview=preview,
        )
        await _record_aliases(database, partner.partner_id, "content.link", named, preview)
        return changes

    _show_changes(run_with_database(load_settings(options), link), preview=preview)


@content.command("unlink")
@partner_argument
@click.argument("aliases", nargs=-1, required=True)
@click.option("--preview", is_flag=True, help="Dry run: show what moves.")
@setting_options(*DATABASE)
def content_unlink(
    partner_name: str, aliases: tuple[str, ...], preview: bool, **options: Any
) -> None:
    """Make ALIASES content items of their own again. Their history moves back."""

    async def unlink(database: Database) -> list[AliasChange]:
        partner = await registry.get_partner(database, partner_name)
        changes = await content_aliases.unlink(
            PartnerLock(database.writers),
            partner.partner_id,
            partner.home_page,
            aliases,
            preview=preview,
        )
        named = {"": aliases}
        await _record_aliases(database, partner.partner_id, "content.unlink", named, preview)
        return changes

    _show_changes(run_with_database(load_settings(options), unlink), preview=preview)


async def _record_aliases(
    database: Database,
    partner_id: int,
    action: str,
    named: Mapping[str, Sequence[str]],
    preview: bool,
) -> None:
    """An audit entry for each content item with its aliases."""
    for activity, aliases in () if preview else named.items():
        after = {"aliases": [*aliases]}
        subject = f"content/{activity}"
        await record_change(database, action, subject, partner_id=partner_id, after=after)


def _show_changes(changes: list[AliasChange], *, preview: bool) -> None:
    for change in changes:
        echo(
            change.outcome,
            change.content.activity_id,
            change.alias.activity_id,
            f"{quantity(change.events, 'event')} of {quantity(change.learners, 'learner')}",
        )
    moved = sum(change.events for change in changes)
    aliases = quantity(len(changes), "alias", "aliases")
    verb = "would move" if preview else "moved"
    echo(f"{aliases}: {quantity(moved, 'event')} {verb}", err=True)


def _set_deleted(
    partner_name: str, activity: str, options: dict[str, Any], *, deleted: bool
) -> None:
    async def update(database: Database) -> None:
        lock = PartnerLock(database.writers)
        await contents.set_deleted(
            database, command_operator(), lock, partner_name, activity, deleted=deleted
        )

    run_with_database(load_settings(options), update)


def _outcome_columns(outcome: RowOutcome) -> list[str]:
    row = outcome.row
    name = row.values.get("content") or row.values.get("track") or ""
    errors = [f"{item.pointer[1:]}: {item.detail}".lstrip(": ") for item in outcome.violations]
    details = "; ".join(errors) or ", ".join(outcome.changes)
    columns = [str(row.location), row.kind, str(name), outcome.kind]
    return [*columns, details] if details else columns
