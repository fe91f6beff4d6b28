"""The watchdog of reporting roles, on the test database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
import pytest

from lrs.api.services import Services
from lrs.embedded_postgres.backends import Backends
from lrs.reports.session_limits import SessionLimits
from lrs.reports.watchdog import ReportWatchdog
from tests.support.partners import Partner
from tests.support.reporting_roles import Reports, connected, granted

embedded_only = pytest.mark.skipif(
    "LRS_TEST_DATABASE_URL" in os.environ, reason="the processes of another PostgreSQL are not seen"
)
_ENDLESS = "select count(*) from generate_series(1, 1e12::bigint)"
_ENDED = (
    asyncpg.AdminShutdownError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InternalClientError,  # asyncpg has received the message before the query
)

Watch = Callable[..., ReportWatchdog]


@pytest.fixture
def watch(services: Services) -> Watch:
    def create(processes: Backends | None = None, **limits: float) -> ReportWatchdog:
        session_limits = SessionLimits(**limits)  # type: ignore[arg-type]
        return ReportWatchdog(services.database.readers, session_limits, processes)

    return create


@asynccontextmanager
async def running(connection: asyncpg.Connection, sql: str) -> AsyncIterator[asyncio.Task[str]]:
    """A query that a watchdog ends."""
    task = asyncio.create_task(connection.execute(sql))
    await asyncio.sleep(0.05)
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError, *_ENDED):
        await task


def backends(database_url: str, max_memory_bytes: int) -> Backends:
    (cluster,) = parse_qs(urlsplit(database_url).query)["host"]
    return Backends(Path(cluster).parent, max_memory_bytes)


async def test_session_over_the_transaction_timeout_is_ended(address: str, watch: Watch) -> None:
    """The role has lifted its own timeouts; sessions within the limit stay."""
    async with connected(address) as reader, connected(address) as idle:
        await reader.execute("set statement_timeout = 0")
        async with running(reader, _ENDLESS) as query:
            assert await watch(transaction_seconds=60.0).run_once() == {}
            reasons = await watch(transaction_seconds=0.01).run_once()
            assert reasons == {reader.get_server_pid(): "transaction longer than 0.01 s"}
            with pytest.raises(_ENDED):
                await query
        assert await idle.fetchval("select 1") == 1


async def test_session_idle_in_transaction_is_ended(address: str, watch: Watch) -> None:
    async with connected(address) as reader:
        await reader.execute("set idle_in_transaction_session_timeout = 0; begin; select 1")
        assert await watch(idle_transaction_seconds=60.0).run_once() == {}
        reasons = await watch(idle_transaction_seconds=0.0).run_once()
        assert reasons == {reader.get_server_pid(): "idle in transaction for more than 0 s"}
        with pytest.raises(_ENDED):
            await reader.execute("select 1")


async def test_server_and_other_sessions_are_not_ended(services: Services, watch: Watch) -> None:
    async with services.database.writers.acquire() as connection, connection.transaction():
        await connection.execute("select 1")
        limits = {"transaction_seconds": 0.0, "idle_transaction_seconds": 0.0}
        assert await watch(**limits).run_once() == {}


async def test_role_that_keeps_writing_is_disabled_until_the_next_grant(
    reports: Reports, partner: Partner, watch: Watch
) -> None:
    """A role may alter itself: its settings grow without a bound, and with them the disk."""
    grant = await granted(reports, partner)
    watchdog = watch()
    async with connected(grant["url"]) as reader:
        await reader.execute("set default_transaction_read_only = off")
        for number in range(3):
            await reader.execute(
                f"begin; alter role current_user set application_name = '{number}'"
            )
            ended = await watchdog.run_once()
            if number < 2:
                assert ended == {}
                await reader.execute("commit")
        assert ended == {reader.get_server_pid(): "the role keeps writing"}
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(grant["url"])
    await granted(reports, partner)
    async with connected(grant["url"]) as reader:
        assert await watchdog.run_once() == {}
        assert await reader.fetchval("select 1") == 1
    await reports("revoke", partner.name)


@embedded_only
async def test_temporary_files_over_the_limit_end_the_session(
    address: str, watch: Watch, database_url: str
) -> None:
    processes = backends(database_url, 1 << 30)
    async with connected(address) as reader:
        await reader.execute(
            "begin; declare large cursor with hold for"
            " select repeat(i::text, 100) from generate_series(1, 200000) as i; commit"
        )
        sizes = processes.temp_file_bytes()
        assert sizes[reader.get_server_pid()] > 10_000_000
        assert await watch(processes, temp_file_bytes=1 << 30).run_once() == {}
        (reason,) = (await watch(processes, temp_file_bytes=10_000_000).run_once()).values()
        assert reason == "the role has more than 10000000 bytes of temporary files"
        with pytest.raises(_ENDED):
            await reader.execute("select 1")
    assert reader.get_server_pid() not in processes.temp_file_bytes()


@embedded_only
async def test_temporary_files_over_a_quarter_of_the_free_space_end_the_session(
    address: str, watch: Watch, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = backends(database_url, 1 << 30)
    monkeypatch.setattr(processes, "free_disk_bytes", lambda: 10_000_000)
    async with connected(address) as reader:
        await reader.execute(
            "begin; declare large cursor with hold for"
            " select repeat(i::text, 100) from generate_series(1, 200000) as i; commit"
        )
        size = processes.temp_file_bytes()[reader.get_server_pid()]
        (reason,) = (await watch(processes).run_once()).values()
        limit = (10_000_000 + size) // 4
        assert reason == f"the role has more than {limit} bytes of temporary files"


@pytest.mark.slow
@embedded_only
async def test_memory_over_the_limit_ends_the_session(
    address: str, watch: Watch, database_url: str
) -> None:
    processes = backends(database_url, 1 << 30)
    async with connected(address) as reader:
        await reader.execute(
            "set statement_timeout = 0; set work_mem = '1GB';"
            "set default_transaction_read_only = off"
        )
        sql = "select count(*) from (select distinct i from generate_series(1, 9e9::bigint) as i) a"
        watchdog = watch(processes, memory_bytes=64 << 20)
        async with running(reader, sql) as query:
            for _ in range(200):
                if reasons := await watchdog.run_once():
                    break
                await asyncio.sleep(0.05)
            assert reasons == {
                reader.get_server_pid(): "the role has more than 67108864 bytes of memory"
            }
            with pytest.raises(_ENDED):
                await query


@embedded_only
async def test_processes_get_a_low_priority_and_a_memory_limit(
    address: str, watch: Watch, database_url: str
) -> None:
    async with connected(address) as reader:
        await watch(backends(database_url, 64 << 20)).run_once()
        process = psutil.Process(reader.get_server_pid())
        assert process.nice() == 19
        if process.uids().real == os.geteuid() and hasattr(process, "rlimit"):
            assert process.rlimit(psutil.RLIMIT_DATA) == (64 << 20, 64 << 20)
            with pytest.raises(asyncpg.OutOfMemoryError):
                await reader.execute("select length(repeat('x', 100000000)::xml::text)")
            assert await reader.fetchval("select 1") == 1
