"""A server on its embedded database beside a reporting role that uses all that it may."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.support.server_process import BARE, LRS, Server, wait_for

_TIMEOUT_SECONDS = 1.0


@pytest.fixture
def data(partner_data: Path) -> Path:
    return partner_data


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    server = Server(data, LRS_REPORT_TRANSACTION_TIMEOUT_SECONDS=str(_TIMEOUT_SECONDS))
    yield server
    server.close()


def reports(data: Path, *arguments: str) -> str:
    return subprocess.run(
        [*LRS, "reports", *arguments, "--data-directory", str(data)],
        capture_output=True,
        check=True,
        text=True,
        env=BARE,
    ).stdout


async def attack(url: str, sql: str) -> tuple[int, int]:
    """The niceness of the session's process, and the seconds until the session ends."""
    connection = await asyncpg.connect(url)
    await connection.execute("set statement_timeout = 0")
    process = psutil.Process(connection.get_server_pid())
    clock = asyncio.get_running_loop().time
    started = clock()
    query = asyncio.create_task(connection.execute(sql))
    niceness = 0
    while process.is_running() and clock() - started < 10:
        with suppress(psutil.Error):
            niceness = max(niceness, process.nice())
        await asyncio.sleep(0.05)
    seconds = clock() - started
    await asyncio.gather(query, return_exceptions=True)
    return niceness, round(seconds)


def test_server_ends_sessions_over_the_limit_and_revokes_at_once(
    server: Server, data: Path
) -> None:
    grant = reports(data, "grant", "demo")
    (url,) = re.findall(r"^url +(\S+)$", grant, re.MULTILINE)
    for sql in ("select count(*) from generate_series(1, 1e12::bigint)", "begin; select 1"):
        niceness, seconds = asyncio.run(attack(url, sql))
        assert niceness == 19
        assert seconds < 5
    wait_for(lambda: "session of a reporting role ended" in server.said())
    reports(data, "revoke", "demo")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(attack(url, "select 1"))
    assert server.stop() == 0
