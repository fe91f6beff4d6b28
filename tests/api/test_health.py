"""Liveness and readiness."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.responses import PlainTextResponse

from lrs import __version__
from lrs.api.readiness import Readiness, not_ready
from lrs.api.services import Services
from lrs.server.load_shedding import LoadShedder
from lrs.server.worker_limits import Limits
from lrs.settings import Settings
from lrs.store import migrations, write_probe
from tests.support.app import serving


async def test_healthz_returns_200(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_readyz_returns_200(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "version": __version__,
        "schema": migrations.all_migrations()[-1].version,
        "checks": {
            "database": "ok",
            "schema": "ok",
            "write": "ok",
            "queue": "ok",
            "requests": "ok",
        },
    }


async def test_readyz_with_a_newer_schema_returns_503(
    settings: Settings, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with serving(settings) as http:
            await connection.execute("insert into schema_migration values (9999, 'newer')")
            answer = await http.get("/readyz")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["content-type"] == "application/problem+json"
            assert "9999" in answer.json()["detail"]
            assert answer.json()["ready"] is False
            assert (await http.get("/healthz")).status_code == 200
    finally:
        await connection.execute("delete from schema_migration where version = 9999")
        await connection.close()


async def test_readyz_in_a_read_only_database_returns_503(
    settings: Settings, database_url: str
) -> None:
    """As on a standby: reads succeed, writes do not."""
    separator = "&" if "?" in database_url else "?"
    read_only = f"{database_url}{separator}options=-cdefault_transaction_read_only%3Don"
    changed = replace(settings, database_url=read_only)
    async with serving(changed) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "schema": "ok",
        "write": "read-only",
        "queue": "ok",
        "requests": "ok",
    }
    assert answer.json()["detail"] == "Not ready: write: read-only."


async def test_worker_without_capacity_is_not_ready(
    services: Services,
) -> None:
    readiness = Readiness(services.database, has_capacity=lambda: False)
    result = await readiness.read(is_worker_full=True)
    assert (result.checks["queue"], result.checks["requests"]) == ("full", "full")
    assert not_ready(result) is not None


def test_worker_is_full_with_the_maximum_of_requests() -> None:
    shedder = LoadShedder(PlainTextResponse(), Limits(max_requests=1))
    connection: Any = None
    probe = {"path": "/readyz", "method": "GET", "headers": []}
    accepted = shedder.accept(probe, connection)
    assert accepted is not None
    assert not accepted.is_worker_full
    shedder.accept(probe | {"path": "/xapi/statements"}, connection)
    assert accepted.is_worker_full


async def test_hanging_probe_is_answered_in_time_and_runs_once(
    services: Services, database_url: str
) -> None:
    """Another session locks the table of the probe, as a database that hangs would."""
    readiness = Readiness(services.database, has_capacity=lambda: True, timeout=0.2, interval=0.0)
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("lock table write_probe")
            began = time.monotonic()
            results = await asyncio.gather(*(readiness.read() for _ in range(20)))
            assert time.monotonic() - began < 1
            assert {result.checks["database"] for result in results} == {"no answer"}
            waiting = await connection.fetchval(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                " and query like '%write_probe%' and datname = current_database()"
            )
            assert waiting == 1
        await asyncio.sleep(0.05)
        assert not_ready(await readiness.read()) is None
    finally:
        await readiness.close()
        await connection.close()


async def test_probe_needs_room_for_a_page_and_frees_it(services: Services) -> None:
    pool = services.database.writers

    async def size() -> int:
        return int(await pool.fetchval("select pg_relation_size('write_probe')"))

    before = await size()
    await write_probe.write(pool)
    assert await size() - before >= 8192
    await pool.execute(
        "insert into write_probe select now(), repeat('.', 8000) from generate_series(1, 1025)"
    )
    await write_probe.write(pool)
    assert await size() == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.DiskFullError("could not extend file base/5/16401"), "disk full"),
        (TimeoutError(), "no answer"),
        (ConnectionRefusedError("/path/.s.PGSQL.5432"), "unreachable"),
        (asyncpg.TooManyConnectionsError("sorry"), "too many connections"),
        (asyncpg.UndefinedTableError("no table"), "query failed"),
        (ZeroDivisionError(), "failed"),
    ],
)
def test_reason_has_no_words_of_the_database(error: Exception, expected: str) -> None:
    assert write_probe.reason(error) == expected
