"""The `lrs` command: a table of its subcommands, each imported when it is called."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from lrs import __version__
from lrs.cli.lazy_group import LazyGroup
from lrs.cli.output import echo
from lrs.errors import LRSError, OperatorError

# The module and function of each command in this package, and its line in the help.
_COMMANDS = {
    "attempts": (
        "refusals.attempts",
        "List denied requests: failed authentications, 403 and 404.",
    ),
    "audit": ("audit.audit", "List audit entries, newest first."),
    "backup": ("backup.backup", "Back up the database and the secret key; verify a backup."),
    "check": ("check.check", "Check settings, database, schema version and signing keys."),
    "content": (
        "content_items.content",
        "Import a catalog; list, delete, restore and link items.",
    ),
    "credential": ("credentials.credential", "Issue, list, change, rotate and revoke credentials."),
    "export": ("export.export", "Export report tables and statements from one snapshot."),
    "import": ("import_statements.import_statements", "Import the statements in a file."),
    "keys": ("keys.keys", "Manage the keys that sign access tokens, and the secret key."),
    "migrate": ("migrate.migrate", "Apply pending schema migrations."),
    "operator": ("operators.operator", "Manage operators of the console and the admin API."),
    "partner": ("partners.partner", "Add, list, change and disable partners (tenants)."),
    "people": ("people.people", "Import people; list and change learners."),
    "pipe": ("pipes.pipe", "Pull statements from other LRSs, and forward them."),
    "refusals": ("refusals.refusals", "List, show and resubmit refused items."),
    "reports": ("reports.reports", "Manage report tables: access for BI tools, rebuild, lag."),
    "restore": ("backup.restore", "Restore a backup into an empty data directory or database."),
    "serve": ("serve.serve", "Start the server, and its embedded PostgreSQL."),
    "token": ("access_tokens.token", "Request an access token from a running server."),
    "tool": ("tools.tool", "Manage LTI tools that send callbacks."),
}


class Group(LazyGroup):
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


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    lazy=_COMMANDS,
)
@click.version_option(__version__, prog_name="lrs")
def main() -> None:
    """A lightweight Learning Record Store.

    Every setting is also an LRS_* environment variable: see docs/configuration.md.
    """
