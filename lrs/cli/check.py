"""`lrs check`: whether a server could start."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from lrs import bootstrap
from lrs.cli.options import DATABASE, load_settings, setting_options
from lrs.cli.output import echo
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.postgres import open_admin_database, server_version


@click.command()
@setting_options(*DATABASE)
def check(**options: Any) -> None:
    """Check settings, database, schema version and signing keys."""
    check_server(load_settings(options))


def check_server(settings: Settings) -> None:
    """Checks what a server needs to start, and prints it. Raises OperatorError and LRSError."""
    bootstrap.load_configured_vocabulary(settings)
    echo(f"settings  ok: base URL {settings.base_url}")
    with bootstrap.database_url(settings) as dsn:
        asyncio.run(_check(bootstrap.with_secret_key(settings), dsn))


async def _check(settings: Settings, dsn: str) -> None:
    async with open_admin_database(dsn) as database:
        pool = database.readers
        echo(f"database  ok: {await server_version(pool)}")
        echo(f"schema    ok: version {await migrations.verify(pool)}")
        tokens = await bootstrap.load_keys(settings, database)
    echo(f"keys      ok: {len(tokens.signing_keys.key_set.keys)} signing keys")
    if settings.oauth_issuer:
        count = await bootstrap.count_external_keys(settings)
        echo(f"issuer    ok: {count} keys of {settings.oauth_issuer}")
