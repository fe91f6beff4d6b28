"""Statements by COPY straight into the tables: the limit for ingest, and the way to fill a store.

The rows are those that the server's own code makes of the same statements.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from msgspec.structs import replace

from lrs.ingest.model import IngestContext
from lrs.ingest.prepare import StatementParser, check
from lrs.store.statements import sequence
from lrs.store.statements.insert import StatementRow
from lrs.store.statements.partner_keys import key_salt
from scripts.bench.samples import Samples

APART = "bench"
"""A schema for tables like ours, empty and out of the server's way."""

_AUTHORITY = (
    '{"objectType":"Agent","name":"Bench","account":{'
    '"homePage":"http://127.0.0.1:8080/partners/demo","name":"a-key-of-32-letters-stands-here--"}}'
)
BENCH = IngestContext(1, "bench", "http://bench", None, _AUTHORITY, 1, False)
_MOST_BYTES = 1_000_000
_STATEMENT = (
    *("sequence", "verb_key", "authority_key", "actor_key", "object_key", "partner_id"),
    *("statement_id", "digest", "organization", "payload"),
)
_LINK = ("key", "sequence", "partner_id", "roles")


def prepared(
    statements: Iterable[dict[str, Any]], sender: IngestContext = BENCH
) -> list[StatementRow]:
    """Statements as the server prepares them: checked, completed, their links found."""
    reader = StatementParser()
    return [check(orjson.dumps(each), sender, reader, _MOST_BYTES).row for each in statements]


@asynccontextmanager
async def tables_apart(dsn: str, count: int = 1) -> AsyncIterator[list[asyncpg.Connection]]:
    """Connections whose tables of statements and index entries are empty copies."""
    setup = await asyncpg.connect(dsn)
    await setup.execute(f"drop schema if exists {APART} cascade")
    await setup.execute(f"create schema {APART}")
    for table in ("statement", "index_entry", "statement_reference"):
        await setup.execute(f"create table {APART}.{table} (like public.{table} including all)")
    path = {"search_path": f"{APART}, public", "timezone": "UTC", "jit": "off"}
    connections = [await asyncpg.connect(dsn, server_settings=path) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            await connection.close()
        await setup.execute(f"drop schema {APART} cascade")
        await setup.close()


def renamed(pool: Sequence[StatementRow], samples: Samples, count: int) -> list[StatementRow]:
    """So many of the pool, each under a fresh id."""
    return [_renamed(each, samples.fresh_id()) for each in samples.random.choices(pool, k=count)]


def _renamed(each: StatementRow, statement_id: str) -> StatementRow:
    body = each.body.replace(each.statement_id, statement_id, 1)
    return replace(each, statement_id=statement_id, body=body)


Store = Callable[[asyncpg.Connection, int, Sequence[StatementRow]], Awaitable[object]]


async def rate(
    connections: Sequence[asyncpg.Connection], rows: Sequence[StatementRow], size: int, store: Store
) -> float:
    """Statements a second, stored in transactions of `size` by all connections at once."""
    batches = iter([rows[at : at + size] for at in range(0, len(rows), size)])

    async def work(connection: asyncpg.Connection) -> None:
        for batch in batches:
            async with connection.transaction():
                await store(connection, BENCH.partner_id, batch)

    began = time.perf_counter()
    await asyncio.gather(*map(work, connections))
    return len(rows) / (time.perf_counter() - began)


async def copy_rate(dsn: str, rows: Sequence[StatementRow], size: int, connections: int) -> float:
    """Statements a second by COPY into tables like ours: what the database allows."""
    async with tables_apart(dsn, connections) as opened:
        return await rate(opened, rows, size, copy)


async def copy(
    connection: asyncpg.Connection,
    partner_id: int,
    batch: Sequence[StatementRow],
    *,
    prefix: str = "",
    by_id: bool = True,
) -> None:
    """The rows that sql/statements/insert.sql makes, in the same order."""
    began, own = sequence.first_at(datetime.now(UTC)), key_salt(partner_id)
    writer = connection.get_server_pid() % 2**sequence.TIEBREAK_BITS
    placed = [
        (each, began + (position << sequence.TIEBREAK_BITS) + writer)
        for position, each in enumerate(batch)
    ]
    if by_id:
        placed.sort(key=lambda each: each[0].statement_id)
    await connection.copy_records_to_table(
        f"{prefix}statement",
        columns=_STATEMENT,
        records=[
            (
                place,
                each.verb_key ^ own,
                each.authority_key ^ own,
                None if each.actor_key is None else each.actor_key ^ own,
                None if each.object_key is None else each.object_key ^ own,
                partner_id,
                each.statement_id,
                each.digest,
                each.organization,
                f'{each.body}"stored":"{sequence.stored_at(place):%Y-%m-%dT%H:%M:%S.%fZ}"}}',
            )
            for each, place in placed
        ],
    )
    await connection.copy_records_to_table(
        f"{prefix}index_entry",
        columns=_LINK,
        records=[
            (key ^ own, place, partner_id, roles)
            for each, place in placed
            for key, roles in each.links
        ],
    )


async def commit_p50(dsn: str, seconds: float) -> float:
    """Milliseconds that a bare commit of one row takes, on one connection."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table bench_commit (id uuid primary key, payload text)")
        times = []
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            await connection.execute(
                "insert into bench_commit values (gen_random_uuid(), $1)", "x" * 800
            )
            times.append(time.perf_counter() - began)
        await connection.execute("drop table bench_commit")
    finally:
        await connection.close()
    return sorted(times)[len(times) // 2] * 1000
