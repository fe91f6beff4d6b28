"""Load shedding: concurrency limit, body budget, rejections."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from starlette.types import Receive, Scope, Send

from lrs.errors import Overloaded
from lrs.observability import metrics
from lrs.server.load_shedding import FREE_BYTES
from lrs.server.worker_limits import Limits
from lrs.settings import Settings
from tests.support.app import serving as serving_lrs
from tests.support.load_shedding import (
    LAST,
    POST,
    Work,
    answer_to,
    client,
    respond,
    serving,
    until,
)
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

ONE = Limits(max_requests=1)


async def test_request_beyond_the_concurrency_limit_returns_503() -> None:
    work = Work()
    async with client(work, Limits(max_requests=3, credential_share=1)) as http:
        accepted = [asyncio.create_task(http.post("/")) for _ in range(3)]
        await until(lambda: work.running == 3)
        for _ in range(2):
            rejected = await asyncio.gather(*(http.post("/", content=b"x") for _ in range(20)))
            assert {answer.status_code for answer in rejected} == {503}
        assert rejected[0].headers["retry-after"] == "1"
        assert rejected[0].headers["content-type"] == "application/problem+json"
        assert rejected[0].json()["code"] == Overloaded.code
        work.release.set()
        assert {(await answer).status_code for answer in accepted} == {200}
        assert (await http.post("/")).status_code == 200
    assert work.max_running == 3


async def test_rejections_are_counted_and_usage_is_visible_by_resource() -> None:
    def rejected(resource: str) -> float:
        return metrics.SHED_REQUESTS.labels(resource)._value.get()

    work, before = Work(), rejected("requests")
    limits = Limits(max_requests=1, max_body_bytes=1_000_000, credential_share=1)
    async with client(work, limits) as http:
        first = asyncio.create_task(
            http.post("/", content=b"x" * 300_000, headers={"Authorization": "key"})
        )
        await until(lambda: work.running == 1)
        usage = {item.resource: (item.held, item.limit) for item in work.usage}
        assert usage["requests"] == (1, 1)
        assert usage["body_bytes"][0] == 300_000 - FREE_BYTES
        assert usage["connections"][0] == 1
        assert (await http.post("/")).status_code == 503
        work.release.set()
        await first
    assert rejected("requests") == before + 1


async def test_slot_is_released_after_the_client_disconnects() -> None:
    work = Work()
    async with client(work, ONE) as http:
        first = asyncio.create_task(http.post("/"))
        await until(lambda: work.running == 1)
        first.cancel()
        assert (await http.post("/")).status_code == 503
        work.release.set()
        await until(lambda: work.running == 0)
        assert (await http.post("/")).status_code == 200


async def test_health_check_is_exempt_from_the_concurrency_limit() -> None:
    work = Work()
    async with client(work, ONE) as http:
        first = asyncio.create_task(http.post("/"))
        await until(lambda: work.running == 1)
        health = asyncio.create_task(http.get("/healthz"))
        await until(lambda: work.running == 2)
        work.release.set()
        assert (await health).status_code == (await first).status_code == 200


async def test_slot_is_released_while_a_body_is_received() -> None:
    work = Work()
    work.release.set()
    arrives = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"the beginning" * 10_000
        await arrives.wait()
        yield b"and the end"

    async with client(work, ONE) as http:
        slow = []
        for number in range(5):
            started = work.started
            http.headers["Authorization"] = f"partner{number}"
            slow.append(asyncio.create_task(http.post("/", content=body())))
            await until(lambda started=started: work.started > started)
        http.headers["Authorization"] = "another partner"
        assert (await http.post("/")).status_code == 200
        arrives.set()
        assert {(await answer).status_code for answer in slow} == {200}


async def test_chunked_body_beyond_the_body_budget_returns_503() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 60_000

    work = Work()
    async with client(work, Limits(max_body_bytes=1_000_000, max_request_bytes=1)) as http:
        http.headers["Authorization"] = "someone"
        assert (await http.post("/", content=body())).status_code == 503
        work.release.set()
        assert (await http.post("/", content=b"x" * 300_000)).status_code == 200


async def test_rejection_precedes_the_body_and_discards_it() -> None:
    """The connection stays usable."""
    work = Work()
    work.release.set()
    async with serving(work, ONE) as port:
        work.release.clear()
        running_request = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.running == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: 300000\r\n\r\n" + b"x" * 100)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
        work.release.set()
        assert (await running_request).startswith(b"HTTP/1.1 200 ")
        writer.write(b"x" * 299_900 + LAST)
        assert b"HTTP/1.1 200 " in await reader.read()
        writer.close()
    assert work.started == 2


@pytest.mark.slow
async def test_body_of_a_rejected_request_is_read_slowly() -> None:
    """A client that sends large bodies to be refused takes little of the event loop."""
    work = Work()
    work.release.set()
    size = 16_777_216
    async with serving(work, Limits(max_requests=1, request_timeout=60)) as port:
        work.release.clear()
        running_request = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.running == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: %d\r\n\r\n" % size)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
        work.release.set()
        await running_request
        began = time.monotonic()
        writer.write(b"x" * size + LAST)
        assert b"HTTP/1.1 200 " in await reader.read()
        assert time.monotonic() - began > 0.7
        writer.close()


@pytest.mark.parametrize(
    ("requests", "heads", "content"),
    [
        (POST + b"Content-Length: 1\r\n\r\na" + LAST, 2, True),
        (LAST.replace(b"POST", b"HEAD"), 1, False),
        (LAST.replace(b"1.1", b"1.0").replace(b"Connection: close\r\n", b""), 1, True),
        (POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n", 1, True),
    ],
    ids=["pipelined", "HEAD", "HTTP/1.0", "Expect: 100-continue"],
)
async def test_rejection_is_valid_http(requests: bytes, heads: int, content: bool) -> None:
    """Each case closes the connection."""
    work = Work()
    async with serving(work, ONE) as port:
        running_request = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.running == 1)
        answer = await answer_to(port, requests, pause=0)
        assert answer.count(b"HTTP/1.1 503 ") == answer.count(b"retry-after: 1\r\n") == heads
        assert answer.count(b"connection: close") == 1
        assert answer.endswith(b"}" if content else b"\r\n\r\n")
        work.release.set()
        await running_request
    assert work.started == 1


@pytest.mark.slow
async def test_every_rejected_request_gets_a_response() -> None:
    """Also when rejections are sent together and some clients have disconnected."""
    work = Work()

    async def retry(port: int, *, disconnects: bool) -> int:
        for times in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(times):
                writer.write(POST + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 ")
                await reader.readuntil(b"}")
            if disconnects:
                writer.write(POST + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
                await asyncio.sleep(0.02)
                writer.transport.abort()
            writer.close()
        return 1

    async with serving(work, ONE) as port:
        running_request = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.running == 1)
        async with asyncio.timeout(20):
            clients = [retry(port, disconnects=number % 5 == 0) for number in range(100)]
            assert sum(await asyncio.gather(*clients)) == 100
        work.release.set()
        await running_request
    assert work.started == 1


async def test_rejection_is_delayed() -> None:
    """A client without backoff then retries about ten times a second."""
    work = Work()
    async with client(work, ONE) as http:
        first = asyncio.create_task(http.post("/"))
        await until(lambda: work.running == 1)
        began = time.monotonic()
        assert (await http.post("/")).status_code == 503
        assert time.monotonic() - began > 0.04
        work.release.set()
        await first


async def test_concurrent_batches_beyond_the_queue_limit_wait(
    settings: Settings, partner: Partner
) -> None:
    """Together they hold far more statements than the queue."""
    async with serving_lrs(replace(settings, max_queued_statements=60)) as http:
        batches = [[statement(id=new_id()) for _ in range(50)] for _ in range(20)]
        answers = await asyncio.gather(
            *(
                http.post(partner.url("statements"), json=batch, headers=partner.headers)
                for batch in batches
            )
        )
    assert {answer.status_code for answer in answers} == {200}


async def test_request_is_freed_without_the_garbage_collector() -> None:
    """It runs rarely: reference cycles would keep the memory of thousands of requests."""
    requests: list[weakref.ref[object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        requests.append(weakref.ref(scope["admission"]))
        scope["admission"].identify("key", "partner")
        await respond(send, 200)

    async with client(app) as http:
        gc.disable()
        try:
            await http.get("/")
            await http.get("/")
            assert requests[0]() is None
        finally:
            gc.enable()
