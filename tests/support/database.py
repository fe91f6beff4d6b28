"""The PostgreSQL database of one test process."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from lrs import embedded_postgres
from lrs.api.services import Services


@contextmanager
def embedded_database() -> Iterator[str]:
    """A new embedded PostgreSQL without durability; yields the URL of its database."""
    # Not in pytest's own folder: a second run by the same user would change its permissions.
    with (
        tempfile.TemporaryDirectory(prefix="lrs-tests-") as data,
        embedded_postgres.running(Path(data)) as url,
    ):
        asyncio.run(_disable_durability(url))
        yield url


@contextmanager
def external_database(url: str) -> Iterator[str]:
    """The database at `url`, or one beside it if this process is one of several xdist workers."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        yield url
        return
    name = f"{urlsplit(url).path.removeprefix('/')}_{worker}"
    asyncio.run(_execute(url, f'drop database if exists "{name}"', f'create database "{name}"'))
    yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    asyncio.run(_execute(url, f'drop database "{name}" with (force)'))


async def _disable_durability(url: str) -> None:
    settings = ("fsync", "full_page_writes", "synchronous_commit")
    statements = (f"alter system set {name} = off" for name in settings)
    await _execute(url, *statements, "select pg_reload_conf()", user="postgres")


async def _execute(url: str, *statements: str, user: str | None = None) -> None:
    connection = await asyncpg.connect(url, user=user)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def list_backends(services: Services) -> set[int]:
    """The process ids of the connections to the database, of all clients."""
    rows = await services.database.readers.fetch(
        "select pid from pg_stat_activity"
        " where datname = current_database() and backend_type = 'client backend'"
    )
    return {row["pid"] for row in rows}


async def terminate_backends(services: Services, pids: set[int]) -> None:
    """Ends connections to the database."""
    await services.database.readers.execute(
        "select pg_terminate_backend(pid) from unnest($1::int[]) as pid", list(pids)
    )
