"""`lrs partner`: partners (tenants), their limits and settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from lrs.admin import partners
from lrs.admin.operators import command_operator
from lrs.admin.partners import PartnerView
from lrs.auth import credentials
from lrs.cli import limit_options, partner_setting_options
from lrs.cli.database import all_pages, public_base_url, run_with_database
from lrs.cli.options import DATABASE, load_settings, setting_options
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.errors import OperatorError
from lrs.projection import lag
from lrs.store import limits, partner_settings, registry
from lrs.store.limits import QuotaUsage
from lrs.store.postgres import Database
from lrs.store.registry import Partner

_COLUMNS = ("name", "title", "home_page", "created_at", "disabled_at", "settings", "limits")


@click.group()
def partner() -> None:
    """Add, list, change and disable partners (tenants)."""


@partner.command("add")
@click.argument("name")
@click.option("--title", default="", help="Display name.")
@click.option(
    "--home-page", default=None, help="Base URL for the partner's ids (account homePage)."
)
@setting_options(*DATABASE, "public_url")
def partner_add(name: str, title: str, home_page: str | None, **options: Any) -> None:
    """Add a partner. NAME is part of its URLs."""
    settings = load_settings(options)

    async def add(database: Database) -> PartnerView:
        page = home_page
        if page is None:
            base_url = await public_base_url(database, settings)
            if base_url is None:
                raise OperatorError(
                    "The URL of the server is not known: set --home-page or LRS_PUBLIC_URL, or "
                    "start the server first."
                )
            page = credentials.default_home_page(base_url, name)
        return await partners.add_partner(database, command_operator(), name, title, page)

    added = run_with_database(settings, add)
    echo(f"partner {added.name}, home page {added.home_page}")


@partner.command("list")
@json_option
@setting_options(*DATABASE)
def partner_list(as_json: bool, **options: Any) -> None:
    """List all partners."""

    async def fetch(database: Database) -> list[PartnerView]:
        return await all_pages(
            lambda cursor, limit: partners.list_partners(
                database, command_operator(), cursor=cursor, limit=limit
            )
        )

    rows = run_with_database(load_settings(options), fetch)
    print_table(_COLUMNS, [_row(view, as_json=as_json) for view in rows], as_json=as_json)


def _row(view: PartnerView, *, as_json: bool) -> dict[str, Any]:
    row = asdict(view)
    if not as_json:
        row["limits"] = limit_options.format_overrides(view.limits)
        row["settings"] = partner_setting_options.format_differing(view.settings)
    return row


@partner.command("set")
@click.argument("name")
@click.option("--title", default=None, help="Display name.")
@click.option("--home-page", default=None, help="Until the first statement is stored.")
@limit_options.options(*limit_options.OF_PARTNER)
@partner_setting_options.option
@setting_options(*DATABASE)
def partner_set(
    name: str,
    title: str | None,
    home_page: str | None,
    changed_settings: tuple[str, ...],
    **options: Any,
) -> None:
    """Change the partner NAME: limits, settings, title, home page.

    Running servers apply limits and settings within seconds.
    """
    limit_changes = limit_options.pop_changes(options)
    setting_changes = partner_setting_options.parse(changed_settings)
    changes = {
        "title": title,
        "home_page": home_page,
        "limits": limit_changes or None,
        "settings": setting_changes or None,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    if not changes:
        raise click.UsageError("Set at least one limit or setting.")

    async def change(database: Database) -> tuple[PartnerView, bool]:
        view = await partners.set_partner(database, command_operator(), name, changes)
        row = await registry.get_partner(database, name)
        if limit_changes.get("max_stored_bytes"):
            echo("counting the stored bytes", err=True)
            await limits.recount_stored_bytes(database, row.partner_id)
        return view, await lag.needs_rebuild(database, row.partner_id)

    changed, rebuilds = run_with_database(load_settings(options), change)
    settings = partner_setting_options.format_differing(changed.settings)
    echo(
        f"partner {name}",
        *limit_options.column(changed.limits),
        *([settings] if settings else []),
    )
    if rebuilds and partner_settings.APPLIED_BY_REBUILD & setting_changes.keys():
        echo(
            "The projector rebuilds the reports in the background. Until then they follow the "
            f"earlier settings, and `lrs reports lag {name}` shows that a rebuild is needed.",
            err=True,
        )
    if "fold_mail_case" in setting_changes:
        echo("The projector regroups the learners and recomputes their records.", err=True)


@partner.command("disable")
@click.argument("name")
@click.option("--reason", required=True, help="Sent to the clients of the partner.")
@setting_options(*DATABASE)
def partner_disable(name: str, reason: str, **options: Any) -> None:
    """Refuse all requests of the partner NAME, within seconds. Its data stay."""

    async def disable(database: Database) -> PartnerView:
        return await partners.disable_partner(database, command_operator(), name, reason)

    run_with_database(load_settings(options), disable)
    echo(f"disabled {name}")


@partner.command("enable")
@click.argument("name")
@setting_options(*DATABASE)
def partner_enable(name: str, **options: Any) -> None:
    """Accept requests of the disabled partner NAME again."""

    async def enable(database: Database) -> PartnerView:
        return await partners.enable_partner(database, command_operator(), name)

    run_with_database(load_settings(options), enable)
    echo(f"enabled {name}")


@partner.command("show")
@click.argument("name")
@setting_options(*DATABASE)
def partner_show(name: str, **options: Any) -> None:
    """Show the partner NAME with its limits, used quotas and settings."""
    settings = load_settings(options)

    async def fetch(database: Database) -> tuple[Partner, list[QuotaUsage]]:
        row = await registry.get_partner(database, name)
        return row, await limits.list_usage(database, row.partner_id)

    row, usage = run_with_database(settings, fetch)
    echo("partner", row.name)
    echo("title", row.title)
    echo("home page", row.home_page)
    if row.disabled_at:
        echo("disabled", f"{row.disabled_at:%Y-%m-%d %H:%M}", row.disabled_reason or "")
    for columns in limit_options.describe(settings, row.limits, usage):
        echo(*columns)
    for columns in partner_setting_options.describe(row.settings):
        echo(*columns)
