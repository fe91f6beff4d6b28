"""The `lrs` command: serve, migrate, check, token, and the groups of the other modules."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, NoReturn, TextIO

import click
import httpx

from lrs import __version__, bootstrap
from lrs.cli.audit import audit
from lrs.cli.backup import backup, restore
from lrs.cli.check import check
from lrs.cli.content_items import content
from lrs.cli.credentials import credential
from lrs.cli.database import find_base_url
from lrs.cli.export import export
from lrs.cli.import_statements import import_statements
from lrs.cli.keys import keys
from lrs.cli.operators import operator
from lrs.cli.options import (
    DATABASE,
    load_settings,
    read_secret,
    secret_file_option,
    setting_options,
)
from lrs.cli.output import echo
from lrs.cli.partners import partner
from lrs.cli.people import people
from lrs.cli.pipes import pipe
from lrs.cli.refusals import attempts, refusals
from lrs.cli.reports import reports
from lrs.cli.tools import tool
from lrs.errors import LRSError, OperatorError
from lrs.store import migrations

_SERVE = ("host", "port", "workers", *DATABASE, "public_url", "log_level")


class Group(click.Group):
    """Prints an expected error as one sentence and exits with status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            fail(str(error))
        except LRSError as error:
            fail(error.detail_with_cause)


def fail(sentence: str) -> NoReturn:
    echo(f"lrs: {sentence}", err=True)
    sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lrs")
def main() -> None:
    """A lightweight Learning Record Store.

    Every setting is also an LRS_* environment variable: see docs/configuration.md.
    """


_COMMANDS = (
    operator, partner, credential, tool, people, content, reports, export, keys, refusals, attempts,
    backup, restore, check, audit, pipe, import_statements,
)  # fmt: skip
for _command in _COMMANDS:
    main.add_command(_command)


@main.command()
@setting_options(*_SERVE)
def serve(**options: Any) -> None:
    """Start the server, with the embedded PostgreSQL unless LRS_DATABASE_URL is set."""
    from lrs.server.serve import run

    run(load_settings(options))


@main.command()
@setting_options(*DATABASE)
def migrate(**options: Any) -> None:
    """Apply pending schema migrations."""
    with bootstrap.database_url(load_settings(options)) as dsn:
        applied = asyncio.run(migrations.migrate(dsn, report=_echo_progress))
    for migration in applied:
        echo(f"applied {migration.version:04} {migration.name}")
    echo(f"schema version {migrations.all_migrations()[-1].version}")


def _echo_progress(line: str) -> None:
    echo(line, err=True)


@main.command()
@click.option("--url", default=None, help="URL of the server.  [default: that of its last start]")
@click.option("--key", required=True, help="Key of the credential.")
@secret_file_option
@click.option("--scope", default="", help="Limit the token to these scopes.")
@setting_options(*DATABASE)
def token(
    url: str | None, key: str, secret_file: TextIO | None, scope: str, **options: Any
) -> None:
    """Request an access token from a running server and print it.

    Without --secret-file and SECRET, the command prompts for the secret.
    """
    secret = read_secret(secret_file)
    if secret is None:
        secret = click.prompt("Secret", hide_input=True)
    url = (url or find_base_url(load_settings(options))).rstrip("/")
    form = {"grant_type": "client_credentials", "scope": scope}
    try:
        response = httpx.post(f"{url}/oauth2/token", data=form, auth=(key, secret), timeout=30)
        content = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        fail(f"Token request to {url} failed: {str(error).rstrip('.')}.")
    if not isinstance(content, dict) or "access_token" not in content:
        fail(f"{url} returned status {response.status_code}: {_reason(content)}")
    echo(content["access_token"])


def _reason(content: Any) -> str:
    members = content if isinstance(content, dict) else {}
    for name in ("error_description", "error", "detail"):
        if name in members:
            return str(members[name])
    return "no error description"
