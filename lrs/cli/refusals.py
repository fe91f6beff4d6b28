"""`lrs refusals` and `lrs attempts`: refused items and denied requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

import click
import orjson

from lrs.admin import refusals as use_cases
from lrs.admin.operators import command_operator
from lrs.cli.database import run_with_database, run_with_dsn
from lrs.cli.options import (
    DATABASE,
    load_settings,
    optional_partner_argument,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.tables import json_option, object_option, print_json, print_table
from lrs.errors import OperatorError
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.model import REFUSED
from lrs.ingest.pipeline import IngestPipeline
from lrs.ingest.resubmit import Resubmission
from lrs.ledger.worker import open_ledger
from lrs.limits.services import open_limits
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.attempts import AttemptCount
from lrs.store.intake import SOURCES
from lrs.store.postgres import Database, open_database
from lrs.store.refusals import Refusal, RefusalFilter
from lrs.store.statements.watermark import WatermarkReader

_REFUSAL_COLUMNS = (
    "id", "refused_at", "source", "credential", "organization", "outcome", "code", "pointer",
    "statement_id", "request_id", "resubmitted_at",
)  # fmt: skip
_ATTEMPT_COLUMNS = (
    "last_at", "attempts", "status", "code", "method", "path", "key", "address", "reason",
    "first_at", "request_id",
)  # fmt: skip
_PAGE_SIZE = 1000

_id_argument = click.argument("refusal_id", metavar="ID", type=click.UUID)
_limit_option = click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Number of rows."
)


@click.group()
def refusals() -> None:
    """List, show and resubmit refused items."""


@refusals.command("list")
@partner_argument
@click.option("--code", help="Code of the problem, such as invalid-statement.")
@click.option("--pointer", help="Place of the first error, with * for indexes.")
@click.option("--source", type=click.Choice(list(SOURCES)), help="Interface.")
@click.option("--credential", help="Key of the credential.")
@click.option("--hours", type=click.FloatRange(0), help="Of the last N hours only.")
@_limit_option
@json_option
@setting_options(*DATABASE)
def refusals_list(
    partner_name: str,
    code: str | None,
    pointer: str | None,
    source: str | None,
    credential: str | None,
    hours: float | None,
    limit: int,
    as_json: bool,
    **options: Any,
) -> None:
    """List the refused items of PARTNER, newest first."""
    since = datetime.now(UTC) - timedelta(hours=hours) if hours is not None else None
    selection = RefusalFilter(credential, code, source, pointer, since=since)

    async def fetch(database: Database) -> list[Refusal]:
        rows: list[Refusal] = []
        while len(rows) < limit:
            page = await use_cases.list_refusals(
                database,
                command_operator(),
                partner_name,
                selection,
                before=rows[-1].refusal_id if rows else None,
                limit=min(_PAGE_SIZE, limit - len(rows)),
            )
            rows += page
            if len(page) < _PAGE_SIZE:
                break
        return rows

    rows = run_with_database(load_settings(options), fetch)
    print_table(_REFUSAL_COLUMNS, map(_refusal_row, rows), as_json=as_json)


def _refusal_row(refusal: Refusal) -> dict[str, Any]:
    return {
        "id": str(refusal.refusal_id),
        "refused_at": refusal.refused_at,
        "source": refusal.source,
        "credential": refusal.credential,
        "organization": refusal.organization,
        "outcome": refusal.outcome,
        "code": refusal.code,
        "pointer": refusal.pointer,
        "index": refusal.item_index,
        "statement_id": refusal.statement_id,
        "request_id": refusal.request_id,
        "bytes": refusal.item_bytes,
        "resubmitted_at": refusal.resubmitted_at,
        "problem": orjson.loads(refusal.problem),
    }


@refusals.command("show")
@partner_argument
@_id_argument
@object_option
@setting_options(*DATABASE)
def refusals_show(partner_name: str, refusal_id: UUID, as_json: bool, **options: Any) -> None:
    """Show the refused item ID of PARTNER with all errors and its text."""

    async def fetch(database: Database) -> Refusal:
        return await use_cases.get_refusal(database, command_operator(), partner_name, refusal_id)

    refusal = run_with_database(load_settings(options), fetch)
    row = _refusal_row(refusal)
    text = None if refusal.item is None else refusal.item.decode("utf-8", "replace")
    if as_json:
        row |= {"item": text, "is_complete": refusal.is_complete}
        print_json(row)
        return
    problem = row.pop("problem")
    for name, value in row.items():
        echo(name, "" if value is None else value)
    echo("detail", problem["detail"])
    for error in problem.get("errors", ()):
        echo("error", error["pointer"], error["detail"], error["requirement"])
    echo("item", "(not kept)" if text is None else text)


@refusals.command("resubmit")
@partner_argument
@_id_argument
@click.option(
    "--file",
    "corrected",
    type=click.File("rb"),
    help="File with the corrected item; - for standard input.  [default: the item as it was]",
)
@setting_options(*DATABASE)
def refusals_resubmit(
    partner_name: str, refusal_id: UUID, corrected: BinaryIO | None, **options: Any
) -> None:
    """Send a refused item again, as its credential or pipe."""
    settings = load_settings(options)
    body = corrected.read() if corrected else None
    sent = run_with_dsn(settings, partial(_resubmit, settings, partner_name, refusal_id, body))
    for outcome in sent.outcomes:
        echo(outcome.kind, outcome.statement_id or "")
    for outcome in sent.outcomes:
        if outcome.problem and outcome.kind in REFUSED:
            detail = outcome.problem.detail.rstrip(".")
            raise OperatorError(f"The item was refused again: {detail}.")


async def _resubmit(
    settings: Settings, partner_name: str, refusal_id: UUID, body: bytes | None, dsn: str
) -> Resubmission:
    # Not the connection of other commands: the watermark knows writers by their name.
    async with (
        open_database(dsn, writers=1, readers=2) as database,
        open_limits(settings, database) as limits,
        open_ledger(settings, database, WatermarkReader(database)) as ledger,
    ):
        await migrations.verify(database.readers)
        pipeline = IngestPipeline(database, GroupCommit(database), limits.quotas, ledger=ledger)
        return await use_cases.resubmit_refusal(
            database, command_operator(), pipeline, settings, partner_name, refusal_id, body
        )


@click.group()
def attempts() -> None:
    """List denied requests: failed authentications, 403 and 404."""


@attempts.command("list")
@optional_partner_argument
@_limit_option
@json_option
@setting_options(*DATABASE)
def attempts_list(partner_name: str | None, limit: int, as_json: bool, **options: Any) -> None:
    """List the denied requests of PARTNER, the last one first.

    They name the partner, or one of its keys or tools. Without PARTNER, those that name none are
    listed. Equal requests are one row.
    """

    async def fetch(database: Database) -> list[AttemptCount]:
        return await use_cases.list_attempts(
            database, command_operator(), partner_name, limit=limit
        )

    rows = run_with_database(load_settings(options), fetch)
    print_table(_ATTEMPT_COLUMNS, map(_attempt_row, rows), as_json=as_json)


def _attempt_row(attempt: AttemptCount) -> dict[str, Any]:
    hidden = ("partner_id", "attempt_hash")
    return {name: value for name, value in attempt._asdict().items() if name not in hidden}
