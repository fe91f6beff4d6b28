"""`lrs check`: whether a server could start."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click

from lrs.backup.programs import find_pg_dump
from lrs.bootstrap.access_tokens import count_external_keys, load_keys
from lrs.bootstrap.database import database_url
from lrs.bootstrap.secret_key import secret_key_path, with_secret_key
from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.cli.options import DATABASE, load_settings, setting_options
from lrs.cli.output import echo
from lrs.errors import OperatorError
from lrs.plurals import quantity
from lrs.settings import Settings
from lrs.store import migrations, signing_keys
from lrs.store.postgres import Database, open_admin_database, server_version, session_names


@click.command()
@setting_options(*DATABASE)
def check(**options: Any) -> None:
    """Check settings, database, schema version and signing keys."""
    check_server(load_settings(options))


def check_server(settings: Settings) -> None:
    """Checks what a server needs to start, and prints it. Raises OperatorError and LRSError."""
    load_configured_vocabulary(settings)
    echo(f"settings  ok: base URL {settings.base_url}")
    with database_url(settings, create=False) as dsn:
        asyncio.run(_check(settings, dsn))


async def _check(settings: Settings, dsn: str) -> None:
    async with open_admin_database(dsn) as database:
        pool = database.readers
        echo(f"database  ok: {await _describe(database, dsn)}")
        echo(f"schema    ok: version {await migrations.verify(pool)}")
        await _check_keys(settings, database)
    if settings.oauth_issuer:
        count = await count_external_keys(settings)
        echo(f"issuer    ok: {quantity(count, 'key')} of {settings.oauth_issuer}")


async def _describe(database: Database, dsn: str) -> str:
    """Version, database, role, address and programs, for psql and pg_dump."""
    version = await server_version(database.readers)
    name, role = await session_names(database.readers)
    try:
        programs = str(find_pg_dump(int(version.partition(".")[0])).path.parent)
    except OperatorError:
        programs = "not found"
    return f"{version}, database {name}, role {role}, {_address(dsn)}, programs {programs}"


def _address(dsn: str) -> str:
    """The socket directory or host, and the port, as libpq reads them."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    hosts, _, _ = parts.netloc.rpartition("@")[2].partition("?")
    host = query.get("host") or hosts or os.environ.get("PGHOST", "")
    port = query.get("port") or os.environ.get("PGPORT", "5432")
    if host.startswith("/"):
        return f"socket {host} port {port}"
    return f"host {host or 'of the local socket'}" + ("" if ":" in host else f" port {port}")


async def _check_keys(settings: Settings, database: Database) -> None:
    """Verifies that the secret key is that of the database; creates neither."""
    path = secret_key_path(settings)
    if not settings.secret_key and not path.exists():
        if await signing_keys.list_keys(database, 0):
            raise OperatorError(
                f"The secret key of the database is missing: {path} does not exist."
            )
        echo("keys      ok: none yet, the first start of the server creates them")
        return
    tokens = await load_keys(with_secret_key(settings, create=False), database)
    count = len(tokens.signing_keys.key_set.keys)
    echo(f"keys      ok: {quantity(count, 'signing key')}")
