"""`lrs pipe verify`: compares the statements of both sides of a pipe."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from typing import Any

import click
import httpx

from lrs.admin.operators import command_operator
from lrs.admin.pipe_verification import verify_pipe
from lrs.bootstrap.access_tokens import load_keys
from lrs.bootstrap.secret_key import open_secret_box
from lrs.cli.database import load_settings_with_key, run_with_database
from lrs.cli.options import DATABASE, partner_argument, setting_options
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.errors import OperatorError
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.engine import reason_of
from lrs.pipes.model import PipeError
from lrs.pipes.verification import ComparedDay
from lrs.plurals import quantity
from lrs.settings import Settings
from lrs.store.postgres import Database

_COLUMNS = ("day", "local", "remote", "is_equal")
_PROGRESS_STATEMENTS = 10_000


@click.command("verify")
@partner_argument
@click.argument("name")
@json_option
@setting_options(*DATABASE)
def verify_command(partner_name: str, name: str, as_json: bool, **options: Any) -> None:
    """Compare the statements of both sides of the pipe NAME of PARTNER, by day of their timestamp.

    A day is equal if its numbers and a hash over ids and contents are. Exits with status 1 unless
    all are.
    """
    settings = load_settings_with_key(options)
    days = run_with_database(settings, partial(_verify, settings, partner_name, name))
    rows = [dataclasses.asdict(day) for day in days]
    print_table(_COLUMNS, rows, as_json=as_json)
    different = sum(not day.is_equal for day in days)
    if different:
        raise OperatorError(
            f"The statements of {different} of {quantity(len(days), 'day')} differ."
        )


async def _verify(
    settings: Settings, partner_name: str, name: str, database: Database
) -> list[ComparedDay]:
    await load_keys(settings, database)  # verifies the secret key
    try:
        return await verify_pipe(
            database,
            command_operator(),
            open_secret_box(settings),
            AddressRules(settings.pipe_networks),
            partner_name,
            name,
            _Progress().show,
        )
    except (PipeError, httpx.HTTPError) as error:
        raise OperatorError(reason_of(error)) from None


class _Progress:
    """Lines on standard error with the number of statements read, if that is a terminal."""

    def __init__(self) -> None:
        self._shown = 0

    def show(self, statements: int) -> None:
        if statements - self._shown >= _PROGRESS_STATEMENTS and sys.stderr.isatty():
            self._shown = statements
            echo(f"{statements} statements read", err=True)
