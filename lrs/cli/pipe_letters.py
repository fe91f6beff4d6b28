"""`lrs pipe letters`, `retry` and `drop`: the dead letters of a pipe."""

from __future__ import annotations

from typing import Any, BinaryIO
from uuid import UUID

import click

from lrs.admin import pipe_letters as use_cases
from lrs.admin.operators import command_operator
from lrs.cli.database import run_with_database
from lrs.cli.options import DATABASE, Command, load_settings, partner_argument, setting_options
from lrs.cli.output import echo
from lrs.cli.tables import json_option, object_option, print_json, print_table
from lrs.store.dead_letters import DeadLetter
from lrs.store.postgres import Database

_COLUMNS = ("statement_id", "created_at", "status", "attempts", "retry", "reason")


@click.command("letters")
@partner_argument
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows.")
@click.option("--after", type=click.UUID, help="Begin after this id.")
@json_option
@setting_options(*DATABASE)
def list_command(
    partner_name: str, name: str, limit: int, after: UUID | None, as_json: bool, **options: Any
) -> None:
    """List the dead letters of the pipe NAME of PARTNER; with --json, request and response too."""

    async def fetch(database: Database) -> list[DeadLetter]:
        return await use_cases.list_letters(
            database, command_operator(), partner_name, name, after=after, limit=limit
        )

    letters = run_with_database(load_settings(options), fetch)
    columns = (*_COLUMNS, "url", "request", "response")
    rows = [{column: getattr(letter, column) for column in columns} for letter in letters]
    print_table(_COLUMNS, rows, as_json=as_json)


def _letters_options(command: Command) -> Command:
    """The arguments and options that `retry` and `drop` share."""
    for decorate in reversed(
        (
            partner_argument,
            click.argument("name"),
            click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]..."),
            click.option("--all", "everything", is_flag=True, help="All of them."),
            object_option,
            setting_options(*DATABASE),
        )
    ):
        command = decorate(command)
    return command


@click.command("retry")
@click.option(
    "--body", type=click.File("rb"), help="File with the corrected statement; - for standard input."
)
@_letters_options
def retry_command(
    partner_name: str,
    name: str,
    ids: tuple[UUID, ...],
    everything: bool,
    body: BinaryIO | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Send dead letters of the pipe NAME of PARTNER again, by their ids.

    With --body, one of them with a corrected statement; the stored statement does not change.
    """
    chosen = _chosen(ids, everything)
    settings = load_settings(options)
    text = None if body is None else body.read()
    if text is not None and len(ids) != 1:
        raise click.UsageError("--body corrects one dead letter: name one id.")

    async def retry(database: Database) -> int:
        operator = command_operator()
        if text is None:
            return await use_cases.retry_letters(database, operator, partner_name, name, chosen)
        await use_cases.correct_letter(
            database, operator, partner_name, name, ids[0], text, settings.max_xapi_statement_bytes
        )
        return 1

    _print_count(run_with_database(settings, retry), "are sent again", as_json=as_json)


@click.command("drop")
@_letters_options
def drop_command(
    partner_name: str,
    name: str,
    ids: tuple[UUID, ...],
    everything: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Drop dead letters of the pipe NAME of PARTNER, by their ids."""
    chosen = _chosen(ids, everything)

    async def drop(database: Database) -> int:
        operator = command_operator()
        return await use_cases.drop_letters(database, operator, partner_name, name, chosen)

    _print_count(run_with_database(load_settings(options), drop), "dropped", as_json=as_json)


def _chosen(ids: tuple[UUID, ...], everything: bool) -> tuple[UUID, ...] | None:
    """The ids; None for all. Raises UsageError."""
    if everything == bool(ids):
        raise click.UsageError("Name the ids of statements, or --all.")
    return None if everything else ids


def _print_count(count: int, past: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"letters": count})
    else:
        echo(f"{count} dead letters {past}")
