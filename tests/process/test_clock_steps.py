"""A clock of the database that is set back or forward: nothing is missed, nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx
import orjson
import pytest

from lrs.api.services import Services
from lrs.app import create_app
from lrs.environment import convert
from lrs.projection.projector import Projector
from lrs.projection.vocabulary import load_vocabulary
from lrs.store import migrations
from lrs.store.postgres import open_projector_database
from tests.support.app import SECRET_KEY
from tests.support.pagination import Poller, pages, stored
from tests.support.partners import Partner, new_partner
from tests.support.projection import lesson, rebuild, tables
from tests.support.shifted_clock import ShiftedClock, shifted_clock

DAY = 86_400
STEPS: dict[str, list[float]] = {
    "0.3 seconds back": [0, -0.3],
    "2 seconds back": [0, -2],
    "10 minutes back": [0, -600],
    "1 day forward and back": [0, DAY, 0],
}
SECONDS_PER_STEP = 0.4


@dataclass
class ExportReader:
    """A consumer of the statement export, which keeps only the cursor."""

    partner: Partner
    since: str | None = None
    seen: Counter[str] = field(default_factory=Counter)

    async def poll(self) -> None:
        response = await self.partner.http.get(
            self.partner.url("reports/statements.ndjson"),
            params={"since": self.since} if self.since else {},
            headers=self.partner.headers,
        )
        assert response.status_code == 200, response.text
        self.seen.update(orjson.loads(line)["id"] for line in response.text.splitlines())
        self.since = response.headers["Lrs-Cursor"]


@dataclass
class Load:
    """Writers, pollers and the projection of two servers on one database."""

    partners: list[Partner]
    projector: Projector
    acknowledged: list[str] = field(default_factory=list)
    watermarks: dict[int, datetime] = field(default_factory=dict)
    stopped: bool = False

    async def write(self, partner: Partner, seed: int) -> None:
        draw = random.Random(seed)
        while not self.stopped:
            batch = [lesson(draw.randrange(5)) for _ in range(draw.choice([1, 1, 3, 20]))]
            response = await partner.send(batch)
            assert response.status_code == 200, response.text
            self.acknowledged += response.json()
            await asyncio.sleep(draw.random() * 0.02)

    async def poll(self, consumer: Poller | ExportReader) -> None:
        while not self.stopped:
            await consumer.poll()
            watermark = datetime.fromisoformat(str(consumer.since))
            assert watermark >= self.watermarks.get(id(consumer), watermark)
            self.watermarks[id(consumer)] = watermark
            consumer.partner = random.choice(self.partners)
            await asyncio.sleep(0.005)

    async def walk(self) -> None:
        """Lists of all statements, page by page: in order, and what was acknowledged before."""
        while not self.stopped:
            acknowledged = set(self.acknowledged)
            seen = [
                item
                async for page in pages(random.choice(self.partners), limit="50")
                for item in page.json()["statements"]
            ]
            assert [stored(item) for item in seen] == sorted(map(stored, seen), reverse=True)
            assert acknowledged <= {item["id"] for item in seen}
            assert len({item["id"] for item in seen}) == len(seen)
            await asyncio.sleep(0.05)

    async def project(self) -> None:
        while not self.stopped:
            await self.projector.run_once()
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with shifted_clock(tmp_path_factory.mktemp("clock")) as running:
        asyncio.run(migrations.migrate(running.url))
        yield running


@pytest.fixture
async def load(clock: ShiftedClock) -> AsyncIterator[tuple[Load, Services]]:
    """Each server with one partner client; the partner is new."""
    settings = convert(
        {"database_url": clock.url, "secret_key": SECRET_KEY, "log_level": "warning"}
    )
    clock.shift(0)
    apps = [create_app(settings) for _ in range(2)]
    async with (
        apps[0].lifespan(),
        apps[1].lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=apps[0]), base_url="http://first.test"
        ) as first,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=apps[1]), base_url="http://second.test"
        ) as second,
        open_projector_database(clock.url) as projector_database,
    ):
        services = apps[0].services
        assert services
        partner = await new_partner(services, first)
        projector = Projector(projector_database, load_vocabulary(), batch_size=50)
        yield Load([partner, replace(partner, http=second)], projector), services


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
async def test_clock_step_misses_and_repeats_nothing(
    load: tuple[Load, Services], clock: ShiftedClock, name: str
) -> None:
    running, services = load
    first, second = running.partners
    consumers = [
        Poller(first, {"ascending": "true", "limit": "20"}),
        Poller(second, {}),
        ExportReader(second),
    ]
    tasks = [
        *(
            asyncio.create_task(running.write(partner, seed))
            for seed, partner in enumerate(running.partners)
        ),
        *(asyncio.create_task(running.poll(consumer)) for consumer in consumers),
        asyncio.create_task(running.walk()),
        asyncio.create_task(running.project()),
    ]
    for shift in STEPS[name]:
        clock.shift(shift)
        done, _ = await asyncio.wait(tasks, timeout=SECONDS_PER_STEP, return_when="FIRST_COMPLETED")
        for task in done:
            task.result()
    running.stopped = True
    await asyncio.gather(*tasks)
    sent = set(running.acknowledged)
    for consumer in consumers:
        await consumer.poll()
        assert sent <= consumer.seen.keys()
        assert set(consumer.seen.values()) == {1}
    await _assert_rebuild_equals_the_projection(running, services)


async def _assert_rebuild_equals_the_projection(running: Load, services: Services) -> None:
    (partner, _) = running.partners
    for _ in range(200):
        await running.projector.run_once()
    async with services.database.readers.acquire() as connection:
        incremental = await tables(connection, partner)
        await rebuild(services, partner)
        assert await tables(connection, partner) == incremental
    assert len(incremental["learning_event"]) >= len(running.acknowledged)
