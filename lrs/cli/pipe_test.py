"""`lrs pipe test`: what the other LRS of a pipe answers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import click

from lrs.admin import pipes as use_cases
from lrs.admin.operators import command_operator
from lrs.bootstrap.secret_key import open_secret_box
from lrs.cli.database import load_settings_with_key, run_with_dsn
from lrs.cli.options import DATABASE, partner_argument, setting_options
from lrs.cli.tables import json_option, print_table
from lrs.errors import OperatorError
from lrs.pipes.check import Finding, check
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.client.endpoint import open_endpoint
from lrs.pipes.options import decode_credentials
from lrs.pipes.services import open_item_store
from lrs.settings import Settings

_WORDS = {True: "ok", False: "attention", None: "info"}


@click.command("test")
@partner_argument
@click.argument("name")
@json_option
@setting_options(*DATABASE)
def test_pipe(partner_name: str, name: str, as_json: bool, **options: Any) -> None:
    """Test the other LRS of the pipe NAME of PARTNER; nothing is stored or sent.

    The status is 1 if the statements resource does not answer.
    """
    settings = load_settings_with_key(options)
    findings = run_with_dsn(settings, partial(_check, settings, partner_name, name))
    rows = [
        {"check": item.check, "result": _WORDS[item.ok], "detail": item.detail} for item in findings
    ]
    print_table(("check", "result", "detail"), rows, as_json=as_json)
    if not any(item.check == "endpoint" and item.ok for item in findings):
        raise OperatorError("The statements resource does not answer.")


async def _check(settings: Settings, partner_name: str, name: str, dsn: str) -> list[Finding]:
    settings = replace(settings, database_url=dsn)
    async with open_item_store(settings) as (database, item_store):
        pipe = await use_cases.get_pipe(database, command_operator(), partner_name, name)
        use_cases.require_endpoint(pipe)
        secret_box = open_secret_box(settings)
        credentials = decode_credentials(secret_box.decrypt(pipe.credentials_jwe))
        rules = AddressRules(settings.pipe_networks)
        preview = partial(item_store.preview, pipe)
        async with open_endpoint(pipe.url, credentials, rules) as endpoint:
            return [finding async for finding in check(pipe, endpoint, rules, preview)]
