"""Fill a store through its API; COPY as the baseline of batches."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import orjson

from scripts.bench import servers
from scripts.bench.samples import Samples
from scripts.bench.servers import JSON, Server

# The tables that store a statement -> a query for rows of as many statements.
TABLES = {
    "statement": "select * from public.statement order by statement_id limit $1",
    "index_entry": """
        select index_entry.* from public.index_entry
        join (
            select partner_id, sequence from public.statement order by statement_id limit $1
        ) as copied using (partner_id, sequence)
    """,
}

_PARTNERS = 5
_BATCH = 500
_DISTINCT_BATCHES = 20
_CONNECTIONS = 4
_COPIED = 20_000


def fill(server: Server, count: int) -> None:
    """POST statements until the store holds `count`; half of them belong to the demo partner."""
    missing = count - asyncio.run(_fetch(server.dsn, "select count(*) from statement"))
    if missing <= 0:
        return
    prefix = f"other-{count}"
    others = [servers.add_partner(server, f"{prefix}-{i}") for i in range(_PARTNERS)]
    targets = [server] * _PARTNERS + others
    batches = -(-missing // _BATCH)
    shares = [
        [targets[i % len(targets)] for i in range(n, batches, _CONNECTIONS)]
        for n in range(_CONNECTIONS)
    ]
    with ThreadPoolExecutor(_CONNECTIONS) as executor:
        list(executor.map(_post, shares, range(count, count + _CONNECTIONS)))
    execute(server.superuser_dsn, "vacuum (analyze)", "checkpoint")


def _post(targets: Sequence[Server], seed: int) -> None:
    """One batch per target. The statements repeat after a while, with new ids."""
    samples = Samples(seed)
    bodies = [
        orjson.dumps([samples.statement("@ID@") for _ in range(_BATCH)])
        for _ in targets[:_DISTINCT_BATCHES]
    ]
    with httpx.Client(timeout=60) as client:
        for target, body in zip(targets, itertools.cycle(bodies), strict=False):
            response = client.post(
                target.url + target.path,
                content=fresh_ids(body, samples),
                headers={**target.headers, **JSON},
            )
            response.raise_for_status()


def fresh_ids(body: bytes, samples: Samples) -> bytes:
    """The body with a new UUID for every `@ID@`."""
    first, *others = body.split(b"@ID@")
    return first + b"".join(samples.fresh_id().encode() + text for text in others)


def bytes_per_statement(server: Server) -> float:
    """Disk space of all tables and indexes, by statement."""
    query = "select pg_database_size(current_database())::float / count(*) from statement"
    return float(asyncio.run(_fetch(server.dsn, query)))


def copy_rate(dsn: str, size: int, connections: int) -> float:
    """Statements per second by COPY into empty tables, in transactions of `size` statements.

    The rows are those of the store, with their index entries: the limit that PostgreSQL sets.
    """
    return asyncio.run(_copy_rate(dsn, size, connections))


async def _copy_rate(dsn: str, size: int, connections: int) -> float:
    async with _empty_tables(dsn, connections) as opened:
        rows = [await opened[0].fetch(query, _COPIED) for query in TABLES.values()]
        transactions = _split(rows, len(rows[0]) // size)

        async def copy(connection: asyncpg.Connection) -> None:
            for batches in transactions:
                async with connection.transaction():
                    for table, records in zip(TABLES, batches, strict=True):
                        await connection.copy_records_to_table(table, records=records)

        began = time.perf_counter()
        await asyncio.gather(*map(copy, opened))
        return len(rows[0]) / (time.perf_counter() - began)


def _split(rows: Sequence[list[Any]], count: int) -> Iterator[list[list[Any]]]:
    """The rows of every table, in `count` parts."""
    for number in range(count):
        yield [
            records[number * len(records) // count : (number + 1) * len(records) // count]
            for records in rows
        ]


@asynccontextmanager
async def _empty_tables(dsn: str, count: int) -> AsyncIterator[list[asyncpg.Connection]]:
    """Connections whose search path starts with empty copies of the tables."""
    await _execute(
        dsn,
        "create schema bench",
        *(f"create table bench.{table} (like public.{table} including all)" for table in TABLES),
    )
    settings = {"search_path": "bench, public", "timezone": "UTC"}
    connections = [await asyncpg.connect(dsn, server_settings=settings) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            await connection.close()
        await _execute(dsn, "drop schema bench cascade")


def execute(dsn: str, *commands: str) -> None:
    asyncio.run(_execute(dsn, *commands))


async def _execute(dsn: str, *commands: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for command in commands:
            await connection.execute(command)
    finally:
        await connection.close()


async def _fetch(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
