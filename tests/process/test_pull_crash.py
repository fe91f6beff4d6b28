"""A pulling process that is killed at random moments.

With LRS_TEST_KILLS, so many times; its database connections and responses are lost too.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

import orjson
import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import pipes as store
from lrs.store import refusals
from lrs.store.pipes import Pipe
from lrs.store.refusals import RefusalFilter
from tests.support.app import SECRET_KEY
from tests.support.database import list_backends, terminate_backends
from tests.support.partners import Partner
from tests.support.pipes import add_pipe
from tests.support.scripted_source import ScriptedSource, history, serving
from tests.support.server_process import BARE, LRS

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("LRS_TEST_KILLS", "1"))
PAGES = max(20, 2 * KILLS)
FAULTS = ("none",) if KILLS == 1 else ("none", "database", "source")


async def run_process(
    services: Services, settings: Settings, pipe: Pipe, source: ScriptedSource, *, kill: bool
) -> None:
    """`lrs pipe run`; killed after some pages, with the lease that it leaves ended."""
    own_backends = await list_backends(services)
    process = await asyncio.create_subprocess_exec(
        *LRS, "pipe", "run", pipe.partner, pipe.name, "--until-idle",
        stdout=DEVNULL, stderr=PIPE,
        env=BARE | {"LRS_DATABASE_URL": settings.database_url, "LRS_SECRET_KEY": SECRET_KEY},
    )  # fmt: skip
    if kill:
        await wait_for_requests(source, process, random.randint(1, PAGES // KILLS))
        fault = random.choice(FAULTS)
        if fault == "database":
            await terminate_backends(services, await list_backends(services) - own_backends)
        elif fault == "source":
            source.aborted_replies = 1
        if fault != "none":
            await wait_for_requests(source, process, 1)
        await asyncio.sleep(random.random() * 0.03)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
    _, errors = await process.communicate()
    assert kill or process.returncode == 0, errors.decode()


async def wait_for_requests(source: ScriptedSource, process: Process, count: int) -> None:
    """Until the source has received so many more requests, or the process has ended."""
    source.notify_after(count)
    tasks = [asyncio.ensure_future(source.reached.wait()), asyncio.ensure_future(process.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks[0].cancel()


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
async def test_killed_process_loses_no_statement_and_no_refusal(
    services: Services, settings: Settings, partner: Partner
) -> None:
    source = ScriptedSource(history(10 * PAGES), page_size=10)
    invalid = random.sample(source.statements, 3)
    for item in invalid:
        item["actor"] = {"mbox": "nobody"}
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        for _ in range(KILLS):
            await run_process(services, settings, pipe, source, kill=True)
            await services.database.writers.execute(
                "update pipe set lease_until = now() - interval '1 s', state = 'running'"
                " where partner_id = $1",
                partner.partner_id,
            )
        source.aborted_replies = 0
        await run_process(services, settings, pipe, source, kill=False)
        assert source.most_active == 1
    rows = await services.database.readers.fetch(
        "select statement_id::text, payload from statement where partner_id = $1",
        partner.partner_id,
    )
    refused = {item["id"] for item in invalid}
    expected = {item["id"]: item for item in source.statements if item["id"] not in refused}
    assert {row["statement_id"] for row in rows} == expected.keys()
    assert len(rows) == len(expected)
    for row in rows:
        found = orjson.loads(row["payload"])
        assert found["timestamp"] == expected[row["statement_id"]]["timestamp"]
    kept = await refusals.fetch_page(
        services.database, partner.partner_id, RefusalFilter(), before=None, limit=100
    )
    assert {refusal.statement_id for refusal in kept} == refused
    result = await store.get(services.database, pipe.partner_id, pipe.name)
    assert result.state == "waiting"
