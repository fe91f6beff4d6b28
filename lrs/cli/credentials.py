"""`lrs credential`: what partners authenticate with."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from lrs.admin import credentials
from lrs.admin.credentials import IssuedCredential
from lrs.admin.operators import command_operator
from lrs.auth import scopes
from lrs.cli import limit_options
from lrs.cli.database import all_pages, run_with_database
from lrs.cli.options import (
    DATABASE,
    format_day,
    from_now,
    load_settings,
    optional_partner_argument,
    overlap_option,
    partner_argument,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.store.credentials import CredentialUse
from lrs.store.postgres import Database

_COLUMNS = (
    "partner", "key", "kind", "scopes", "state", "label", "created_at", "last_used_at",
    "last_refused_at", "limits",
)  # fmt: skip

_scope_option = click.option(
    "--scope",
    "granted",
    multiple=True,
    type=click.Choice(scopes.SUPPORTED),
    help="Scope to grant; repeatable.",
)


@click.group()
def credential() -> None:
    """Issue, list, change, rotate and revoke credentials."""


@credential.command("add")
@partner_argument
@click.option(
    "--kind",
    type=click.Choice(credentials.KINDS),
    default="client",
    show_default=True,
    help="client: key and secret, for OAuth2 and Basic. bearer: one static token.",
)
@click.option(
    "--key",
    help="Key, such as the client id at an external issuer; unique.  [default: generated]",
)
@click.option("--label", default="", help="Label in lists.")
@_scope_option
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
    """Issue a credential to PARTNER, with all scopes by default. Its secret is shown once."""
    expires_at = from_now(timedelta(days=expires_in_days)) if expires_in_days else None

    async def add(database: Database) -> IssuedCredential:
        return await credentials.add_credential(
            database,
            command_operator(),
            partner_name,
            kind=kind,
            label=label,
            granted=granted or (scopes.ALL,),
            expires_at=expires_at,
            key=key,
        )

    _show(run_with_database(load_settings(options), add))


@credential.command("list")
@optional_partner_argument
@json_option
@setting_options(*DATABASE)
def credential_list(partner_name: str | None, as_json: bool, **options: Any) -> None:
    """List the credentials of PARTNER, or of all partners."""

    async def fetch(database: Database) -> list[CredentialUse]:
        return await all_pages(
            lambda cursor, limit: credentials.list_credentials(
                database, command_operator(), partner_name, cursor=cursor, limit=limit
            )
        )

    rows = run_with_database(load_settings(options), fetch)
    print_table(_COLUMNS, [_row(item, as_json=as_json) for item in rows], as_json=as_json)


def _row(item: CredentialUse, *, as_json: bool) -> dict[str, Any]:
    row = asdict(item)
    if not as_json:
        row |= {"state": _state(item), "limits": limit_options.format_overrides(item.limits)}
    return row


def _state(item: CredentialUse) -> str:
    if item.revoked_at:
        return "revoked"
    return f"until {format_day(item.expires_at)}" if item.expires_at else "active"


@credential.command("set")
@click.argument("key")
@click.option("--label", default=None, help="Label in lists.")
@_scope_option
@click.option("--expires-in-days", type=click.IntRange(1, 36_500), help="Expires after N days.")
@click.option("--never-expires", is_flag=True, help="Has no expiry.")
@limit_options.options(*limit_options.OF_CREDENTIAL)
@setting_options(*DATABASE)
def credential_set(
    key: str,
    label: str | None,
    granted: tuple[str, ...],
    expires_in_days: int | None,
    never_expires: bool,
    **options: Any,
) -> None:
    """Change label, scopes, expiry or limits of the credential KEY.

    Scopes replace the present ones. Running servers apply them within seconds.
    """
    changes: dict[str, Any] = {}
    if limit_changes := limit_options.pop_changes(options):
        changes["limits"] = limit_changes
    if label is not None:
        changes["label"] = label
    if granted:
        changes["scopes"] = granted
    if expires_in_days or never_expires:
        days = None if never_expires else timedelta(days=expires_in_days or 0)
        changes["expires_at"] = from_now(days) if days else None
    if not changes:
        raise click.UsageError("Set at least one limit, or --label, --scope, --expires-in-days.")

    async def change(database: Database) -> CredentialUse:
        operator = command_operator()
        partner = await credentials.partner_of(database, operator, key)
        return await credentials.set_credential(database, operator, partner, key, changes)

    changed = run_with_database(load_settings(options), change)
    echo(f"credential {key}", limit_options.format_overrides(changed.limits))


@credential.command("rotate")
@click.argument("key")
@overlap_option
@setting_options(*DATABASE)
def credential_rotate(key: str, overlap_hours: float, **options: Any) -> None:
    """Replace the secret of the credential KEY. The new secret is shown once.

    Access tokens end together with the secret that they were issued with.
    """

    async def rotate(database: Database) -> IssuedCredential:
        operator = command_operator()
        partner = await credentials.partner_of(database, operator, key)
        return await credentials.rotate_credential(database, operator, partner, key, overlap_hours)

    _show(run_with_database(load_settings(options), rotate))


@credential.command("revoke")
@click.argument("key")
@setting_options(*DATABASE)
def credential_revoke(key: str, **options: Any) -> None:
    """Revoke the credential KEY and all its access tokens."""

    async def revoke(database: Database) -> None:
        operator = command_operator()
        partner = await credentials.partner_of(database, operator, key)
        await credentials.revoke_credential(database, operator, partner, key)

    run_with_database(load_settings(options), revoke)
    echo(f"revoked {key}")


def _show(issued: IssuedCredential) -> None:
    echo(f"key     {issued.key}")
    if issued.token:
        echo(f"token   {issued.token}")
    else:
        echo(f"secret  {issued.secret}")
    echo("Store the secret now: it is not shown again.", err=True)
