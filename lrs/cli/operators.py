"""`lrs operator`: operators, who use the console and the admin API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from lrs.admin import operators, sessions
from lrs.admin.operators import OperatorAccount, command_operator
from lrs.admin.sessions import IssuedLink, IssuedToken
from lrs.auth.operators import LINK_SECONDS, ROLES
from lrs.cli.database import run_with_database, server_base_url
from lrs.cli.options import DATABASE, load_settings, setting_options
from lrs.cli.output import echo
from lrs.cli.tables import json_option, print_table
from lrs.store.operators import SessionRow
from lrs.store.postgres import Database

_partner_option = click.option(
    "--partner",
    "partners",
    multiple=True,
    metavar="NAME",
    help="A partner that the operator sees; repeatable.",
)


@click.group()
def operator() -> None:
    """Manage operators, who use the console and the admin API."""


@operator.command("add")
@click.argument("email")
@click.option("--role", required=True, type=click.Choice(ROLES), help="Role of the operator.")
@_partner_option
@setting_options(*DATABASE, "public_url")
def operator_add(email: str, role: str, partners: tuple[str, ...], **options: Any) -> None:
    """Add the operator EMAIL and print a one-time link.

    The link sets a password. Without --partner, the operator sees every partner.
    """

    async def add(database: Database) -> tuple[IssuedLink, str]:
        base_url = await server_base_url(database, settings)
        link = await operators.add_operator(
            database, command_operator(), email, role, partners or None
        )
        return link, base_url

    settings = load_settings(options)
    _show_link(*run_with_database(settings, add))


@operator.command("list")
@json_option
@setting_options(*DATABASE)
def operator_list(as_json: bool, **options: Any) -> None:
    """List the operators."""

    async def fetch(database: Database) -> list[OperatorAccount]:
        return await operators.list_operators(database, command_operator(), limit=10_000)

    rows = [
        {**asdict(row), "partners": "all" if row.partners is None else row.partners}
        for row in run_with_database(load_settings(options), fetch)
    ]
    columns = ("email", "role", "partners", "created_at", "last_login_at", "disabled_at")
    print_table(columns, rows, as_json=as_json)


@operator.command("set")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), help="Role of the operator.")
@_partner_option
@click.option("--all-partners", is_flag=True, help="The operator sees every partner.")
@setting_options(*DATABASE)
def operator_set(
    email: str, role: str | None, partners: tuple[str, ...], all_partners: bool, **options: Any
) -> None:
    """Change the role or the partners of the operator EMAIL.

    The change applies from the next request on.
    """
    changes: dict[str, Any] = {"role": role} if role else {}
    if partners and all_partners:
        raise click.UsageError("--partner and --all-partners exclude each other.")
    if partners or all_partners:
        changes["partners"] = partners or None
    if not changes:
        raise click.UsageError("Set --role, --partner or --all-partners.")

    async def change(database: Database) -> None:
        await operators.set_operator(database, command_operator(), email, changes)

    run_with_database(load_settings(options), change)
    echo(f"changed {email}")


@operator.command("disable")
@click.argument("email")
@setting_options(*DATABASE)
def operator_disable(email: str, **options: Any) -> None:
    """Disable the operator EMAIL and end all sessions, links and tokens."""
    _set_disabled(email, options, disabled=True)
    echo(f"disabled {email}")


@operator.command("enable")
@click.argument("email")
@setting_options(*DATABASE)
def operator_enable(email: str, **options: Any) -> None:
    """Enable the operator EMAIL again."""
    _set_disabled(email, options, disabled=False)
    echo(f"enabled {email}")


def _set_disabled(email: str, options: dict[str, Any], *, disabled: bool) -> None:
    async def change(database: Database) -> None:
        await operators.set_disabled(database, command_operator(), email, disabled=disabled)

    run_with_database(load_settings(options), change)


@operator.command("revoke")
@click.argument("email")
@click.option("--id", "session_id", help="Only the one with this id of `lrs operator sessions`.")
@setting_options(*DATABASE)
def operator_revoke(email: str, session_id: str | None, **options: Any) -> None:
    """End all sessions, links and tokens of the operator EMAIL, or one."""

    async def end(database: Database) -> str:
        if session_id is None:
            await sessions.end_sessions(database, command_operator(), email)
            return "all sessions, links and tokens"
        ended = await sessions.end_session(database, command_operator(), email, session_id)
        return f"the {ended.kind} {session_id}"

    ended = run_with_database(load_settings(options), end)
    echo(f"ended {ended} of {email}")


@operator.command("sessions")
@click.argument("email")
@json_option
@setting_options(*DATABASE)
def operator_sessions(email: str, as_json: bool, **options: Any) -> None:
    """List sessions, links and tokens of the operator EMAIL."""

    async def fetch(database: Database) -> list[SessionRow]:
        return await sessions.list_sessions(database, command_operator(), email)

    rows = [asdict(row) for row in run_with_database(load_settings(options), fetch)]
    columns = ("session_id", "kind", "label", "created_at", "expires_at", "last_used_at")
    print_table(columns, rows, as_json=as_json)


@operator.command("link")
@click.argument("email")
@setting_options(*DATABASE, "public_url")
def operator_link(email: str, **options: Any) -> None:
    """Print a one-time link of the operator EMAIL. It sets a new password."""

    async def issue(database: Database) -> tuple[IssuedLink, str]:
        base_url = await server_base_url(database, settings)
        return await sessions.issue_link(database, command_operator(), email), base_url

    settings = load_settings(options)
    _show_link(*run_with_database(settings, issue))


@operator.command("token")
@click.argument("email")
@click.option(
    "--expires-in-days",
    "days",
    type=click.IntRange(1, 3_650),
    default=90,
    show_default=True,
    help="Lifetime of the token.",
)
@click.option("--label", default="", help="Label in the audit log.")
@setting_options(*DATABASE)
def operator_token(email: str, days: int, label: str, **options: Any) -> None:
    """Print a Bearer token of the operator EMAIL, for scripts. It has the role of the operator."""

    async def issue(database: Database) -> IssuedToken:
        return await sessions.issue_token(
            database, command_operator(), email, days=days, label=label
        )

    issued = run_with_database(load_settings(options), issue)
    echo(issued.token)
    echo(f"Valid until {issued.expires_at:%Y-%m-%d}; it is not shown again.", err=True)


def _show_link(link: IssuedLink, base_url: str) -> None:
    echo(link.url(base_url))
    minutes = LINK_SECONDS // 60
    echo(f"Open it within {minutes} minutes: it works once, for {link.email}.", err=True)
