"""The pipes process of `lrs serve`: it runs due pipes, and ends with its server."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lrs.api.services import Services
from lrs.store import pipes as store
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner
from tests.support.pipes import add_pipe
from tests.support.scripted_source import ScriptedSource, history, serving
from tests.support.server_process import Server

pytestmark = pytest.mark.slow


def pipes_processes(server: Server) -> list[psutil.Process]:
    result = []
    for item in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):  # it may just have ended
            if "lrs.server.pipes_process" in item.cmdline():
                result.append(item)
    return result


async def wait_for_state(services: Services, partner: Partner, state: str) -> None:
    give_up = time.monotonic() + 20
    while (await store.get(services.database, partner.partner_id, "pipe")).state != state:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)


async def test_server_runs_due_pipes_and_ends_them(
    partner: Partner, services: Services, database_url: str, tmp_path: Path
) -> None:
    source = ScriptedSource(history(30), page_size=10)
    server = await asyncio.to_thread(
        lambda: Server(
            tmp_path / "data",
            LRS_DATABASE_URL=database_url,
            LRS_SECRET_KEY=SECRET_KEY,
            LRS_LOG_LEVEL="warning",
            LRS_PIPES_ENABLED="on",
        )
    )
    try:
        (child,) = pipes_processes(server)
        async with serving(source):
            await add_pipe(services.database, partner.partner_id, url=source.url)
            await wait_for_state(services, partner, "waiting")
        pipe = await store.get(services.database, partner.partner_id, "pipe")
        assert pipe.counts == {"stored": 30}
        assert source.most_active == 1
        assert await asyncio.to_thread(server.stop) == 0
        assert not child.is_running()
        assert "Traceback" not in server.said()
    finally:
        await asyncio.to_thread(server.close)
        await store.remove(services.database, partner.partner_id, "pipe")
