"""A killed export leaves no files, no sessions and no snapshots."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import asyncpg
import pytest

from lrs.api.services import Services
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner
from tests.support.reports import World

pytestmark = pytest.mark.slow

_SESSIONS = """
    select pid, wait_event_type from pg_stat_activity
    where datname = current_database() and backend_xmin is not null and query like '%report%'
        and pid <> pg_backend_pid()
"""


async def waiting_sessions(connection: asyncpg.Pool) -> list[int]:
    """Sessions with a snapshot that wait for a lock."""
    rows = await connection.fetch(_SESSIONS)
    return [row["pid"] for row in rows if row["wait_event_type"] == "Lock"]


async def until(connection: asyncpg.Pool, *, waiting: bool) -> None:
    """Wait up to 15 s until a session waits for a lock, or none has a snapshot."""
    for _ in range(150):
        if bool(await waiting_sessions(connection)) == waiting:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await waiting_sessions(connection))


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


async def started(database_url: str, partner: Partner, out: Path) -> Process:
    environment = {name: value for name, value in os.environ.items() if name[:4] != "LRS_"}
    environment |= {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY}
    return await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("lrs"),
        *("export", partner.name, str(out)),
        env=environment,
        stdout=DEVNULL,
        stderr=DEVNULL,
    )


@pytest.mark.parametrize(
    ("number", "is_new"),
    [(signal.SIGKILL, True), (signal.SIGKILL, False), (signal.SIGTERM, True)],
)
async def test_killed_export_leaves_nothing_behind(
    services: Services,
    partner: Partner,
    database_url: str,
    tmp_path: Path,
    number: signal.Signals,
    is_new: bool,
) -> None:
    await World(services.database, partner.partner_id).classroom()
    out = tmp_path / "out" / "today"
    if not is_new:
        out.mkdir(parents=True)
        (out / "kept").touch()
    before = files(tmp_path)
    observer = services.database.writers
    async with services.database.readers.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        # The export has written other tables when it waits for this one.
        await connection.execute("lock table team in access exclusive mode")
        process = await started(database_url, partner, out)
        try:
            await until(observer, waiting=True)
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 15) != 0
            assert files(tmp_path) == before
            await until(observer, waiting=False)
        finally:
            if process.returncode is None:
                process.kill()
            await transaction.rollback()
