"""`lrs partner` and `lrs credential`: partners and what they authenticate with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
import msgspec

from lrs.auth import credentials, scopes
from lrs.auth.credentials import IssuedCredential
from lrs.cli import limit_options, partner_setting_options
from lrs.cli.database import known_base_url, run_with_database
from lrs.cli.options import (
    DATABASE,
    end_of_overlap,
    format_day,
    from_now,
    load_settings,
    optional_partner_argument,
    overlap_option,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.errors import NotFound, OperatorError
from lrs.store import limits, partner_settings, registry
from lrs.store.limits import QuotaUsage
from lrs.store.postgres import Database
from lrs.store.registry import Credential, LimitOverrides, Partner


@click.group()
def partner() -> None:
    """Add and list partners (tenants)."""


@partner.command("add")
@click.argument("name")
@click.option("--title", default="", help="Display name.")
@click.option(
    "--home-page", default=None, help="Base URL for the partner's ids (account homePage)."
)
@setting_options(*DATABASE)
def partner_add(name: str, title: str, home_page: str | None, **options: Any) -> None:
    """Add a partner. NAME is part of its URLs."""
    settings = load_settings(options)

    async def add(database: Database) -> Partner:
        page = home_page
        if page is None:
            base_url = await known_base_url(database, settings)
            if base_url is None:
                raise OperatorError(
                    "The URL of the server is not known: set --home-page or LRS_PUBLIC_URL, or "
                    "start the server first."
                )
            page = credentials.default_home_page(base_url, name)
        return await credentials.add_partner(database, name, title, page)

    added = run_with_database(settings, add)
    echo(f"partner {added.name}, home page {added.home_page}")


@partner.command("list")
@setting_options(*DATABASE)
def partner_list(**options: Any) -> None:
    """List all partners."""

    for row in run_with_database(load_settings(options), registry.list_partners):
        columns = (row.name, row.title, row.home_page, format_day(row.created_at))
        settings = partner_setting_options.column(row.settings)
        echo(*columns, *limit_options.column(row.limits), *settings)


@partner.command("set")
@click.argument("name")
@limit_options.options(*limit_options.OF_PARTNER)
@partner_setting_options.option
@setting_options(*DATABASE)
def partner_set(name: str, changed_settings: tuple[str, ...], **options: Any) -> None:
    """Set limits and settings of the partner NAME. Running servers apply them within seconds."""
    limit_changes = limit_options.pop_changes(options)
    setting_changes = partner_setting_options.parse(changed_settings)
    if not limit_changes and not setting_changes:
        raise click.UsageError("Set at least one limit or setting.")

    async def change(database: Database) -> Partner:
        present = await registry.get_partner(database, name)
        changed = partner_settings.change(present.settings, setting_changes)
        if limit_changes:
            await _set_partner_limits(database, present, limit_changes)
        if setting_changes:
            await registry.set_partner_settings(database, name, changed)
        return await registry.get_partner(database, name)

    changed = run_with_database(load_settings(options), change)
    echo(
        f"partner {name}",
        *limit_options.column(changed.limits),
        *partner_setting_options.column(changed.settings),
    )
    if "fold_mail_case" in setting_changes:
        echo("The projector regroups the learners and recomputes their records.", err=True)


async def _set_partner_limits(
    database: Database, partner: Partner, changes: dict[str, Any]
) -> None:
    changed = msgspec.structs.replace(partner.limits, **changes)
    await registry.set_partner_limits(database, partner.name, changed)
    if changes.get("max_stored_bytes"):
        echo("counting the stored bytes", err=True)
        await limits.recount_stored_bytes(database, partner.partner_id)


@partner.command("show")
@click.argument("name")
@setting_options(*DATABASE)
def partner_show(name: str, **options: Any) -> None:
    """Show the partner NAME, its limits, its settings and what it has used of its quotas."""
    settings = load_settings(options)

    async def fetch(database: Database) -> tuple[Partner, list[QuotaUsage]]:
        row = await registry.get_partner(database, name)
        return row, await limits.list_usage(database, row.partner_id)

    row, usage = run_with_database(settings, fetch)
    echo("partner", row.name)
    echo("title", row.title)
    echo("home page", row.home_page)
    for columns in limit_options.describe(settings, row.limits, usage):
        echo(*columns)
    for columns in partner_setting_options.describe(row.settings):
        echo(*columns)


@click.group()
def credential() -> None:
    """Issue, list, rotate and revoke credentials."""


@credential.command("add")
@partner_argument
@click.option(
    "--kind",
    type=click.Choice(["client", "bearer"]),
    default="client",
    show_default=True,
    help="client: key and secret, for OAuth2 and Basic. bearer: one static token.",
)
@click.option(
    "--key",
    help="Key, such as the client id at an external issuer; unique.  [default: generated]",
)
@click.option("--label", default="", help="Label shown in lists.")
@click.option(
    "--scope",
    "granted",
    multiple=True,
    type=click.Choice(scopes.SUPPORTED),
    help="Scope to grant; repeatable.  [default: all]",
)
@click.option("--expires-in-days", type=click.IntRange(1, 36_500), help="Expires after N days.")
@setting_options(*DATABASE)
def credential_add(
    partner_name: str,
    kind: str,
    key: str | None,
    label: str,
    granted: tuple[str, ...],
    expires_in_days: int | None,
    **options: Any,
) -> None:
    """Issue a credential to PARTNER. Its secret is shown once."""
    expires_at = from_now(timedelta(days=expires_in_days)) if expires_in_days else None

    async def add(database: Database) -> IssuedCredential:
        return await credentials.add_credential(
            database,
            await registry.get_partner(database, partner_name),
            kind=kind,
            label=label,
            granted=frozenset(granted or (scopes.ALL,)),
            expires_at=expires_at,
            key=key,
        )

    _show(run_with_database(load_settings(options), add))


@credential.command("list")
@optional_partner_argument
@setting_options(*DATABASE)
def credential_list(partner_name: str | None, **options: Any) -> None:
    """List the credentials of PARTNER, or of all partners."""

    async def fetch(database: Database) -> list[Credential]:
        if partner_name is not None:
            await registry.get_partner(database, partner_name)
        return await registry.list_credentials(database, partner_name)

    for row in run_with_database(load_settings(options), fetch):
        granted = ",".join(sorted(row.scopes))
        columns = (row.partner, row.key, row.kind, granted, _state(row), row.label)
        echo(*columns, *limit_options.column(row.limits))


def _state(row: Credential) -> str:
    if row.revoked_at:
        return "revoked"
    return f"until {format_day(row.expires_at)}" if row.expires_at else "active"


@credential.command("set")
@click.argument("key")
@limit_options.options(*limit_options.OF_CREDENTIAL)
@setting_options(*DATABASE)
def credential_set(key: str, **options: Any) -> None:
    """Set limits of the credential KEY. Running servers apply them within seconds."""
    changes = limit_options.pop_changes(options)
    if not changes:
        raise click.UsageError("Set at least one limit.")

    async def change(database: Database) -> LimitOverrides:
        present = await registry.find_credential(database, key)
        if present is None:
            raise NotFound(f"Credential {key!r} not found.")
        changed = msgspec.structs.replace(present.limits, **changes)
        await registry.set_credential_limits(database, key, changed)
        return changed

    changed = run_with_database(load_settings(options), change)
    echo(f"credential {key}", limit_options.format_overrides(changed))


@credential.command("rotate")
@click.argument("key")
@overlap_option
@setting_options(*DATABASE)
def credential_rotate(key: str, overlap_hours: float, **options: Any) -> None:
    """Replace the secret of the credential KEY. The new secret is shown once.

    Access tokens end together with the secret that they were issued with.
    """
    overlap_until = end_of_overlap(overlap_hours)

    async def rotate(database: Database) -> IssuedCredential:
        return await credentials.rotate_credential(database, key, overlap_until)

    _show(run_with_database(load_settings(options), rotate))


@credential.command("revoke")
@click.argument("key")
@setting_options(*DATABASE)
def credential_revoke(key: str, **options: Any) -> None:
    """Revoke the credential KEY and all its access tokens."""

    async def revoke(database: Database) -> None:
        await registry.revoke_credential(database, key)

    run_with_database(load_settings(options), revoke)
    echo(f"revoked {key}")


def _show(issued: IssuedCredential) -> None:
    echo(f"key     {issued.key}")
    if issued.kind == "bearer":
        echo(f"token   {issued.token}")
    else:
        echo(f"secret  {issued.secret}")
    echo("Store the secret now: it is not shown again.", err=True)
