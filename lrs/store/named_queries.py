"""Named queries that return rows, with the errors of PostgreSQL translated."""

from __future__ import annotations

import asyncpg

from lrs import resources
from lrs.errors import InvalidParameter
from lrs.store.postgres import Connection, translate_errors
from lrs.store.storable_text import is_storable


async def fetch(connection: Connection, name: str, *arguments: object) -> list[asyncpg.Record]:
    """The rows of a query of `sql/`. Raises Unavailable."""
    with translate_errors():
        rows: list[asyncpg.Record] = await connection.fetch(resources.query(name), *arguments)
    return rows


async def fetch_for_input(
    connection: Connection, name: str, *arguments: object
) -> list[asyncpg.Record]:
    """As `fetch`, with text of operators among the arguments.

    Raises InvalidParameter for a text that PostgreSQL cannot store.
    """
    if not all(map(is_storable, arguments)):
        raise InvalidParameter("The value contains a character that cannot be stored.")
    return await fetch(connection, name, *arguments)
