"""Opens the configured database for a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from lrs.admin.operators import command_operator
from lrs.admin.views import Page
from lrs.auth.operators import record
from lrs.bootstrap.database import database_url, open_verified_database, require_database
from lrs.bootstrap.secret_key import with_secret_key
from lrs.cli.options import load_settings
from lrs.errors import LRSError, OperatorError
from lrs.settings import Settings
from lrs.store import audit, server_properties
from lrs.store.postgres import Database

Result = TypeVar("Result")
Item = TypeVar("Item")


def run_with_dsn(settings: Settings, work: Callable[[str], Awaitable[Result]]) -> Result:
    """Runs `work` with the URL of the database; starts the embedded one if it is not running.

    Raises OperatorError, also if there is no embedded one yet: only `lrs serve`, `migrate` and
    `restore` create it.
    """

    async def run(dsn: str) -> Result:
        return await work(dsn)

    with database_url(settings, create=False) as dsn:
        return asyncio.run(run(dsn))


def run_with_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Runs `work` on the database after its schema is verified.

    Raises Unavailable if the schema is not that of this version, EmbeddedPostgresError.
    """

    async def run(dsn: str) -> Result:
        async with open_verified_database(dsn) as database:
            return await work(database)

    return run_with_dsn(settings, run)


def load_settings_with_key(options: dict[str, Any]) -> Settings:
    """Settings with the secret key of the server, which the command does not create.

    Raises SettingsError, and OperatorError if there is no database.
    """
    settings = load_settings(options)
    require_database(settings)
    return with_secret_key(settings, create=False)


async def all_pages(
    fetch: Callable[[str | None, int], Awaitable[Page[Item]]], page_size: int = 1000
) -> list[Item]:
    """The items of all pages; `fetch` takes a cursor and a limit."""
    items: list[Item] = []
    cursor: str | None = None
    while True:
        page = await fetch(cursor, page_size)
        items += page.items
        cursor = page.cursor
        if cursor is None:
            return items


async def public_base_url(database: Database, settings: Settings) -> str | None:
    """The configured public URL, or the one that the server has recorded at its start."""
    return settings.public_url or await server_properties.recorded_base_url(database)


async def server_base_url(database: Database, settings: Settings) -> str:
    """The public URL of the server, or that of a server with the configured address."""
    return await public_base_url(database, settings) or settings.base_url


async def record_change(
    database: Database,
    action: str,
    subject: str,
    *,
    partner_id: int = audit.SERVER,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Appends an audit entry for what a command has changed."""
    await record(database, command_operator(), action, subject, partner_id=partner_id, after=after)


def find_base_url(settings: Settings) -> str:
    """The URL of the server, for a command that needs no database but finds the URL there."""
    if settings.public_url:
        return settings.public_url
    try:
        return run_with_database(settings, lambda database: server_base_url(database, settings))
    except (LRSError, OperatorError):
        return settings.base_url
