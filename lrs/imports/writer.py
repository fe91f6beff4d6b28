"""Writing rows of an import with queries that take an array of JSON objects."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import orjson

from lrs.imports.rows import Values
from lrs.store.postgres import Connection

_ROWS_PER_QUERY = 5_000
"""A JSON parameter of PostgreSQL holds at most a quarter of a GB."""


async def execute_rows(
    connection: Connection, sql: str, partner_id: int, rows: Iterable[Values]
) -> None:
    """Execute a query whose second parameter is an array of objects, in parts.

    A Decimal becomes a string, which PostgreSQL parses without loss.
    """
    remaining = iter(rows)
    while part := list(islice(remaining, _ROWS_PER_QUERY)):
        await connection.execute(sql, partner_id, orjson.dumps(part, default=str).decode())
