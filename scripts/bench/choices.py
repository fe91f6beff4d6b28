"""Experiments behind decisions about the store: the same rows, stored in one way and another.

Small enough to be repeated at any time. The tables are made like ours, in a schema of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from msgspec.structs import replace

from lrs import embedded_postgres
from lrs.store import migrations
from lrs.store.statements import insert
from lrs.store.statements.insert import StatementRow
from lrs.store.statements.partner_keys import key_salt
from scripts.bench import document
from scripts.bench.copying import BENCH, Store, copy, prepared, rate, renamed, tables_apart
from scripts.bench.samples import Samples

_CONNECTIONS = 4
_POOL = 10_000
BATCHES = (50, 500)


@dataclass(frozen=True, slots=True)
class Finding:
    """Statements a second by size of batch; bytes per statement, tables and indexes together."""

    rates: dict[int, float]
    stored: float
    page_ms: float


@dataclass(frozen=True, slots=True)
class Way:
    """`change` is done to the empty tables, `prepare` in each session; `store` stores a batch.

    `whole` is the text of a statement, as it is given back.
    """

    choice: str
    name: str
    store: Store
    change: Sequence[str] = ()
    prepare: Sequence[str] = ()
    whole: str = "payload::text"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=50_000, help="statements to store, each time")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best one counts")
    parser.add_argument("--write-doc", action="store_true", help="put it into docs/performance.md")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Repeat the experiments behind decisions about the store."""
    samples = Samples(11)
    pool = prepared(samples.statement() for _ in range(_POOL))
    plain = prepared({"id": samples.fresh_id(), **samples.completed_course()} for _ in range(_POOL))
    with embedded_postgres.running(folder / "choices") as dsn:
        asyncio.run(migrations.migrate(dsn))
        table = "\n\n".join(
            _table(ways, asyncio.run(_rounds(dsn, ways, rows, options)))
            for ways, rows in ((WAYS, pool), (PLAIN, plain))
        )
    print(table)
    if options.write_doc:
        document.replace("choices", table)


async def _rounds(
    dsn: str, ways: Sequence[Way], pool: Sequence[StatementRow], options: argparse.Namespace
) -> list[Finding]:
    """The best of several rounds of all ways: what else the machine does only slows them down."""
    rounds = [
        [await _try(dsn, way, pool, options.rows) for way in ways] for _ in range(options.rounds)
    ]
    return [_best(found) for found in zip(*rounds, strict=True)]


def _best(found: Sequence[Finding]) -> Finding:
    return Finding(
        {size: max(each.rates[size] for each in found) for size in BATCHES},
        min(each.stored for each in found),
        min(each.page_ms for each in found),
    )


async def _try(dsn: str, way: Way, pool: Sequence[StatementRow], count: int) -> Finding:
    rates = {}
    for size in BATCHES:
        async with tables_apart(dsn, _CONNECTIONS) as connections:
            for sql in way.change:
                await connections[0].execute(sql)
            for connection in connections:
                for sql in way.prepare:
                    await connection.execute(sql)
            rows = renamed(pool, Samples(size), count)
            rates[size] = await rate(connections, rows, size, way.store)
            stored = await connections[0].fetchval(_BYTES) / count
            page_ms = await _page_ms(connections[0], way.whole)
    return Finding(rates, stored, page_ms)


def _table(ways: Sequence[Way], found: Sequence[Finding]) -> str:
    head = (
        *("", ""),
        *(f"batches of {size}, per second" for size in BATCHES),
        *("bytes per statement", "a page of 100, ms"),
    )
    rows = [
        (
            *(way.choice, way.name),
            *(f"{each.rates[size]:,.0f}" for size in BATCHES),
            *(f"{each.stored:,.0f}", f"{each.page_ms:.2f}"),
        )
        for way, each in zip(ways, found, strict=True)
    ]
    return document.table(head, rows)


_BYTES = """
select sum(pg_total_relation_size(oid))::bigint from pg_class
where relnamespace = 'bench'::regnamespace and relkind = 'r'
"""


_PAGE = "select {whole} from statement where partner_id = $1 order by sequence desc limit 100"


