"""`lrs tool`: LTI tools that send callbacks, and their page views."""

from __future__ import annotations

from typing import Any, TextIO

import click

from lrs import bootstrap
from lrs.auth import tools
from lrs.auth.tools import IssuedTool
from lrs.cli.database import run_with_database
from lrs.cli.options import (
    DATABASE,
    end_of_overlap,
    format_day,
    load_settings,
    optional_partner_argument,
    overlap_option,
    partner_argument,
    read_secret,
    secret_file_option,
    setting_options,
)
from lrs.cli.output import echo
from lrs.store import registry
from lrs.store import tools as stored_tools
from lrs.store.postgres import Database
from lrs.store.tools import Tool

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
    settings = bootstrap.with_secret_key(load_settings(options))
    secret_box = bootstrap.secret_box(settings)

    async def add(database: Database) -> IssuedTool:
        await bootstrap.load_keys(settings, database)  # verifies the secret key
        partner = await registry.get_partner(database, partner_name)
        return await tools.add_tool(
            database,
            secret_box,
            partner.partner_id,
            name,
            consumer_key=consumer_key,
            secret=secret,
        )

    _show(run_with_database(settings, add))


@tool.command("list")
@optional_partner_argument
@setting_options(*DATABASE)
def tool_list(partner_name: str | None, **options: Any) -> None:
    """List the tools of PARTNER, or of all partners.

    Reused ids are reports that were stored under another id because theirs was taken.
    """

    async def fetch(database: Database) -> list[Tool]:
        if partner_name is not None:
            await registry.get_partner(database, partner_name)
        return await stored_tools.list_tools(database, partner_name)

    for row in run_with_database(load_settings(options), fetch):
        state = "revoked" if row.revoked_at else "active"
        created, reused = format_day(row.created_at), f"{row.reused_ids} reused ids"
        echo(row.partner, row.name, row.consumer_key, state, created, reused)


@tool.command("rotate")
@partner_argument
@click.argument("name")
@overlap_option
@setting_options(*DATABASE)
def tool_rotate(partner_name: str, name: str, overlap_hours: float, **options: Any) -> None:
    """Replace the secret of the tool NAME. The new secret is shown once."""
    settings = bootstrap.with_secret_key(load_settings(options))
    secret_box = bootstrap.secret_box(settings)
    overlap_until = end_of_overlap(overlap_hours)

    async def rotate(database: Database) -> IssuedTool:
        await bootstrap.load_keys(settings, database)  # verifies the secret key
        partner = await registry.get_partner(database, partner_name)
        return await tools.rotate_tool(
            database, secret_box, partner.partner_id, name, overlap_until
        )

    _show(run_with_database(settings, rotate))


@tool.command("revoke")
@partner_argument
@click.argument("name")
@setting_options(*DATABASE)
def tool_revoke(partner_name: str, name: str, **options: Any) -> None:
    """Revoke the tool NAME and all its callback URLs."""

    async def revoke(database: Database) -> None:
        partner = await registry.get_partner(database, partner_name)
        await stored_tools.revoke_tool(database, partner.partner_id, tools.check_name(name))

    run_with_database(load_settings(options), revoke)
    echo(f"revoked {name}")


@tool.command("page-views")
@partner_argument
@click.argument("switch", type=click.Choice(list(_SWITCH)))
@setting_options(*DATABASE)
def tool_page_views(partner_name: str, switch: str, **options: Any) -> None:
    """Set whether callbacks create page views, for all tools of PARTNER."""

    async def set_page_views(database: Database) -> None:
        await stored_tools.set_page_views(database, partner_name, _SWITCH[switch])

    run_with_database(load_settings(options), set_page_views)
    echo(f"page views of {partner_name}: {switch}")


def _show(issued: IssuedTool) -> None:
    echo(f"key     {issued.consumer_key}")
    echo(f"secret  {issued.secret}")
    echo("Store the secret now: it is not shown again.", err=True)
