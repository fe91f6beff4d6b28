"""`lrs reports`: database roles that read report tables, rebuild and lag of the reports."""

from __future__ import annotations

import re
from contextlib import ExitStack
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import click

from lrs.bootstrap.database import open_verified_database
from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.cli.database import record_change, run_with_database, run_with_dsn
from lrs.cli.options import (
    DATABASE,
    load_settings,
    optional_partner_argument,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.errors import Conflict, NotFound
from lrs.projection.lag import Backlog, read_backlogs
from lrs.projection.rebuild import rebuild_partner
from lrs.reports.roles import GrantResult, ReportRoles
from lrs.server import garbage_collection
from lrs.store import migrations, registry
from lrs.store.postgres import Database, open_projector_database

role_option = click.option("--role", help="Name of the role.  [default: reports_PARTNER]")
schema_option = click.option("--schema", help="Schema of its tables.  [default: reports_PARTNER]")


@click.group()
def reports() -> None:
    """Manage report tables: access for BI tools, rebuild, lag."""


@reports.command("grant")
@partner_argument
@role_option
@schema_option
@click.option("--new-password", is_flag=True, help="Replace the password of an existing role.")
@setting_options(*DATABASE)
def reports_grant(
    partner_name: str, role: str | None, schema: str | None, new_password: bool, **options: Any
) -> None:
    """Grant a database role read access to PARTNER's tables. Its password is shown once.

    Run it again after an upgrade to update the tables; the password does not change.
    """
    role, schema = role or _default_name(partner_name), schema or _default_name(partner_name)
    password = token_urlsafe(24)

    async def grant(dsn: str) -> tuple[GrantResult, str]:
        async with open_verified_database(dsn) as database:
            partner = await registry.get_partner(database, partner_name)
            if partner.disabled_at is not None:
                raise Conflict(f"Partner {partner_name!r} is disabled: enable it first.")
            result = await ReportRoles(database.writers).grant(
                partner.partner_id,
                schema=schema,
                role=role,
                password=password,
                rotate_password=new_password,
            )
            await record_change(
                database,
                "role.grant",
                f"role/{role}",
                partner_id=partner.partner_id,
                after={"schema": schema, "password_set": result.password_set},
            )
        return result, dsn

    settings = load_settings(options)
    granted, dsn = run_with_dsn(settings, grant)
    embedded = not settings.database_url
    if embedded and settings.reports_address:
        dsn = f"postgresql://{settings.reports_address}/lrs"
    _show(dsn, role, schema, password if granted.password_set else None)
    _warn(granted, role)
    if embedded and not settings.reports_address:
        echo(
            "Only the user of the server can connect to this address. To allow others, set "
            "LRS_REPORTS_ADDRESS and restart the server.",
            err=True,
        )


@reports.command("revoke")
@partner_argument
@role_option
@schema_option
@setting_options(*DATABASE)
def reports_revoke(partner_name: str, role: str | None, schema: str | None, **options: Any) -> None:
    """Drop a role that reads PARTNER's tables, and end its sessions.

    The tables are dropped with the last role.
    """
    role, schema = role or _default_name(partner_name), schema or _default_name(partner_name)

    async def revoke(database: Database) -> bool:
        partner = await registry.get_partner(database, partner_name)
        dropped = await ReportRoles(database.writers).revoke(
            partner.partner_id, schema=schema, role=role
        )
        await record_change(database, "role.revoke", f"role/{role}", partner_id=partner.partner_id)
        return dropped

    dropped = run_with_database(load_settings(options), revoke)
    echo(f"revoked {role}")
    if not dropped:
        echo(f"The role {role} was not dropped: it has other privileges or owns objects.", err=True)


@reports.command("rebuild")
@optional_partner_argument
@setting_options(*DATABASE)
def reports_rebuild(partner_name: str | None, **options: Any) -> None:
    """Rebuild the reports of PARTNER, or of all partners.

    They are computed from all statements. The old reports stay readable until the rebuild is
    complete.
    """
    settings = load_settings(options)
    vocabulary = load_configured_vocabulary(settings)
    garbage_collection.tune_gc()

    async def rebuild(dsn: str) -> None:
        async with open_projector_database(dsn) as database:
            await migrations.verify(database.readers)
            for backlog in await _backlogs(database, partner_name):
                with _ProgressBars(backlog.partner) as bars:
                    await rebuild_partner(database, backlog.partner_id, vocabulary, bars.report)
                await record_change(
                    database,
                    "reports.rebuild",
                    f"partner/{backlog.partner}",
                    partner_id=backlog.partner_id,
                )

    run_with_dsn(settings, rebuild)


@reports.command("lag")
@optional_partner_argument
@json_option
@setting_options(*DATABASE)
def reports_lag(partner_name: str | None, as_json: bool, **options: Any) -> None:
    """Show watermark, lag and uncounted statements of reports.

    Without PARTNER, the reports of all partners are listed. Uncounted statements are in no Data
    Connector table: the table `uncounted` has the reasons.
    """

    async def fetch(database: Database) -> list[Backlog]:
        return await _backlogs(database, partner_name)

    rows = [
        {
            "partner": backlog.partner,
            "watermark": backlog.watermark,
            "lag_seconds": round(backlog.lag_seconds, 1),
            "uncounted": backlog.uncounted,
            "rebuild_needed": backlog.needs_rebuild,
        }
        for backlog in run_with_database(load_settings(options), fetch)
    ]
    if not as_json:
        for row in rows:
            row["watermark"] = row["watermark"] or "no data yet"
            lag = f"{row['lag_seconds']} s" if row["lag_seconds"] else "up to date"
            row["lag"] = f"{lag}, rebuild needed" if row["rebuild_needed"] else lag
    print_table(("partner", "watermark", "lag", "uncounted"), rows, as_json=as_json)


async def _backlogs(database: Database, partner_name: str | None) -> list[Backlog]:
    """The backlog of each partner, or of one. Raises NotFound."""
    backlogs = await read_backlogs(database, counted=True)
    if partner_name is None:
        return backlogs
    named = [backlog for backlog in backlogs if backlog.partner == partner_name]
    if not named:
        raise NotFound(f"Partner {partner_name!r} not found.")
    return named


def _default_name(partner_name: str) -> str:
    return "reports_" + re.sub("[^a-z0-9_]", "_", partner_name.lower())


def _show(dsn: str, role: str, schema: str, password: str | None) -> None:
    url = urlsplit(dsn)
    secret = f":{password}" if password else ""
    address = url.netloc.rpartition("@")[2]
    connection = urlunsplit(url._replace(netloc=f"{quote(role)}{secret}@{address}"))
    echo(f"schema    {schema}")
    echo(f"role      {role}")
    if password:
        echo(f"password  {password}")
    echo(f"url       {connection}")
    if password:
        echo("Store the password now: it is not shown again.", err=True)


def _warn(granted: GrantResult, role: str) -> None:
    if not granted.limits_set:
        echo(
            f"No privilege to alter the role {role}: its search_path, timeouts and read-only "
            "default were not set.",
            err=True,
        )
    if not granted.sessions_limited:
        echo(
            f"No privilege to see and end the sessions of {role}: their time is not limited. An "
            "administrator can: grant pg_read_all_stats, pg_signal_backend to …, or grant the role "
            "to the server's role.",
            err=True,
        )
    if granted.excess:
        echo(
            "The role may do more than a reader needs, mostly as every role of this database. A "
            "superuser can change that:",
            err=True,
        )
        for statement in granted.excess:
            echo(f"  {statement};", err=True)


class _ProgressBars(ExitStack):
    """One progress bar for each phase of a rebuild, in sequence."""

    def __init__(self, partner: str) -> None:
        super().__init__()
        self._partner = partner
        self._phase = ""
        self._bar: Any = None

    def report(self, phase: str, done: int, total: int) -> None:
        if phase != self._phase:
            self.close()
            label = f"{self._partner}: {phase}"
            self._bar = self.enter_context(
                click.progressbar(length=total, label=label, show_pos=True)
            )
            self._phase = phase
        self._bar.update(done - self._bar.pos)
