"""The projector process: start, priority, failures, end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from lrs.api.services import Services
from lrs.errors import Unavailable
from lrs.projection import lag, projector
from lrs.projection.projector import Projector
from lrs.projection.vocabulary import load_vocabulary
from lrs.server import projector_process
from lrs.store import postgres
from tests.support.app import SECRET_KEY
from tests.support.learning_history import mailbox
from tests.support.partners import Partner
from tests.support.server_process import Server, wait_for
from tests.support.statements import statement


def children(server: Server) -> list[psutil.Process]:
    """The projector processes of a server."""
    result = []
    for item in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):  # it may just have ended
            if "lrs.server.projector_process" in item.cmdline():
                result.append(item)
    return result


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server on the test database."""
    started = []

    def start(**environment: str) -> Server:
        started.append(
            Server(
                tmp_path / "data",
                LRS_DATABASE_URL=database_url,
                LRS_SECRET_KEY=SECRET_KEY,
                LRS_LOG_LEVEL="warning",
                **{"LRS_PROJECTION_ENABLED": "on"} | environment,
            )
        )
        return started[-1]

    yield start
    for item in started:
        item.close()


async def test_killed_projector_is_restarted(
    partner: Partner, services: Services, start: Callable[..., Server]
) -> None:
    """One projector serves all workers; the lag returns to 0 after it was killed."""
    server = start(LRS_WORKERS="2")
    await partner.send(statement())

    def measured_lag() -> float:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        (line,) = (item for item in lines if item.startswith("lrs_projection_lag_seconds"))
        return float(line.split()[-1])

    wait_for(lambda: measured_lag() == 0, 90)  # for the partners of all earlier tests
    watermark = await services.watermark_reader.read_watermark(partner.partner_id)
    result = await lag.report_watermark(services.database, partner.partner_id, watermark)
    assert result == lag.ReportWatermark(watermark, 0.0, 0)
    (first,) = children(server)
    first.kill()
    wait_for(lambda: [item for item in children(server) if item.pid != first.pid] != [])
    (second,) = children(server)
    assert server.stop() == 0
    assert not second.is_running()


def test_projector_runs_at_low_priority(start: Callable[..., Server]) -> None:
    server = start()
    (projector,) = children(server)
    wait_for(lambda: projector.nice() > psutil.Process(server.process.pid).nice())


@pytest.mark.parametrize(
    ("lag", "work_seconds", "expected"),
    [(0.0, 0.3, 1.0), (0.5, 0.3, 0.6), (9.0, 2.0, 4.0), (11.0, 2.0, 0.0)],
)
def test_projector_sleeps_longer_than_it_works_unless_the_lag_is_long(
    lag: float, work_seconds: float, expected: float
) -> None:
    assert projector_process.sleep_seconds(lag, work_seconds) == expected


async def test_run_once_returns_lag_until_all_is_projected(
    partner: Partner, services: Services, database_url: str
) -> None:
    for _ in range(3):
        await partner.send(statement())
    await services.watermark_reader.read_watermark(partner.partner_id)
    async with postgres.open_projector_database(database_url) as connections:
        follows = Projector(connections, load_vocabulary(), batch_size=2)
        assert await follows.run_once() > 0
        assert await follows.run_once() == 0
    waits = {
        item.partner_id: item.oldest_pending_at
        for item in await lag.read_backlogs(services.database)
    }
    assert waits[partner.partner_id] is None


async def test_unresponsive_database_times_out(database_url: str) -> None:
    with pytest.raises(Unavailable):
        async with postgres.open_projector_database(database_url, timeout=0.2) as connections:
            await connections.readers.execute("select pg_sleep(60)")


def test_projector_stops_when_the_server_is_killed(start: Callable[..., Server]) -> None:
    server = start()
    (child,) = children(server)
    server.stop(signal.SIGKILL)
    with suppress(psutil.NoSuchProcess):
        child.wait(20)
    assert not child.is_running()


def test_projector_without_a_database_logs_one_error(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "LRS_DATABASE_URL": f"postgresql://lrs@/lrs?host={tmp_path}",
        "LRS_SECRET_KEY": SECRET_KEY,
    }
    command = [sys.executable, "-m", "lrs.server.projector_process"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stderr=pipe, text=True) as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        (line,) = process.stderr
    assert "projection failed" in line


def test_disabled_projection_starts_no_process(start: Callable[..., Server]) -> None:
    assert children(start(LRS_PROJECTION_ENABLED="off")) == []


@pytest.mark.parametrize("failure", [ZeroDivisionError, asyncpg.UniqueViolationError])
async def test_failing_partner_does_not_delay_others(
    partner: Partner,
    stranger: Partner,
    services: Services,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[Exception],
) -> None:
    for item in (partner, stranger):
        await item.send(statement(actor=mailbox("ada")))
    await services.watermark_reader.read_watermark(partner.partner_id)
    advance = projector.advance

    async def fail_for_one(
        connection: asyncpg.Connection, partner_id: int, *more: object, limit: int
    ) -> int:
        if partner_id == partner.partner_id:
            raise failure("simulated failure")
        return await advance(connection, partner_id, *more, limit=limit)

    monkeypatch.setattr(projector, "advance", fail_for_one)
    async with postgres.open_projector_database(database_url) as connections:
        follows = Projector(connections, load_vocabulary())
        while await follows.run_once():
            pass
    waits = {
        item.partner_id: item.oldest_pending_at
        for item in await lag.read_backlogs(services.database)
    }
    assert waits[partner.partner_id] is not None
    assert waits[stranger.partner_id] is None
