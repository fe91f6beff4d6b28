"""`lrs reports`: who may read a partner's tables in the database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from secrets import token_urlsafe
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import click

from lrs import bootstrap
from lrs.cli.options import DATABASE, configured, flags
from lrs.reports.roles import GrantResult, ReportRoles
from lrs.settings import Settings
from lrs.store import registry
from lrs.store.postgres import Database

Result = TypeVar("Result")

_role = click.option("--role", help="Its name.  [default: reports_ and the partner's name]")
_schema = click.option("--schema", help="The tables' schema.  [default: the same]")


@click.group()
def reports() -> None:
    """Reports: the tables that business intelligence tools read."""


@reports.command("grant")
@click.argument("partner_name", metavar="PARTNER")
@_role
@_schema
@click.option("--new-password", "renew", is_flag=True, help="Give a known role another password.")
@flags(*DATABASE)
def reports_grant(
    partner_name: str, role: str | None, schema: str | None, renew: bool, **given: Any
) -> None:
    """Let a database role read PARTNER's tables, and show its password once.

    Run again after an upgrade, to bring the tables up to date; the password stays as it is.
    """
    role, schema = role or _default(partner_name), schema or _default(partner_name)
    password = token_urlsafe(24)

    async def grant(database: Database, known: ReportRoles) -> GrantResult:
        partner = await registry.get_partner(database, partner_name)
        return await known.grant(
            partner.partner_id, schema=schema, role=role, password=password, rotate_password=renew
        )

    configuration = configured(given)
    granted, dsn = _with_grants(configuration, grant)
    embedded = not configuration.database_url
    if embedded and configuration.reports_address:
        dsn = f"postgresql://{configuration.reports_address}/lrs"
    _show(dsn, role, schema, password if granted.password_set else None)
    _warn(granted, role)
    if embedded and not configuration.reports_address:
        click.echo(
            "Only the server's own user can connect there: for others, set LRS_REPORTS_ADDRESS, "
            "and start the server again.",
            err=True,
        )


@reports.command("revoke")
@click.argument("partner_name", metavar="PARTNER")
@_role
@_schema
@flags(*DATABASE)
def reports_revoke(partner_name: str, role: str | None, schema: str | None, **given: Any) -> None:
    """Drop a role that reads PARTNER's tables; with the last one, the tables as well."""
    role, schema = role or _default(partner_name), schema or _default(partner_name)

    async def revoke(database: Database, known: ReportRoles) -> bool:
        partner = await registry.get_partner(database, partner_name)
        return await known.revoke(partner.partner_id, schema=schema, role=role)

    dropped, _ = _with_grants(configured(given), revoke)
    click.echo(f"revoked {role}")
    if not dropped:
        click.echo(f"The role {role} reads nothing of it any more, but is still there.", err=True)


def _default(partner_name: str) -> str:
    return "reports_" + re.sub("[^a-z0-9_]", "_", partner_name.lower())


def _with_grants(
    configuration: Settings, work: Callable[[Database, ReportRoles], Awaitable[Result]]
) -> tuple[Result, str]:
    """What came of some work on the configured database, and where that is."""

    async def run(dsn: str) -> Result:
        async with bootstrap.grants(dsn) as (database, known):
            return await work(database, known)

    with bootstrap.database_url(configuration) as dsn:
        return asyncio.run(run(dsn)), dsn


def _show(dsn: str, role: str, schema: str, password: str | None) -> None:
    url = urlsplit(dsn)
    secret = f":{password}" if password else ""
    place = url.netloc.rpartition("@")[2]
    connection = urlunsplit(url._replace(netloc=f"{quote(role)}{secret}@{place}"))
    click.echo(f"schema    {schema}\nrole      {role}")
    if password:
        click.echo(f"password  {password}")
    click.echo(f"url       {connection}")
    if password:
        click.echo("The password is shown only once: keep it.", err=True)


def _warn(granted: GrantResult, role: str) -> None:
    if not granted.limits_set:
        click.echo(
            f"The role {role} is not the server's to change: its search_path, time limits and "
            "read-only default are as they were.",
            err=True,
        )
    if granted.can_create_temporary_tables:
        click.echo(
            "In this database everybody may make temporary tables, this role too; to end that: "
            "revoke temporary on database … from public.",
            err=True,
        )
