"""`lrs pipe`: pipes that pull statements from other LRSs, or forward statements to them."""

from __future__ import annotations

from typing import Any

import click

from lrs.admin import pipes as use_cases
from lrs.admin.operators import command_operator
from lrs.admin.pipes import NewPipe
from lrs.bootstrap.access_tokens import load_keys
from lrs.bootstrap.secret_key import open_secret_box
from lrs.cli.database import load_settings_with_key, run_with_database
from lrs.cli.lazy_group import LazyGroup
from lrs.cli.options import (
    DATABASE,
    load_settings,
    optional_partner_argument,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.pipe_options import (
    config_options,
    credentials_of,
    direction_options,
    statement_filter,
)
from lrs.cli.tables import cell, json_option, object_option, print_json, print_table
from lrs.pipes.options import NoCredentials
from lrs.store.pipes import Pipe, PipeRun
from lrs.store.postgres import Database

_COLUMNS = (
    "partner", "name", "direction", "url", "state", "position_at", "next_try_at", "counts",
    "dead_letters", "last_error",
)  # fmt: skip
_RUN_COLUMNS = ("started_at", "ended_at", "server", "counts", "requests", "error")

_name_argument = click.argument("name")


@click.group(
    cls=LazyGroup,
    lazy={
        "run": ("pipe_run.run_pipe", "Run a pipe now, in the process of the command."),
        "test": ("pipe_test.test_pipe", "Test the other LRS of a pipe; nothing is stored or sent."),
        "verify": ("pipe_verify.verify_command", "Compare the statements of both sides by day."),
        "letters": ("pipe_letters.list_command", "List the dead letters of a pipe."),
        "retry": (
            "pipe_letters.retry_command",
            "Send dead letters again, unchanged or corrected.",
        ),
        "drop": ("pipe_letters.drop_command", "Drop dead letters of a pipe."),
    },
)
def pipe() -> None:
    """Pull statements from other LRSs, and forward statements to them."""


@pipe.command("add")
@partner_argument
@_name_argument
@click.argument("url")
@click.option("--pull", "direction", flag_value="pull", help="Pull statements from URL.")
@click.option("--forward", "direction", flag_value="forward", help="Forward statements to URL.")
@click.option("--start", "starts", is_flag=True, help="Start it at once.")
@config_options
@object_option
@setting_options(*DATABASE)
def pipe_add(
    partner_name: str,
    name: str,
    url: str,
    direction: str | None,
    starts: bool,
    version: str | None,
    filters: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Add the pipe NAME to PARTNER.

    With --pull it pulls from URL, with --forward it forwards to URL.

    The secret is read from --secret-file or the variable SECRET. A webhook has a signing secret
    and no key. The pipe runs once it is started.
    """
    if direction is None:
        raise click.UsageError("Choose --pull or --forward.")
    credentials = credentials_of(options) or NoCredentials()
    new = NewPipe(
        name, direction, url, credentials, version or "auto", statement_filter(filters, direction),
        direction_options(options),
    )  # fmt: skip
    settings = load_settings_with_key(options)

    async def add(database: Database) -> Pipe:
        await load_keys(settings, database)  # verifies the secret key
        secret_box, operator = open_secret_box(settings), command_operator()
        added = await use_cases.add_pipe(database, operator, secret_box, partner_name, new)
        if starts:
            return await use_cases.start_pipe(database, operator, partner_name, name)
        return added

    _show(run_with_database(settings, add), as_json=as_json)


@pipe.command("list")
@optional_partner_argument
@json_option
@setting_options(*DATABASE)
def pipe_list(partner_name: str | None, as_json: bool, **options: Any) -> None:
    """List the pipes of PARTNER, or of all partners."""

    async def fetch(database: Database) -> list[Pipe]:
        return await use_cases.list_pipes(database, command_operator(), partner_name)

    rows = run_with_database(load_settings(options), fetch)
    print_table(_COLUMNS, map(_row, rows), as_json=as_json)


@pipe.command("set")
@partner_argument
@_name_argument
@click.option("--url", help="URL of the other LRS.")
@config_options
@object_option
@setting_options(*DATABASE)
def pipe_set(
    partner_name: str,
    name: str,
    url: str | None,
    version: str | None,
    filters: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Change the pipe NAME of PARTNER: what the options name. It continues where it is.

    `--filter KEY=` removes a member of the filter.
    """
    credentials, changes = credentials_of(options), direction_options(options)
    settings = load_settings_with_key(options)

    async def change(database: Database) -> Pipe:
        await load_keys(settings, database)  # verifies the secret key
        operator = command_operator()
        before = await use_cases.get_pipe(database, operator, partner_name, name)
        return await use_cases.set_pipe(
            database,
            operator,
            open_secret_box(settings),
            partner_name,
            name,
            url=url,
            credentials=credentials,
            version=version,
            filter=statement_filter(filters, before.direction),
            options=changes,
        )

    _show(run_with_database(settings, change), as_json=as_json)


@pipe.command("status")
@partner_argument
@_name_argument
@click.option("--runs", type=click.IntRange(0), default=10, show_default=True, help="Last runs.")
@object_option
@setting_options(*DATABASE)
def pipe_status(partner_name: str, name: str, runs: int, as_json: bool, **options: Any) -> None:
    """Show the pipe NAME of PARTNER with its last runs."""

    async def fetch(database: Database) -> tuple[Pipe, list[PipeRun]]:
        operator = command_operator()
        pipe_row = await use_cases.get_pipe(database, operator, partner_name, name)
        listed = await use_cases.list_runs(database, operator, partner_name, name, runs)
        return pipe_row, listed

    pipe_row, listed = run_with_database(load_settings(options), fetch)
    rows = [{column: getattr(run, column) for column in _RUN_COLUMNS} for run in listed]
    if as_json:
        print_json({**_row(pipe_row), "runs": rows})
        return
    _show(pipe_row, as_json=False)
    if rows:
        print_table(_RUN_COLUMNS, rows, as_json=False)


def _state_command(verb: str, text: str) -> None:
    use_case = {"start": use_cases.start_pipe, "pause": use_cases.pause_pipe}[verb]

    @pipe.command(verb, help=text)
    @partner_argument
    @_name_argument
    @object_option
    @setting_options(*DATABASE)
    def change_state(partner_name: str, name: str, as_json: bool, **options: Any) -> None:
        async def change(database: Database) -> Pipe:
            return await use_case(database, command_operator(), partner_name, name)

        changed = run_with_database(load_settings(options), change)
        if as_json:
            print_json(_row(changed))
        else:
            echo(changed.partner, changed.name, changed.state)


_state_command("start", "Start the pipe NAME of PARTNER. It is due at once, also after a failure.")
_state_command("pause", "Pause the pipe NAME of PARTNER after the step that runs.")


@pipe.command("remove")
@partner_argument
@_name_argument
@object_option
@setting_options(*DATABASE)
def pipe_remove(partner_name: str, name: str, as_json: bool, **options: Any) -> None:
    """Remove the pipe NAME of PARTNER with its runs and dead letters. Statements stay."""

    async def remove(database: Database) -> None:
        await use_cases.remove_pipe(database, command_operator(), partner_name, name)

    run_with_database(load_settings(options), remove)
    if as_json:
        print_json({"partner": partner_name, "name": name, "state": "removed"})
    else:
        echo(partner_name, name, "removed")


def _row(pipe_row: Pipe) -> dict[str, Any]:
    names = (*_COLUMNS, "version", "filter", "options", "requests", "failures", "created_at",
             "last_success_at", "is_leased")  # fmt: skip
    return {name: getattr(pipe_row, name) for name in names}


def _show(pipe_row: Pipe, *, as_json: bool) -> None:
    if as_json:
        print_json(_row(pipe_row))
        return
    for name, value in _row(pipe_row).items():
        echo(name, cell(value))
