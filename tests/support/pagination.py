"""Slow writers, pollers and page walks."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import httpx

from lrs.app import create_app
from lrs.settings import Settings
from lrs.store.statements import insert as store
from tests.support.partners import Partner
from tests.support.statements import new_id, prepared, statement

Json = dict[str, Any]

THROUGH = "X-Experience-API-Consistent-Through"
HEADER_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def bound(response: httpx.Response) -> datetime:
    return datetime.fromisoformat(response.headers[THROUGH])


def stored(item: Json) -> datetime:
    return datetime.fromisoformat(item["stored"])


@asynccontextmanager
async def another_server(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://second.test") as client,
    ):
        yield client


def fresh(count: int) -> list[Json]:
    return [statement(id=new_id()) for _ in range(count)]


async def send(partner: Partner, batch: Sequence[Json]) -> None:
    response = await partner.send(batch)
    assert response.status_code == 200, response.text


@dataclass
class Writers:
    """Clients of two servers that send batches of all sizes, and a writer that commits slowly."""

    partner: Partner
    others: list[Partner]
    slow: asyncpg.Connection
    acknowledged: set[str] = field(default_factory=set)
    stop: bool = False

    async def client(self, partner: Partner, seed: int) -> None:
        draw = random.Random(seed)
        while not self.stop:
            batch = fresh(draw.choice([1, 1, 1, 2, 10, 60]))
            await send(partner, batch)
            self.acknowledged.update(item["id"] for item in batch)
            await asyncio.sleep(draw.random() * 0.01)

    async def slowly(self) -> None:
        draw = random.Random(0)
        while not self.stop:
            batch = fresh(draw.choice([1, 5]))
            async with self.slow.transaction():
                await asyncio.sleep(draw.random() * 0.03)
                await store.insert_new(
                    self.slow, self.partner.partner_id, list(map(prepared, batch))
                )
                await asyncio.sleep(draw.random() * 0.12)
            self.acknowledged.update(item["id"] for item in batch)
            await asyncio.sleep(draw.random() * 0.03)

    async def wait_for(self, count: int) -> None:
        """Returns after `count` more statements are acknowledged."""
        expected = len(self.acknowledged) + count
        async with asyncio.timeout(30):
            while len(self.acknowledged) < expected:  # noqa: ASYNC110 - it grows in many tasks
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        clients = [self.partner, *self.others] * 2
        async with asyncio.TaskGroup() as group:
            group.create_task(self.slowly())
            for seed, client in enumerate(clients):
                group.create_task(self.client(client, seed))
            try:
                yield
            finally:
                self.stop = True


async def pages(partner: Partner, **params: str) -> AsyncIterator[httpx.Response]:
    """The pages of a list, requested one by one."""
    response = await partner.get(**params)
    while True:
        assert response.status_code == 200, response.text
        yield response
        if not response.json()["more"]:
            return
        response = await partner.http.get(response.json()["more"], headers=partner.headers)


@dataclass
class Poller:
    """A consumer that keeps only the last watermark."""

    partner: Partner
    params: dict[str, str]
    since: str | None = None
    seen: Counter[str] = field(default_factory=Counter)

    async def poll(self) -> None:
        since = {"since": self.since} if self.since else {}
        async for response in pages(self.partner, **self.params, **since):
            for item in response.json()["statements"]:
                assert stored(item) <= bound(response)
                self.seen[item["id"]] += 1
            self.since = response.headers[THROUGH]
