"""Load shedding: concurrency limit, body budget, rejections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial

import httpx
import msgspec
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from lrs.errors import Overloaded
from lrs.server.http_protocol import BoundedProtocol
from lrs.server.load_shedding import Admission
from lrs.server.rejection_queue import Refusals
from lrs.settings import Settings
from tests.support.app import serving as serving_lrs
from tests.support.load_shedding import answer_to
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

POST = b"POST /slowly HTTP/1.1\r\nHost: x\r\n"
LAST = POST + b"Connection: close\r\nContent-Length: 0\r\n\r\n"


class Work:
    """An application that takes as long as the test likes, and keeps count."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.begun = 0
        self.under_way = 0
        self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        try:
            while (await receive()).get("more_body"):
                pass
        except Overloaded as error:
            await send({"type": "http.response.start", "status": error.status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        await self.may_end.wait()
        self.under_way -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def door(
    app: ASGIApp, *, most_requests: int = 99, most_bytes: int = 1_000_000
) -> AsyncIterator[int]:
    """The application behind its door; the port."""
    admission = Admission(app, most_requests=most_requests, most_bytes=most_bytes)
    config = uvicorn.Config(admission, log_config=None, lifespan="off", proxy_headers=False)
    config.load()
    connection = partial(BoundedProtocol, config, ServerState(), {})
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def client(app: ASGIApp, **bounds: int) -> AsyncIterator[httpx.AsyncClient]:
    async with door(app, **bounds) as port:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits) as http:
            yield http


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_finds_no_place_is_refused() -> None:
    work = Work()
    async with client(work, most_requests=3) as http:
        let_in = [asyncio.create_task(http.post("/")) for _ in range(3)]
        await until(lambda: work.under_way == 3)
        for _ in range(2):
            refused = await asyncio.gather(*(http.post("/", content=b"x") for _ in range(20)))
            assert {answer.status_code for answer in refused} == {503}
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert refused[0].json()["code"] == Overloaded.code
        work.may_end.set()
        assert {(await answer).status_code for answer in let_in} == {200}
        assert (await http.post("/")).status_code == 200
    assert work.most == 3


async def test_a_place_is_given_back_though_its_client_went_away() -> None:
    work = Work()
    async with client(work, most_requests=1) as http:
        first = asyncio.create_task(http.post("/"))
        await until(lambda: work.under_way == 1)
        first.cancel()
        assert (await http.post("/")).status_code == 503
        work.may_end.set()
        await until(lambda: work.under_way == 0)
        assert (await http.post("/")).status_code == 200


async def test_the_state_of_the_server_is_told_however_many_are_there() -> None:
    work = Work()
    async with client(work, most_requests=1) as http:
        first = asyncio.create_task(http.post("/"))
        await until(lambda: work.under_way == 1)
        health = asyncio.create_task(http.get("/healthz"))
        await until(lambda: work.under_way == 2)
        work.may_end.set()
        assert (await health).status_code == (await first).status_code == 200


async def test_no_turn_is_held_while_a_body_is_awaited() -> None:
    work = Work()
    work.may_end.set()
    arrives = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"the beginning" * 10_000
        await arrives.wait()
        yield b"and the end"

    async with client(work, most_requests=1) as http:
        slow = []
        for _ in range(5):
            begun = work.begun
            slow.append(asyncio.create_task(http.post("/", content=body())))
            await until(lambda begun=begun: work.begun > begun)
        assert (await http.post("/")).status_code == 200
        arrives.set()
        assert {(await answer).status_code for answer in slow} == {200}


async def test_bodies_take_no_more_room_than_there_is() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 60_000

    work = Work()
    async with client(work) as http:
        assert (await http.post("/", content=body())).status_code == 503
        work.may_end.set()
        assert (await http.post("/", content=b"x" * 900_000)).status_code == 200


async def test_a_body_has_room_for_all_of_it_or_is_not_begun() -> None:
    """Else many that have a part of theirs each would keep each other from ever being whole."""
    work = Work()
    async with client(work, most_bytes=1000) as http:
        posts = [asyncio.create_task(http.post("/", content=b"x" * 400)) for _ in range(20)]
        refused, let_in = await asyncio.wait(posts, timeout=1)
        assert {(await each).status_code for each in refused} == {503}
        assert len(let_in) == work.under_way == 2
        work.may_end.set()
        assert {(await each).status_code for each in let_in} == {200}
        assert (await http.post("/", content=b"x" * 1000)).status_code == 200


async def test_a_request_is_refused_by_its_head_and_its_body_thrown_away() -> None:
    """The client hears so though it has sent little, and may go on with the same connection."""
    work = Work()
    work.may_end.set()
    async with door(work, most_bytes=70_000, most_requests=1) as port:
        work.may_end.clear()
        holder = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.under_way == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Content-Length: 300000\r\n\r\n" + b"x" * 100)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
        work.may_end.set()
        assert (await holder).startswith(b"HTTP/1.1 200 ")
        writer.write(b"x" * 299_900 + LAST)
        assert b"HTTP/1.1 200 " in await reader.read()
        writer.close()
    assert work.begun == 2


@pytest.mark.parametrize(
    ("requests", "heads", "content"),
    [
        (POST + b"Content-Length: 1\r\n\r\na" + LAST, 2, True),
        (LAST.replace(b"POST", b"HEAD"), 1, False),
        (LAST.replace(b"1.1", b"1.0").replace(b"Connection: close\r\n", b""), 1, True),
        (POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n", 1, True),
    ],
    ids=["pipelined", "HEAD", "HTTP/1.0", "asking whether to go on"],
)
async def test_a_refusal_is_proper_http(requests: bytes, heads: int, content: bool) -> None:
    """Each of these ends the connection."""
    work = Work()
    async with door(work, most_requests=1) as port:
        holder = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.under_way == 1)
        answer = await answer_to(port, requests, pause=0)
        assert answer.count(b"HTTP/1.1 503 ") == answer.count(b"retry-after: 1\r\n") == heads
        assert answer.count(b"connection: close") == 1
        assert answer.endswith(b"}" if content else b"\r\n\r\n")
        work.may_end.set()
        await holder
    assert work.begun == 1


async def test_no_one_is_forgotten_in_a_crowd_that_asks_again_and_again() -> None:
    """Though answers to many are sent together, and some of the many have gone by then."""
    work = Work()

    async def ask(port: int, *, leaves: bool) -> int:
        for times in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(times):
                writer.write(POST + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 ")
                await reader.readuntil(b"}")
            if leaves:
                writer.write(POST + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
                await asyncio.sleep(0.02)
                writer.transport.abort()
            writer.close()
        return 1

    async with door(work, most_requests=1) as port:
        holder = asyncio.create_task(answer_to(port, LAST))
        await until(lambda: work.under_way == 1)
        async with asyncio.timeout(20):
            asked = [ask(port, leaves=number % 5 == 0) for number in range(100)]
            assert sum(await asyncio.gather(*asked)) == 100
        work.may_end.set()
        await holder
    assert work.begun == 1


async def test_a_refusal_is_put_off() -> None:
    """A client that asks again at once is to do so some ten times a second."""
    work = Work()
    async with client(work, most_requests=1) as http:
        first = asyncio.create_task(http.post("/"))
        await until(lambda: work.under_way == 1)
        began = time.monotonic()
        assert (await http.post("/")).status_code == 503
        assert time.monotonic() - began > 0.04
        work.may_end.set()
        await first


async def test_a_loop_that_is_busy_refuses_in_between() -> None:
    """Those who come and go see to it, in no one's context."""
    whose = ContextVar("whose", default="nobody's")
    refusals, told = Refusals(), list[str]()
    refusals.soon(lambda: told.append(whose.get()))
    whose.set("the caller's")
    refusals.tell_due()
    assert told == []
    time.sleep(refusals.pause)  # noqa: ASYNC251  # nothing else has its turn
    refusals.tell_due()
    assert told == ["nobody's"]


async def test_the_pause_is_shorter_while_the_loop_is_late() -> None:
    """Else it would come on top of the time that the loop takes to read a request."""
    refusals, told = Refusals(), asyncio.Event()
    usual = refusals.pause
    refusals.soon(told.set)
    time.sleep(usual + 0.02)  # noqa: ASYNC251  # one round of a busy loop
    await told.wait()
    late = refusals.pause
    assert 0.04 <= late <= usual - 0.015
    async with asyncio.timeout(5):
        while refusals.pause <= late:
            told.clear()
            refusals.soon(told.set)
            await told.wait()
    assert refusals.pause <= usual


async def test_a_crowd_of_batches_waits_for_the_database(
    settings: Settings, partner: Partner
) -> None:
    """Though all of them together are far more than the queue holds."""
    async with serving_lrs(msgspec.structs.replace(settings, max_queued_statements=60)) as http:
        batches = [[statement(id=new_id()) for _ in range(50)] for _ in range(20)]
        answers = await asyncio.gather(
            *(
                http.post(partner.url("statements"), json=batch, headers=partner.headers)
                for batch in batches
            )
        )
    assert {answer.status_code for answer in answers} == {200}
