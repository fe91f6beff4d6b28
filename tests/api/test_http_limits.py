"""Limits of the HTTP protocol on real connections: timeouts, pipelining, trailers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from lrs.server.worker_limits import Limits
from tests.support.load_shedding import POST, answer_to, respond, serving


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds with the body of the request."""
    scope["admission"].identify("key", "partner")
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await respond(send, 200, body)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    limits = Limits(header_timeout=0.3, request_timeout=0.3, max_connections=4)
    async with serving(echo, limits) as number:
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
    response = await answer_to(port, *pieces)
    assert response.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in response


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
    response = await answer_to(port, head, b"abc")
    assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


async def test_pipelined_requests_return_200(port: int) -> None:
    one = POST + b"Content-Length: 1\r\n\r\n"
    last = POST + b"Connection: close\r\nContent-Length: 1\r\n\r\n"
    response = await answer_to(port, one + b"a" + one + b"b" + last, b"c")
    assert [part[-1:] for part in response.split(b"HTTP/1.1 200")[1:]] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "trailer", [b"X-A: y\r\n" * 40_000, b"X-A: " + b"y" * 400_000], ids=["many", "long"]
)
async def test_large_trailers_return_431(port: int, trailer: bytes) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    pieces = [trailer[at : at + 20_000] for at in range(0, len(trailer), 20_000)]
    response = await answer_to(port, chunked, *pieces, pause=0.002)
    assert response == b"" or response.startswith(b"HTTP/1.1 431 ")
