"""A stream of so many statements a second for long: what reports cost it, and how far they lag."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import orjson

from lrs.projection.lag import backlogs
from scripts.bench import servers
from scripts.bench.clients import percentile
from scripts.bench.samples import Samples
from scripts.bench.servers import JSON, Target

_BATCH = 50
_CONNECTIONS = 8
_LOOK = 1.0


@dataclass
class Stream:
    """Milliseconds of each answer, how many seconds reports lagged each second, and the whole."""

    answers: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    seconds: float = 0.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=int, default=3000, help="statements a second")
    parser.add_argument("--seconds", type=int, default=60, help="that the stream lasts")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Send a steady stream of statements, without reports and with them."""
    samples = Samples(0)
    bodies = [
        orjson.dumps([samples.statement() for _ in range(_BATCH)])
        for _ in range(options.rate * options.seconds // _BATCH)
    ]
    for name, kept in (("without reports", "off"), ("with reports", "on")):
        with servers.ours(folder / kept, LRS_PROJECTION=kept) as target:
            found = asyncio.run(_stream(target, bodies, options.rate))
        rate = len(bodies) * _BATCH / found.seconds
        middle, late = (percentile(found.answers, share) for share in (0.5, 0.99))
        told = f"{name}: {rate:,.0f} statements/s, p50 {middle:.1f} ms, p99 {late:.1f} ms"
        if kept == "on":
            told += f"; lag {percentile(found.lags, 0.5):.1f} s, {max(found.lags):.1f} s at most"
        print(told, flush=True)


async def _stream(target: Target, bodies: Sequence[bytes], rate: int) -> Stream:
    found = Stream()
    headers = {**target.headers, **JSON}
    connection = await asyncpg.connect(target.dsn)
    async with httpx.AsyncClient(base_url=target.base, headers=headers, timeout=60) as client:
        watching = asyncio.create_task(_watch(connection, found.lags))
        began = time.perf_counter()
        turns = asyncio.Semaphore(_CONNECTIONS)
        async with asyncio.TaskGroup() as group:
            for number, body in enumerate(bodies):
                due = began + number * _BATCH / rate
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                group.create_task(_send(client, target, body, turns, found.answers))
        found.seconds = time.perf_counter() - began
        watching.cancel()
    await connection.close()
    return found


async def _send(
    client: httpx.AsyncClient,
    target: Target,
    body: bytes,
    turns: asyncio.Semaphore,
    answers: list[float],
) -> None:
    """Its time counts from when it was due, so that a server that falls behind is seen to."""
    due = time.perf_counter()
    async with turns:
        answer = await client.post(target.statements, content=body)
    answer.raise_for_status()
    answers.append((time.perf_counter() - due) * 1000)


async def _watch(connection: asyncpg.Connection, lags: list[float]) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        lags.append(max(partner.lag_seconds for partner in await backlogs(connection)))
