"""`lrs migrate`: schema migrations."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from lrs.bootstrap.database import database_url
from lrs.cli.options import DATABASE, load_settings, setting_options
from lrs.cli.output import echo
from lrs.store import migrations


@click.command()
@setting_options(*DATABASE)
def migrate(**options: Any) -> None:
    """Apply pending schema migrations."""
    with database_url(load_settings(options)) as dsn:
        applied = asyncio.run(migrations.migrate(dsn, report=_echo_progress))
    for migration in applied:
        echo(f"applied {migration.version:04} {migration.name}")
    echo(f"schema version {migrations.all_migrations()[-1].version}")


def _echo_progress(line: str) -> None:
    echo(line, err=True)
