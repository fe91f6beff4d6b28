"""Metrics: requests, outcomes, queues and pools; metrics of dead workers."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from lrs.api.metrics import _PipeGauges
from lrs.api.services import Services
from lrs.app import open_services
from lrs.errors import InternalError
from lrs.observability import exposition, metrics
from lrs.settings import Settings
from lrs.store import nonces, pipes
from lrs.store.postgres import Database
from lrs.store.statements import watermark
from tests.support.forwarding import add_dead_letter
from tests.support.partners import Partner
from tests.support.statements import new_id, statement


async def measured(http: httpx.AsyncClient, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    response = await http.get("http://localhost/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return sum(
        sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.slow
async def test_requests_are_counted_by_route_and_status(partner: Partner) -> None:
    http = partner.http
    route = "/v1/partners/{partner}/statements"

    async def counted(method: str, status: int) -> float:
        return await measured(
            http, "lrs_requests_total", method=method, route=route, status=str(status)
        )

    before = [await counted("POST", 200), await counted("POST", 400), await counted("GET", 401)]
    await partner.send(statement())
    await partner.send({})
    await http.get(partner.url("statements"))
    after = [await counted("POST", 200), await counted("POST", 400), await counted("GET", 401)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
    assert await measured(http, "lrs_request_duration_seconds_count", route=route) >= 3


async def test_unknown_paths_and_methods_share_one_label(
    http: httpx.AsyncClient,
) -> None:
    for _ in range(3):
        await http.request(f"X{new_id()[:8].upper()}", f"/{new_id()}")
    text = (await http.get("http://localhost/metrics")).text
    result = re.findall(r'lrs_requests_total\{method="(\w+)",route="none",status="404"\}', text)
    assert "other" in result
    assert not [method for method in result if method.startswith("X")]


async def test_pipes_are_measured_until_they_are_removed(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests may have used the labels of all partners.
    monkeypatch.setattr(metrics, "_labeled_partners", set())
    await add_dead_letter(services, partner, new_id())
    gauges = _PipeGauges(services.database)
    await gauges.update()

    async def shown(name: str, **labels: str) -> float:
        return await measured(partner.http, name, partner=partner.name, pipe="pipe", **labels)

    assert await shown("lrs_pipe_statements", outcome="delivered") == 3
    assert await shown("lrs_pipe_requests", status="400") == 1
    assert await shown("lrs_pipe_lag_seconds") > 0
    assert await shown("lrs_pipe_failing") == await shown("lrs_pipe_dead_letters") == 1
    await pipes.remove(services.database, partner.partner_id, "pipe")
    await gauges.update()
    for name in ("lrs_pipe_failing", "lrs_pipe_dead_letters", "lrs_pipe_lag_seconds"):
        assert await shown(name) == 0


@pytest.mark.slow
async def test_outcomes_are_counted_by_partner(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests may have used the labels of all partners.
    monkeypatch.setattr(metrics, "_labeled_partners", set())
    sent = statement(id=new_id())
    await partner.send(sent)
    await partner.send([sent, {**sent, "actor": {"mbox": "mailto:a@b.example"}}, {}, sent])
    await partner.send([statement()], params={"validate": "true"})
    await partner.send(b'{"a":"' + b"x" * 20_000 + b'"}')
    counted = {
        outcome: await measured(
            partner.http, "lrs_outcomes_total", partner=partner.name, outcome=outcome
        )
        for outcome in ("stored", "duplicate", "conflict", "invalid", "too_large")
    }
    assert counted == {
        "stored": 1,
        "duplicate": 2,
        "conflict": 1,
        "invalid": 1,
        "too_large": 1,
    }


@pytest.mark.slow
async def test_commits_queue_and_pools_are_measured(partner: Partner) -> None:
    http = partner.http
    names = [
        "lrs_commit_statements_sum",
        "lrs_commit_statements_count",
        "lrs_commit_duration_seconds_count",
    ]
    before = [await measured(http, name) for name in names]
    await partner.send([statement() for _ in range(7)])
    after = [await measured(http, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [7, 1, 1]
    assert await measured(http, "lrs_queued_statements") == 0
    for pool in ("writers", "readers"):
        for state in ("idle", "busy"):
            assert await measured(http, "lrs_database_connections", pool=pool, state=state) >= 0
    assert await measured(http, "lrs_database_connections", state="idle") >= 1


def test_gauges_of_a_killed_worker_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        killed.wait()
    name = "lrs_queued_statements"
    for pid, waiting in ((killed.pid, 40.0), (os.getpid(), 2.0)):
        values = MmapedDict(str(tmp_path / f"gauge_livesum_{pid}.db"))
        values.write_value(mmap_key(name, name, [], [], "Waiting."), waiting, 0.0)
        values.close()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert f"{name} 2.0" in exposition.render().decode()


def test_counters_of_dead_workers_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file takes milliseconds to read, and workers may end often."""
    name = "lrs_shed_requests_total"
    dead = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            ended.wait()
        dead.append(ended.pid)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for pid in (*dead, os.getpid()):
        values = MmapedDict(str(tmp_path / f"counter_{pid}.db"))
        values.write_value(mmap_key("lrs_shed_requests", name, [], [], "Shed."), 5.0, 0.0)
        values.close()
    for _ in range(2):
        assert f"{name} 15.0" in exposition.render().decode()
    assert {path.name for path in tmp_path.glob("*.db")} == {
        "counter_0.db",
        f"counter_{os.getpid()}.db",
    }


async def test_failing_sweep_stops_no_other_sweep(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the next sweep, nor other sweeps, nor the shutdown."""
    swept: list[str] = []
    again = asyncio.Event()

    async def fail(_: Database) -> int:
        swept.append("nonces")
        raise InternalError("The database rejected a query of the server.")

    async def forget(_: Database) -> int:
        swept.append("floors")
        if len(swept) > 2:
            again.set()
        return 0

    monkeypatch.setattr(nonces, "delete_expired", fail)
    monkeypatch.setattr(watermark, "delete_old_floors", forget)
    monkeypatch.setattr("lrs.app._CLEANUP_INTERVAL_SECONDS", 0.01)
    async with open_services(settings), asyncio.timeout(10):
        await again.wait()
    assert swept[:4] == ["nonces", "floors"] * 2
