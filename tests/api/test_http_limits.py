"""Limits of the HTTP protocol on real connections: request timeout, pipelining, trailers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from lrs.server.http_protocol import BoundedProtocol
from lrs.server.load_shedding import Admission
from tests.support.load_shedding import answer_to

POST = b"POST /slowly HTTP/1.1\r\nHost: x\r\n"


# Over a socket


@contextmanager
def serving(app: ASGIApp, **options: float) -> Iterator[int]:
    """The application behind uvicorn; its port."""
    config = uvicorn.Config(
        Admission(app, most_requests=99, most_bytes=10_000_000),
        port=0,
        http=partial(BoundedProtocol, **options),
        log_config=None,
        lifespan="off",
        proxy_headers=False,
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        thread.join(0.02)
        assert thread.is_alive()
    yield running.servers[0].sockets[0].getsockname()[1]
    running.should_exit = True
    thread.join(10)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def hasty() -> Iterator[int]:
    with serving(echo, request_seconds=0.3, most_connections=4) as port:
        yield port


@pytest.mark.parametrize(
    "pieces",
    [
        [POST[:20]],
        [POST + b"Content-Length: 10\r\n\r\nabc"],
        [POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 90_000],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
        [b"G", b"E", b"T", b" "],
    ],
    ids=["half a head", "half a body", "half a large body", "half the chunks", "drop by drop"],
)
async def test_a_request_that_does_not_come_to_its_end_is_given_up(
    hasty: int, pieces: list[bytes]
) -> None:
    answer = await answer_to(hasty, *pieces)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in answer


async def test_a_client_that_sends_nothing_is_hung_up_on(hasty: int) -> None:
    assert (await answer_to(hasty)).startswith(b"HTTP/1.1 408 ")


async def test_a_request_may_come_in_pieces(hasty: int) -> None:
    pieces = [
        POST[:20],
        POST[20:] + b"Connection: close\r\nContent-Le",
        b"ngth: 6\r\n\r\nabc",
        b"def",
    ]
    assert (await answer_to(hasty, *pieces, pause=0.02)).endswith(b"\r\n\r\nabcdef")


async def test_large_bodies_and_small_ones_share_a_connection(hasty: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hasty}") as http:
        for size in (0, 10, 70_000, 1_000_000, 10):
            assert (await http.post("/", content=b"x" * size)).content == b"x" * size


async def test_one_that_asks_whether_to_go_on_is_told_to(hasty: int) -> None:
    head = POST + b"Connection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    answer = await answer_to(hasty, head, b"abc")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


async def test_requests_may_be_sent_one_after_another(hasty: int) -> None:
    one = POST + b"Content-Length: 1\r\n\r\n"
    last = POST + b"Connection: close\r\nContent-Length: 1\r\n\r\n"
    answer = await answer_to(hasty, one + b"a" + one + b"b" + last, b"c")
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200")[1:]] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "trailer", [b"X-A: y\r\n" * 40_000, b"X-A: " + b"y" * 400_000], ids=["many", "long"]
)
async def test_trailers_are_bounded(hasty: int, trailer: bytes) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    pieces = [trailer[at : at + 20_000] for at in range(0, len(trailer), 20_000)]
    answer = await answer_to(hasty, chunked, *pieces, pause=0.002)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


async def test_connections_are_bounded(hasty: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", hasty) for _ in range(4)]
    try:
        answer = await answer_to(hasty, POST + b"Content-Length: 0\r\n\r\n", pause=0)
    finally:
        for _, writer in idle:
            writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in answer
