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

from lrs.server.http_protocol import LimitedHttpProtocol
from lrs.server.load_shedding import LoadShedder
from tests.support.load_shedding import answer_to

POST = b"POST /slowly HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def serving(app: ASGIApp, **options: float) -> Iterator[int]:
    """The application behind uvicorn; yields its port."""
    config = uvicorn.Config(
        LoadShedder(app, max_requests=99, max_body_bytes=10_000_000),
        port=0,
        http=partial(LimitedHttpProtocol, **options),
        log_config=None,
        lifespan="off",
        proxy_headers=False,
    )
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)
    thread.start()
    while not uvicorn_server.started:
        thread.join(0.02)
        assert thread.is_alive()
    yield uvicorn_server.servers[0].sockets[0].getsockname()[1]
    uvicorn_server.should_exit = True
    thread.join(10)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds with the body of the request."""
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
def port() -> Iterator[int]:
    with serving(echo, request_timeout=0.3, max_connections=4) as number:
        yield number


@pytest.mark.slow
@pytest.mark.parametrize(
    "pieces",
    [
        [POST[:20]],
        [POST + b"Content-Length: 10\r\n\r\nabc"],
        [POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 90_000],
        [POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
        [b"G", b"E", b"T", b" "],
    ],
    ids=["partial header", "partial body", "partial large body", "partial chunks", "byte by byte"],
)
async def test_incomplete_request_returns_408(port: int, pieces: list[bytes]) -> None:
    answer = await answer_to(port, *pieces)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in answer


@pytest.mark.slow
async def test_idle_connection_returns_408(port: int) -> None:
    assert (await answer_to(port)).startswith(b"HTTP/1.1 408 ")


async def test_request_in_pieces_returns_200(port: int) -> None:
    pieces = [
        POST[:20],
        POST[20:] + b"Connection: close\r\nContent-Le",
        b"ngth: 6\r\n\r\nabc",
        b"def",
    ]
    assert (await answer_to(port, *pieces, pause=0.02)).endswith(b"\r\n\r\nabcdef")


async def test_bodies_of_all_sizes_share_a_connection(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        for size in (0, 10, 70_000, 1_000_000, 10):
            assert (await http.post("/", content=b"x" * size)).content == b"x" * size


async def test_expect_100_continue_returns_100(port: int) -> None:
    head = POST + b"Connection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    answer = await answer_to(port, head, b"abc")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


async def test_pipelined_requests_return_200(port: int) -> None:
    one = POST + b"Content-Length: 1\r\n\r\n"
    last = POST + b"Connection: close\r\nContent-Length: 1\r\n\r\n"
    answer = await answer_to(port, one + b"a" + one + b"b" + last, b"c")
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200")[1:]] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "trailer", [b"X-A: y\r\n" * 40_000, b"X-A: " + b"y" * 400_000], ids=["many", "long"]
)
async def test_large_trailers_return_431(port: int, trailer: bytes) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    pieces = [trailer[at : at + 20_000] for at in range(0, len(trailer), 20_000)]
    answer = await answer_to(port, chunked, *pieces, pause=0.002)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


async def test_connection_beyond_the_limit_returns_503(port: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    try:
        answer = await answer_to(port, POST + b"Content-Length: 0\r\n\r\n", pause=0)
    finally:
        for _, writer in idle:
            writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in answer
