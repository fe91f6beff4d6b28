"""`lrs audit`: who changed what, and who looked at a learner."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click
import msgspec

from lrs.admin import audit as use_cases
from lrs.admin.operators import command_operator
from lrs.cli.database import run_with_database
from lrs.cli.options import DATABASE, from_now, load_settings, setting_options
from lrs.cli.tables import json_option, print_table
from lrs.store.audit import AuditEntry
from lrs.store.postgres import Database

_COLUMNS = ("at", "operator", "via", "action", "object", "partner", "before", "after", "request_id")
_PAGE_SIZE = 1000


@click.command()
@click.option("--partner", "partner_name", help="Entries of this partner.")
@click.option("--operator", "by", help="Email of an operator, or user who ran a command.")
@click.option("--action", help="Beginning of an action, such as credential or learner.view.")
@click.option("--hours", type=click.FloatRange(0), help="Of the last N hours only.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Number of rows."
)
@json_option
@setting_options(*DATABASE)
def audit(
    partner_name: str | None,
    by: str | None,
    action: str | None,
    hours: float | None,
    limit: int,
    as_json: bool,
    **options: Any,
) -> None:
    """List audit entries, newest first."""
    since = from_now(timedelta(hours=-hours)) if hours is not None else None

    async def fetch(database: Database) -> list[AuditEntry]:
        rows: list[AuditEntry] = []
        cursor = None
        while len(rows) < limit:
            page = await use_cases.list_entries(
                database,
                command_operator(),
                partner=partner_name,
                by=by,
                action=action,
                since=since,
                cursor=cursor,
                limit=min(_PAGE_SIZE, limit - len(rows)),
            )
            rows += page.items
            cursor = page.cursor
            if cursor is None:
                break
        return rows

    rows = [
        _row(entry, as_json=as_json) for entry in run_with_database(load_settings(options), fetch)
    ]
    print_table(_COLUMNS, rows, as_json=as_json)


def _row(entry: AuditEntry, *, as_json: bool) -> dict[str, Any]:
    row = asdict(entry)
    if not as_json:
        for name in ("before", "after"):
            row[name] = "" if row[name] is None else msgspec.json.encode(row[name]).decode()
    return row
