"""A forwarding process that is killed at random moments.

With LRS_TEST_KILLS, so many times; its database connections and responses are lost too.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import pipes as store
from lrs.store.pipes import Pipe
from tests.support.app import SECRET_KEY
from tests.support.database import list_backends, terminate_backends
from tests.support.forward_target import Reply, Request, Target, serving
from tests.support.forwarding import add_pipe, letters, store_many
from tests.support.partners import Partner
from tests.support.server_process import BARE, LRS

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("LRS_TEST_KILLS", "2"))
FAULTS = ("none",) if KILLS == 2 else ("none", "database", "target")
STATEMENTS, BATCH, REFUSED = max(200, 60 * KILLS), 20, 4


async def run_process(
    services: Services, settings: Settings, pipe: Pipe, target: Target, *, kill: bool
) -> None:
    """`lrs pipe run`; killed after some of its requests, with the lease that it leaves ended."""
    own_backends = await list_backends(services)
    process = await asyncio.create_subprocess_exec(
        *LRS, "pipe", "run", pipe.partner, pipe.name, "--until-idle",
        stdout=DEVNULL, stderr=PIPE,
        env=BARE | {"LRS_DATABASE_URL": settings.database_url, "LRS_SECRET_KEY": SECRET_KEY},
    )  # fmt: skip
    if kill:
        await wait_for_posts(target, process, random.randint(1, 8))
        fault = random.choice(FAULTS)
        if fault == "database":
            await terminate_backends(services, await list_backends(services) - own_backends)
        elif fault == "target":
            target.lost_replies = 1
        if fault != "none":
            await wait_for_posts(target, process, 1)
        await asyncio.sleep(random.random() * 0.02)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
    _, errors = await process.communicate()
    assert kill or process.returncode == 0, errors.decode()


async def wait_for_posts(target: Target, process: Process, count: int) -> None:
    """Until the target has received so many more requests, or the process has ended."""
    waits = target.wait_for_posts(len(target.posts) + count)
    tasks = [asyncio.ensure_future(waits), asyncio.ensure_future(process.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks[0].cancel()


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
async def test_killed_process_loses_no_statement_and_no_dead_letter(
    services: Services, settings: Settings, partner: Partner
) -> None:
    ids = await store_many(partner, STATEMENTS)
    refused = set(random.sample(ids, REFUSED))
    accepted: list[str] = []

    def script(request: Request) -> Reply | None:
        sent = [item["id"] for item in request.statements]
        if refused & set(sent):
            return Reply(400, b"refused")
        accepted.extend(sent)
        return None

    async with serving(script) as target:
        pipe = await add_pipe(services, partner, target.url, batch=BATCH)
        for _ in range(KILLS):
            await run_process(services, settings, pipe, target, kill=True)
            await services.database.writers.execute(
                "update pipe set lease_until = now() - interval '1 s' where partner_id = $1",
                partner.partner_id,
            )
        target.lost_replies = 0
        await run_process(services, settings, pipe, target, kill=False)
    pipe = await store.get(services.database, pipe.partner_id, pipe.name)
    assert set(await letters(services, pipe)) == refused
    assert set(target.stored) == set(ids) - refused
    assert pipe.counts == {"delivered": STATEMENTS - REFUSED, "dead_letter": REFUSED}
    assert len(accepted) <= STATEMENTS - REFUSED + KILLS * BATCH * len(FAULTS)
    assert target.most_open_requests == 1