async def _page_ms(connection: asyncpg.Connection, whole: str) -> float:
    """How long the texts of a page take to read."""
    await connection.execute("vacuum (analyze) statement")
    query = await connection.prepare(_PAGE.format(whole=whole))
    times = []
    for _ in range(200):
        began = time.perf_counter()
        await query.fetch(BENCH.partner_id)
        times.append(time.perf_counter() - began)
    return sorted(times)[100] * 1000


# How rows come in

_STAGE = (
    "create temp table staged_statement (like statement) on commit delete rows",
    "create temp table staged_link (like index_entry) on commit delete rows",
)
_UNSTAGE = """
with fresh as (
    insert into statement
    select * from staged_statement order by statement_id
    on conflict (partner_id, statement_id) do nothing
    returning sequence
)
insert into index_entry select staged_link.* from staged_link join fresh using (sequence)
"""


async def _staged(
    connection: asyncpg.Connection, partner_id: int, batch: Sequence[StatementRow]
) -> None:
    await copy(connection, partner_id, batch, prefix="staged_")
    await connection.execute(_UNSTAGE)


# Keys

_DICTIONARY = (
    "create table term (id integer generated always as identity, key bigint primary key)",
    "alter table index_entry alter column key type integer",
)
_TERMS = """
with asked as (select distinct key from unnest($1::bigint[]) as asked (key)),
fresh as (
    insert into term (key)
    select key from asked where not exists (select from term where term.key = asked.key)
    order by key
    on conflict do nothing
    returning key, id
)
select key, id from fresh union all select key, id from term join asked using (key)
"""
_LATE_TERMS = "select key, id from term where key = any($1::bigint[])"


async def _dictionary(
    connection: asyncpg.Connection, partner_id: int, batch: Sequence[StatementRow]
) -> None:
    """Keys from a table of terms, whose own keys stand for identities (which are longer)."""
    wanted = {key for each in batch for key, _ in each.links}
    known = {row["key"]: row["id"] for row in await connection.fetch(_TERMS, list(wanted))}
    if late := wanted - known.keys():  # another transaction was first
        known |= {row["key"]: row["id"] for row in await connection.fetch(_LATE_TERMS, list(late))}
    own = key_salt(partner_id)  # which the store will combine them with
    keyed = [
        replace(each, links=tuple((known[key] ^ own, roles) for key, roles in each.links))
        for each in batch
    ]
    await insert.insert_new(connection, partner_id, keyed)


# What is kept of a statement


async def _trimmed(
    connection: asyncpg.Connection, partner_id: int, batch: Sequence[StatementRow]
) -> None:
    await copy(connection, partner_id, [replace(each, body=_without(each.body)) for each in batch])


_AUTHORITIES = (
    "create table authority (partner_id integer, authority_key bigint, agent text,"
    " primary key (partner_id, authority_key))",
    f"insert into authority values ({BENCH.partner_id}, {BENCH.authority_key},"  # noqa: S608
    f" '{BENCH.authority}')",
)
_WHOLE = """
    '{"id":"' || statement_id || '","authority":' || (
        select agent from authority
        where authority.partner_id = statement.partner_id
            and authority.authority_key = statement.authority_key
    ) || ',"version":"1.0.0",' || substr(payload, 2)"""


def _without(body: str) -> str:
    after_id = body.index(",") + 1
    return "{" + body[after_id : body.rindex(',"authority":')] + ","


async def _unsorted(
    connection: asyncpg.Connection, partner_id: int, batch: Sequence[StatementRow]
) -> None:
    await copy(connection, partner_id, batch, by_id=False)


_JSONB = ["alter table statement alter column payload type jsonb using payload::jsonb"]

WAYS: Sequence[Way] = (
    Way("how rows come in", "unnest, as the server does it", insert.insert_new),
    Way("", "COPY straight into the tables, blind to known ids", copy),
    Way("", "COPY into temporary tables, then insert", _staged, prepare=_STAGE),
    Way("keys of links", "hashed, 64 bits", insert.insert_new),
    Way("", "from a dictionary, 32 bits", _dictionary, _DICTIONARY),
    Way("payload", "text", copy),
    Way("", "jsonb", copy, _JSONB),
)
PLAIN: Sequence[Way] = (
    Way("a plain course completion", "as it is kept", copy),
    Way("", "without id, authority and version", _trimmed, _AUTHORITIES, whole=_WHOLE),
    Way("", "inserted in order of arrival, not by id", _unsorted),
)
