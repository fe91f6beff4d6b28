"""A forwarding process that is killed at random moments."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import pipes as store
from lrs.store.pipes import Pipe
from tests.support.app import SECRET_KEY
from tests.support.forward_target import Reply, Request, Target, serving
from tests.support.forwarding import add_pipe, letters, store_many
from tests.support.partners import Partner
from tests.support.server_process import BARE, LRS

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("LRS_TEST_KILLS", "2"))


async def run_process(settings: Settings, pipe: Pipe, target: Target, *, kill: bool) -> None:
    """`lrs pipe run`; killed after some of its requests, with the lease that it leaves ended."""
    process = await asyncio.create_subprocess_exec(
        *LRS, "pipe", "run", pipe.partner, pipe.name, "--until-idle",
        stdout=DEVNULL, stderr=PIPE,
        env=BARE | {"LRS_DATABASE_URL": settings.database_url, "LRS_SECRET_KEY": SECRET_KEY},
    )  # fmt: skip
    if kill:
        waits = target.wait_for_posts(len(target.posts) + random.randint(1, 8))
        tasks = [asyncio.ensure_future(waits), asyncio.ensure_future(process.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        tasks[0].cancel()
        await asyncio.sleep(random.random() * 0.02)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
    _, errors = await process.communicate()
    assert kill or process.returncode == 0, errors.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
async def test_killed_process_loses_no_statement_and_no_dead_letter(
    services: Services, settings: Settings, partner: Partner
) -> None:
    ids = await store_many(partner, 200)
    refused = set(random.sample(ids, 4))
    accepted: list[str] = []

    def script(request: Request) -> Reply | None:
        sent = [item["id"] for item in request.statements]
        if refused & set(sent):
            return Reply(400, b"refused")
        accepted.extend(sent)
        return None

    async with serving(script) as target:
        pipe = await add_pipe(services, partner, target.url, batch=20)
        for _ in range(KILLS):
            await run_process(settings, pipe, target, kill=True)
            await services.database.writers.execute(
                "update pipe set lease_until = now() - interval '1 s' where partner_id = $1",
                partner.partner_id,
            )
        await run_process(settings, pipe, target, kill=False)
    pipe = await store.get(services.database, pipe.partner_id, pipe.name)
    assert set(await letters(services, pipe)) == refused
    assert set(target.stored) == set(ids) - refused
    assert pipe.counts == {"delivered": 196, "dead_letter": 4}
    assert len(accepted) <= 196 + KILLS * 20
    assert target.most_open_requests == 1
