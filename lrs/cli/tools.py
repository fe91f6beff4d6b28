"""`lrs tool`: the tools that report through callbacks, and whether that leaves page views."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from lrs import bootstrap
from lrs.auth import tools
from lrs.auth.secret_box import SecretBox
from lrs.auth.tools import IssuedTool
from lrs.cli.options import DATABASE, configured, flags, overlap
from lrs.settings import Settings
from lrs.store import registry
from lrs.store import tools as store
from lrs.store.postgres import Database
from lrs.store.tools import Tool

Result = TypeVar("Result")

_SWITCH = {"on": True, "off": False, "default": None}


@click.group()
def tool() -> None:
    """Tools: what reports activity through callbacks."""


@tool.command("add")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("name")
@click.option("--consumer-key", help="The tool's LTI consumer key.  [default: a new one]")
@click.option("--secret", envvar="SECRET", help="Its shared secret [SECRET].  [default: a new one]")
@flags(*DATABASE)
def tool_add(
    partner_name: str, name: str, consumer_key: str | None, secret: str | None, **given: Any
) -> None:
    """Add the tool NAME to PARTNER, and show its secret once."""
    configuration = bootstrap.with_secret_key(configured(given))
    secret_box = SecretBox(configuration.secret_key)

    async def add(database: Database) -> IssuedTool:
        partner = await registry.get_partner(database, partner_name)
        return await tools.add_tool(
            database, secret_box, partner.partner_id, name, consumer_key=consumer_key, secret=secret
        )

    _show(_with_database(configuration, add))


@tool.command("list")
@click.argument("partner_name", metavar="[PARTNER]", required=False)
@flags(*DATABASE)
def tool_list(partner_name: str | None, **given: Any) -> None:
    """List the tools of PARTNER, or of all partners."""

    async def listed(database: Database) -> list[Tool]:
        if partner_name is not None:
            await registry.get_partner(database, partner_name)
        return await store.list_tools(database, partner_name)

    for each in _with_database(configured(given), listed):
        state = "revoked" if each.revoked_at else "good"
        day = each.created_at.date().isoformat()
        click.echo(f"{each.partner}\t{each.name}\t{each.consumer_key}\t{state}\t{day}")


@tool.command("rotate")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("name")
@overlap
@flags(*DATABASE)
def tool_rotate(partner_name: str, name: str, overlap_hours: float, **given: Any) -> None:
    """Give the tool NAME a new secret, and show it once."""
    configuration = bootstrap.with_secret_key(configured(given))
    until = datetime.now(UTC) + timedelta(hours=overlap_hours)

    async def rotate(database: Database) -> IssuedTool:
        partner = await registry.get_partner(database, partner_name)
        secret_box = SecretBox(configuration.secret_key)
        return await tools.rotate_tool(database, secret_box, partner.partner_id, name, until)

    _show(_with_database(configuration, rotate))


@tool.command("revoke")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("name")
@flags(*DATABASE)
def tool_revoke(partner_name: str, name: str, **given: Any) -> None:
    """End the tool NAME and every callback URL that it has, at once."""

    async def revoke(database: Database) -> None:
        partner = await registry.get_partner(database, partner_name)
        await store.revoke_tool(database, partner.partner_id, tools.check_name(name))

    _with_database(configured(given), revoke)
    click.echo(f"revoked {name}")


@tool.command("page-views")
@click.argument("partner_name", metavar="PARTNER")
@click.argument("switch", type=click.Choice(list(_SWITCH)))
@flags(*DATABASE)
def tool_page_views(partner_name: str, switch: str, **given: Any) -> None:
    """Say whether callbacks of PARTNER's tools leave page views."""

    async def set_page_views(database: Database) -> None:
        await store.set_page_views(database, partner_name, _SWITCH[switch])

    _with_database(configured(given), set_page_views)
    click.echo(f"page views of {partner_name}: {switch}")


def _with_database(
    configuration: Settings, work: Callable[[Database], Awaitable[Result]]
) -> Result:
    """Runs `work` on the configured database."""

    async def run(dsn: str) -> Result:
        async with bootstrap.open_database(dsn) as database:
            return await work(database)

    with bootstrap.database_url(configuration) as dsn:
        return asyncio.run(run(dsn))


def _show(issued: IssuedTool) -> None:
    click.echo(f"key     {issued.consumer_key}\nsecret  {issued.secret}")
    click.echo("This is shown only once: keep it.", err=True)
