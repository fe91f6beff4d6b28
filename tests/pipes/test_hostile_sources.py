"""Sources that send too much, too slowly, or what nobody can read: bounded, and nothing is lost."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest

from lrs.api.services import Services
from lrs.pipes.engine import Engine, EngineTimes
from lrs.pipes.pull.source import MAX_PAGE_BYTES
from tests.support import pipes
from tests.support.partners import Partner
from tests.support.pipes import add_pipe, run_until_waiting
from tests.support.scripted_source import Reply, Request, ScriptedSource, history, serving


@asynccontextmanager
async def raw_server(body: Callable[[], AsyncIterator[bytes]]) -> AsyncIterator[str]:
    """The URL of a server that answers every request with the parts of a body without an end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            async for part in body():
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/xapi"


def impatient(services: Services) -> Engine:
    """An engine with requests of at most half a second."""
    times = EngineTimes(lease=10, idle=0.02, min_backoff=0.02, max_backoff=0.1, request=0.5)
    return pipes.pulling_engine(services, times)


@pytest.mark.slow
async def test_page_that_is_too_large_is_requested_with_fewer_statements(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(12, timedelta(seconds=1)), page_size=100)

    def pad(request: Request) -> Reply | None:
        if int(request.params.get("limit", "1")) <= 4:
            return None
        return Reply(200, b'{"statements": [], "more": ""}' + b" " * MAX_PAGE_BYTES)

    source.answer = pad
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url, page=8)
        result = await run_until_waiting(pulling, pipe)
    assert (result.state, result.counts) == ("waiting", {"stored": 12})
    assert len(source.requests) < 20


@pytest.mark.slow
async def test_body_without_an_end_fails(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1_048_576

    async with raw_server(body) as url:
        pipe = await add_pipe(services.database, partner.partner_id, url=url, page=1)
        result = await run_until_waiting(pulling, pipe)
    assert (result.state, result.counts) == ("failing", {})
    assert "bytes" in (result.last_error or "")


async def test_body_that_trickles_in_fails(partner: Partner, services: Services) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    async with raw_server(body) as url:
        pipe = await add_pipe(services.database, partner.partner_id, url=url)
        result = await run_until_waiting(impatient(services), pipe)
    assert (result.state, result.counts) == ("failing", {})
    assert "takes longer" in (result.last_error or "")


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "deflate"])
async def test_compressed_bomb_fails(
    partner: Partner, services: Services, pulling: Engine, encoding: str
) -> None:
    bomb = gzip.compress(b" " * (MAX_PAGE_BYTES + 1_048_576), 1)
    source = ScriptedSource(answer=lambda _: Reply(200, bomb, {"Content-Encoding": encoding}))
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url, page=1)
        result = await run_until_waiting(pulling, pipe)
    assert (result.state, result.counts) == ("failing", {})


async def test_compressed_page_is_read(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(history(5))
    plain = source.page

    def compressed(params: dict[str, str], more: str | None = None) -> Reply:
        reply = plain(params, more)
        headers = {**reply.headers, "Content-Encoding": "gzip"}
        return Reply(reply.status, gzip.compress(reply.body), headers)

    source.page = compressed  # type: ignore[method-assign]
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        result = await run_until_waiting(pulling, pipe)
    assert result.counts == {"stored": 5}


@pytest.mark.parametrize(
    "more",
    [
        "?{query}",
        "statements?{query}",
        "/xapi/statements?{query}",
        "//169.254.169.254/xapi/statements?{query}",
        "http://169.254.169.254/xapi/statements?{query}",
        "ftp://user:password@other.example:1/xapi/statements?{query}",
    ],
)
async def test_more_of_any_form_stays_at_the_configured_origin(
    partner: Partner, services: Services, pulling: Engine, more: str
) -> None:
    source = ScriptedSource(history(5))
    plain = source.page

    def with_more(params: dict[str, str], _: str | None = None) -> Reply:
        start = int(params.get("from", "0")) + 3
        query = more.format(query=f"ascending=true&from={start}&limit=3")
        return plain(params, query if start < 5 else None)

    source.page = with_more  # type: ignore[method-assign]
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        result = await run_until_waiting(pulling, pipe)
    assert (result.state, result.counts) == ("waiting", {"stored": 5})


@pytest.mark.parametrize("more", ["http://[", "\0", "http://host:port/x", "%"])
async def test_more_that_is_no_url_is_an_error(
    partner: Partner, services: Services, pulling: Engine, more: str
) -> None:
    source = ScriptedSource(history(2))
    plain = source.page
    source.page = lambda params, _=None: plain(params, more)  # type: ignore[method-assign]
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        result = await run_until_waiting(pulling, pipe)
    assert result.last_error
    assert "Internal error" not in result.last_error


async def test_statements_without_stored_are_read_once(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    source = ScriptedSource(page_size=100)
    items = history(5)
    for item in items:
        del item["stored"], item["timestamp"]
    source.answer = lambda request: (
        None if request.path.endswith("/about") else Reply(200, _result(items))
    )
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        await run_until_waiting(pulling, pipe)
        result = await run_until_waiting(pulling, pipe)
    assert result.counts == {"stored": 5}


async def test_repeated_id_in_a_page_is_stored_once(
    partner: Partner, services: Services, pulling: Engine
) -> None:
    """Equal ones are duplicates, others are refused."""
    items = history(2)
    other = {**items[1], "verb": {"id": "http://example.com/other"}}
    source = ScriptedSource(answer=lambda _: Reply(200, _result([*items, items[0], other])))
    async with serving(source):
        pipe = await add_pipe(services.database, partner.partner_id, url=source.url)
        result = await run_until_waiting(pulling, pipe)
    assert result.counts == {"stored": 2, "duplicate": 1, "conflict": 1}


def _result(items: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"statements": items, "more": ""})
