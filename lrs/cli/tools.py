"""`lrs tool`: LTI tools that send callbacks, and their page views."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TextIO

import click

from lrs.admin import tools
from lrs.admin.operators import command_operator
from lrs.admin.tools import ToolView
from lrs.auth.tools import IssuedTool
from lrs.bootstrap.access_tokens import load_keys
from lrs.bootstrap.secret_key import open_secret_box
from lrs.cli.database import load_settings_with_key, run_with_database
from lrs.cli.options import (
    DATABASE,
    load_settings,
    optional_partner_argument,
    overlap_option,
    partner_argument,
    read_secret,
    secret_file_option,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.store.postgres import Database

_COLUMNS = ("partner", "name", "consumer_key", "state", "created_at", "reused_ids")
_SWITCH = {"on": True, "off": False, "default": None}


@click.group()
def tool() -> None:
    """Manage LTI tools that send callbacks."""


@tool.command("add")
@partner_argument
@click.argument("name")
@click.option("--consumer-key", help="LTI consumer key.  [default: generated]")
@secret_file_option
@setting_options(*DATABASE)
def tool_add(
    partner_name: str,
    name: str,
    consumer_key: str | None,
    secret_file: TextIO | None,
    **options: Any,
) -> None:
    """Add the tool NAME to PARTNER. Its secret is shown once.

    A secret has 8 to 255 printable characters. Without --secret-file and SECRET it is generated.
    """
    secret = read_secret(secret_file)
    settings = load_settings_with_key(options)
    secret_box = open_secret_box(settings)

    async def add(database: Database) -> IssuedTool:
        await load_keys(settings, database)  # verifies the secret key
        return await tools.add_tool(
            database,
            command_operator(),
            secret_box,
            partner_name,
            name,
            consumer_key=consumer_key,
            secret=secret,
        )

    _show(run_with_database(settings, add))


@tool.command("list")
@optional_partner_argument
@json_option
@setting_options(*DATABASE)
def tool_list(partner_name: str | None, as_json: bool, **options: Any) -> None:
    """List the tools of PARTNER, or of all partners.

    Reused ids are reports that were stored under another id because theirs was taken.
    """

    async def fetch(database: Database) -> list[ToolView]:
        return await tools.list_tools(database, command_operator(), partner_name)

    rows = [asdict(row) for row in run_with_database(load_settings(options), fetch)]
    if not as_json:
        for row in rows:
            row["state"] = "revoked" if row["revoked_at"] else "active"
    print_table(_COLUMNS, rows, as_json=as_json)


@tool.command("rotate")
@partner_argument
@click.argument("name")
@overlap_option
@setting_options(*DATABASE)
def tool_rotate(partner_name: str, name: str, overlap_hours: float, **options: Any) -> None:
    """Replace the secret of the tool NAME. The new secret is shown once."""
    settings = load_settings_with_key(options)
    secret_box = open_secret_box(settings)

    async def rotate(database: Database) -> IssuedTool:
        await load_keys(settings, database)  # verifies the secret key
        return await tools.rotate_tool(
            database, command_operator(), secret_box, partner_name, name, overlap_hours
        )

    _show(run_with_database(settings, rotate))


@tool.command("revoke")
@partner_argument
@click.argument("name")
@setting_options(*DATABASE)
def tool_revoke(partner_name: str, name: str, **options: Any) -> None:
    """Revoke the tool NAME and all its callback URLs."""

    async def revoke(database: Database) -> None:
        await tools.revoke_tool(database, command_operator(), partner_name, name)

    run_with_database(load_settings(options), revoke)
    echo(f"revoked {name}")


@tool.command("page-views")
@partner_argument
@click.argument("switch", type=click.Choice(list(_SWITCH)))
@setting_options(*DATABASE)
def tool_page_views(partner_name: str, switch: str, **options: Any) -> None:
    """Set whether callbacks of PARTNER create page views."""

    async def set_page_views(database: Database) -> None:
        await tools.set_page_views(database, command_operator(), partner_name, _SWITCH[switch])

    run_with_database(load_settings(options), set_page_views)
    echo(f"page views of {partner_name}: {switch}")


def _show(issued: IssuedTool) -> None:
    echo(f"key     {issued.consumer_key}")
    echo(f"secret  {issued.secret}")
    echo("Store the secret now: it is not shown again.", err=True)
