"""Fills a store with many statements, skewed: half of them are one partner's.

Several processes make the rows and COPY them. Each has a pool of statements that the server's own
code has checked, and stores them again and again under fresh ids.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import orjson

from lrs import bootstrap
from lrs.ingest.model import IngestContext
from lrs.store.statements import insert
from lrs.store.statements.definitions import Remembered
from lrs.store.statements.insert import StatementRow
from lrs.xapi import index_keys
from scripts.bench.copying import copy, prepared, renamed
from scripts.bench.samples import Samples
from scripts.bench.servers import PARTNER, Target

_OTHERS = 20
_POOL = 20_000
_CHUNK = 1000
_MOST_PROCESSES = 4


async def stored(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("select count(*) from statement"))
    finally:
        await connection.close()


def fill(target: Target, wanted: int) -> None:
    """Statements until the store holds as many as wanted."""
    missing = wanted - asyncio.run(stored(target.dsn))
    if missing <= 0:
        return
    partners = asyncio.run(_partners(target.dsn))
    sender = _sender(target, partners[0])
    processes = min(multiprocessing.cpu_count(), _MOST_PROCESSES)
    count = -(-missing // processes)
    shares = [
        (target.dsn, sender, partners, seed, count) for seed in range(wanted, wanted + processes)
    ]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(_fill_share, shares)
    asyncio.run(_settle(target))


def _sender(target: Target, partner_id: int) -> IngestContext:
    """The demo partner's credential, by what the server makes of its statements."""
    with target.client() as client:
        statement = Samples(0).statement(str(uuid4()))
        (statement_id,) = client.post(target.statements, json=statement).json()
        told = client.get(target.statements, params={"statementId": statement_id}).json()
    authority = told["authority"]
    text, key = orjson.dumps(authority).decode(), index_keys.agent_key(authority)
    return IngestContext(partner_id, PARTNER, "", None, text, key or 0, defines=True)


async def _partners(dsn: str) -> list[int]:
    """The demo partner's id, and those of others, made if they are not there yet."""
    async with bootstrap.registry(dsn) as known:
        there = {each.name for each in await known.partners()}
        names = [f"other-{number}" for number in range(_OTHERS)]
        for name in names:
            if name not in there:
                await known.add_partner(name, "", f"http://{name}.example")
        return [(await known.partner(name)).partner_id for name in (PARTNER, *names)]


def _fill_share(
    dsn: str, sender: IngestContext, partners: Sequence[int], seed: int, count: int
) -> None:
    samples = Samples(seed)
    pool = prepared((samples.statement() for _ in range(min(_POOL, count))), sender)
    asyncio.run(_copy_share(dsn, partners, pool, samples, count))


async def _copy_share(
    dsn: str, partners: Sequence[int], pool: Sequence[StatementRow], samples: Samples, count: int
) -> None:
    weights = [0.5, *(0.5 / (len(partners) - 1) for _ in partners[1:])]
    remembered = Remembered()
    connection = await asyncpg.connect(dsn)
    try:
        for begun in range(0, count, _CHUNK):
            partner_id = samples.random.choices(partners, weights)[0]
            batch = renamed(pool, samples, min(_CHUNK, count - begun))
            news = remembered.news(
                partner_id,
                (definition for each in batch for definition in each.definitions),
                (name for each in batch for name in each.names),
            )
            async with connection.transaction():
                await copy(connection, partner_id, batch)
                if news:
                    await insert.insert_all_or_none(connection, partner_id, (), news)
            remembered.note(partner_id, news)
    finally:
        await connection.close()


async def _settle(target: Target) -> None:
    """What autovacuum does in time, and a checkpoint, so that none is under way."""
    connection = await asyncpg.connect(target.superuser)
    try:
        await connection.execute("vacuum (analyze)")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
