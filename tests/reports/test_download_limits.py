"""Downloads: one of each partner at a time, spooled, with a minimum rate of the client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from lrs.api.download_response import DownloadResponse
from lrs.api.downloads import Downloads, FileRequest
from lrs.api.services import Services
from lrs.api.spool import Spool
from lrs.errors import InternalError, Unavailable
from lrs.reports.tables import TABLES
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.report_downloads import get

DATES = FileRequest(TABLES["date_dim"], None, "ndjson", None)  # 10 MB


def downloads(services: Services, **options: Any) -> Downloads:
    return Downloads(services.exports, **options)


async def read_all(parts: AsyncIterator[bytes]) -> int:
    """The number of bytes."""
    return sum([len(part) async for part in parts])


# Spool


@pytest.mark.parametrize("max_bytes", [1, 7, 1000, 100_000])
async def test_spool_returns_the_bytes_in_order(max_bytes: int) -> None:
    """Also where reader and writer go around the end of the file many times."""
    sent = random.Random(1).randbytes(100 * max_bytes if max_bytes < 100 else 300_000)
    spool, received = Spool(max_bytes), bytearray()
    await spool.open()

    async def write() -> None:
        for start in range(0, len(sent), 40_000):
            await spool.write(sent[start : start + 40_000])
        await spool.finish()

    writing = asyncio.create_task(write())
    while part := await spool.read():
        received += part
    await writing
    assert received == sent
    spool.close()


async def test_spool_error_follows_the_bytes() -> None:
    spool = Spool(100)
    await spool.open()
    await spool.write(b"some")
    await spool.finish(Unavailable("lost"))
    assert await spool.read() == b"some"
    with pytest.raises(Unavailable):
        await spool.read()
    spool.close()


async def test_spool_file_has_no_name_and_at_most_the_maximum_size(tmp_path: Path) -> None:
    spool = Spool(1000, str(tmp_path))
    await spool.open()
    for _ in range(5):
        await spool.write(bytes(1000))
        assert len(await spool.read()) == 1000
    assert not any(os.scandir(tmp_path))
    assert spool._file
    assert os.fstat(spool._file.fileno()).st_size == 1000
    spool.close()


async def test_full_disk_ends_the_export_with_503(
    services: Services, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", fail)
    async with downloads(services).open(partner.partner_id, DATES) as download:
        with pytest.raises(Unavailable, match="cannot be written"):
            await read_all(download.parts())


async def test_missing_directory_fails_before_the_response(
    services: Services, partner: Partner, tmp_path: Path
) -> None:
    opened = downloads(services, spool_directory=str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="cannot be written"):
        await opened.open(partner.partner_id, DATES).__aenter__()


# Downloads


@pytest.mark.slow
async def test_second_download_of_a_partner_waits_then_returns_429(
    settings: Settings, services: Services, partner: Partner, stranger: Partner
) -> None:
    async with serving(replace(settings, max_concurrent_exports=2)) as http:
        exports = http._transport.app.services.exports  # type: ignore[attr-defined]
        exports.acquire_timeout_seconds = 0.5
        opened = http._transport.app.services.downloads  # type: ignore[attr-defined]
        async with opened.open(partner.partner_id, DATES):
            path = partner.url("reports/user_dim")
            answer = await http.get(path, headers=partner.headers)
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "30"
            assert "export of this partner is in progress" in answer.json()["detail"]
            path = stranger.url("reports/user_dim")
            assert (await http.get(path, headers=stranger.headers)).status_code == 200
        exports.acquire_timeout_seconds = 5.0
        path = partner.url("reports/user_dim")
        answers = await asyncio.gather(*(http.get(path, headers=partner.headers) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}


@pytest.mark.slow
async def test_spooled_download_releases_its_connection_before_it_is_read(
    services: Services, partner: Partner
) -> None:
    pool = services.exports.pool
    async with downloads(services).open(partner.partner_id, DATES) as download:
        parts = download.parts()
        received = len(await anext(parts))
        for _ in range(1000):
            if pool.get_size() == pool.get_idle_size():
                break
            await asyncio.sleep(0.01)
        assert pool.get_size() == pool.get_idle_size()
        received += await read_all(parts)
    expected = await get(partner, "date_dim.ndjson")
    assert received == len(expected.content)


async def test_abandoned_download_releases_its_connection(
    services: Services, partner: Partner
) -> None:
    """The spool is full, and the export waits for the client."""
    pool = services.exports.pool
    small = downloads(services, max_spool_bytes=100_000)
    async with small.open(partner.partner_id, DATES) as download:
        await anext(download.parts())
    assert pool.get_size() == pool.get_idle_size()
    async with small.open(partner.partner_id, DATES):
        pass


async def test_failed_download_does_not_keep_the_turn(
    services: Services, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = downloads(services)
    with monkeypatch.context() as failing:
        failing.setattr("lrs.reports.exports._CHANGED", "select $1::integer / 0")
        for _ in range(2):
            with pytest.raises(InternalError):
                await opened.open(partner.partner_id, DATES).__aenter__()
    async with opened.open(partner.partner_id, DATES):
        pass


@pytest.mark.slow
async def test_download_over_its_time_limit_fails(services: Services, partner: Partner) -> None:
    opened = downloads(services, timeout_seconds=0.3, max_spool_bytes=100_000)
    async with opened.open(partner.partner_id, DATES) as download:
        parts = download.parts()
        await anext(parts)
        await asyncio.sleep(0.4)
        with pytest.raises(Unavailable, match="took too long"):
            await read_all(parts)


# Minimum rate


@contextlib.asynccontextmanager
async def response(services: Services, partner: Partner, **rate: float) -> AsyncIterator[Any]:
    stack = contextlib.AsyncExitStack()
    opened = downloads(services).open(partner.partner_id, DATES)
    download = await stack.enter_async_context(opened)
    yield DownloadResponse(download, stack, {}, **rate)


async def receive() -> Message:
    await asyncio.sleep(60)
    raise AssertionError


SCOPE = {"type": "http", "asgi": {"spec_version": "2.3"}}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 60.0])
async def test_client_below_the_minimum_rate_is_cut_off(
    services: Services, partner: Partner, seconds: float
) -> None:
    """Whether it reads a little now and then, or nothing. The response stays incomplete."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)
        if message.get("body"):
            await asyncio.sleep(seconds)

    rate = {"min_bytes_per_second": 1 << 21, "grace_seconds": 0.2}
    async with response(services, partner, **rate) as answer, asyncio.timeout(5):
        await answer(SCOPE, receive, send)
    assert messages[-1]["more_body"]
    assert services.exports.pool.get_size() == services.exports.pool.get_idle_size()
    async with downloads(services).open(partner.partner_id, DATES):
        pass


@pytest.mark.slow
async def test_client_above_the_minimum_rate_may_pause(
    services: Services, partner: Partner
) -> None:
    sizes: list[int] = []

    async def send(message: Message) -> None:
        body = message.get("body", b"")
        sizes.append(len(body))
        if len(sizes) % 40 == 0:
            await asyncio.sleep(0.1)

    rate = {"min_bytes_per_second": 1 << 20, "grace_seconds": 0.2}
    async with response(services, partner, **rate) as answer:
        await answer(SCOPE, receive, send)
    assert sum(sizes) == len((await get(partner, "date_dim.ndjson")).content)
