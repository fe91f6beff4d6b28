"""Limits of connections: number, in all and per address, timeouts, minimum transfer rate."""

from __future__ import annotations

import asyncio
import time

import pytest

from lrs.server.connection_limits import ConnectionLimits, address_of
from lrs.server.serve import _uvicorn_config
from lrs.server.worker_limits import Limits
from lrs.settings import Settings
from tests.support.load_shedding import LAST, POST, Work, answer_to, holding, serving, until

HALF_OPEN = b"GET / HTTP/1.1\r\nX-A: "
AUTHENTICATED = b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\n\r\n"


@pytest.mark.parametrize(
    "limits", [Limits(max_connections_per_address=5), Limits(max_connections=5)]
)
@pytest.mark.parametrize(
    "start",
    [b"", HALF_OPEN, POST + b"Content-Length: 5\r\n\r\nab", LAST.replace(b"close", b"keep-alive")],
    ids=["silent", "half-open", "incomplete body", "idle"],
)
async def test_anonymous_connections_make_room_for_new_ones(limits: Limits, start: bytes) -> None:
    work = Work()
    work.release.set()
    async with serving(work, limits) as port, holding(port, *[start] * 20) as readers:
        await asyncio.sleep(0.05)
        response = await answer_to(port, LAST, pause=0)
        assert response.startswith(b"HTTP/1.1 200 ")
        evicted = await asyncio.wait_for(readers[0].read(), 1)
        assert b"HTTP/1.1 503 " in evicted
        assert b"\r\nretry-after: 1\r\n" in evicted
        assert not readers[-1].at_eof()


async def test_connections_with_authenticated_requests_are_not_evicted() -> None:
    work = Work()
    work.release.set()
    limits = Limits(max_connections=3, credential_share=1, partner_share=1)
    async with serving(work, limits) as port, holding(port, *[AUTHENTICATED] * 3) as readers:
        await until(lambda: work.started == 3)
        began = time.monotonic()
        response = await answer_to(port, pause=0)
        assert time.monotonic() - began < 2
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in response
        assert not any(reader.at_eof() for reader in readers)


async def test_one_credential_keeps_a_quarter_of_the_connections() -> None:
    work = Work()
    work.release.set()
    async with (
        serving(work, Limits(max_connections=8)) as port,
        holding(port, *[AUTHENTICATED] * 8) as readers,
    ):
        await until(lambda: work.started == 8)
        responses = [await answer_to(port, LAST, pause=0) for _ in range(3)]
        assert all(response.startswith(b"HTTP/1.1 200 ") for response in responses)
        assert not any(reader.at_eof() for reader in readers[:2])


async def test_connection_without_an_address_limit() -> None:
    work = Work()
    work.release.set()
    limits = Limits(max_connections_per_address=0)
    async with serving(work, limits) as port, holding(port, *[b""] * 50) as readers:
        assert (await answer_to(port, LAST, pause=0)).startswith(b"HTTP/1.1 200 ")
        assert not any(reader.at_eof() for reader in readers)


class _Connection:
    def __init__(self, host: str) -> None:
        self.client = (host, 1)
        self.evicted = False

    def evict(self) -> None:
        self.evicted = True

    def check_timeouts(self, now: float) -> None:
        """Never exceeds one."""


async def test_address_with_the_most_anonymous_connections_makes_room() -> None:
    limits = ConnectionLimits(Limits(max_connections=6))
    one = _Connection("192.0.2.1")
    many = [_Connection("192.0.2.2") for _ in range(5)]
    for connection in (one, *many):
        assert limits.add(connection)
    assert limits.add(_Connection("192.0.2.3"))
    assert not one.evicted
    assert [connection.evicted for connection in many] == [True, False, False, False, False]
    for connection in (one, *many):
        limits.remove(connection)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::1", "::"),
    ],
)
def test_address_of_ipv6_is_its_64_network(host: str, address: str) -> None:
    assert address_of(_Connection(host)) == address


# Timeouts


@pytest.mark.slow
async def test_timeout_of_the_header_fields_is_shorter_than_that_of_the_body() -> None:
    limits = Limits(header_timeout=0.2, request_timeout=60)
    async with serving(Work(), limits) as port:
        began = time.monotonic()
        assert (await answer_to(port, HALF_OPEN)).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 5
        async with holding(port, POST + b"Content-Length: 5\r\n\r\nab") as (reader,):
            await asyncio.sleep(0.5)
            assert not reader.at_eof()


@pytest.mark.slow
@pytest.mark.parametrize("authorization", [b"", b"Authorization: a\r\n"])
async def test_body_below_the_minimum_transfer_rate_returns_408(authorization: bytes) -> None:
    """4 KiB per second: 820 bytes in 0.2 seconds."""
    head = POST + authorization + b"Content-Length: 50000\r\n\r\n"
    async with serving(Work(), Limits(stall_timeout=0.2)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        # Not to the end of the stream: what is written after the response resets the connection.
        response = asyncio.create_task(reader.readline())
        while not response.done():
            writer.write(b"x" * 100)
            await asyncio.wait([response], timeout=0.04)
        assert response.result().startswith(b"HTTP/1.1 408 ")
        writer.close()


@pytest.mark.slow
async def test_slow_upload_above_the_minimum_transfer_rate_returns_200() -> None:
    work = Work()
    work.release.set()
    head = POST + b"Connection: close\r\nContent-Length: 10000\r\n\r\n"
    async with serving(work, Limits(stall_timeout=0.2)) as port:
        response = await answer_to(port, head, *[b"x" * 400] * 25, pause=0.04)
    assert response.startswith(b"HTTP/1.1 200 ")


def test_keep_alive_timeout_is_a_setting() -> None:
    assert _uvicorn_config(Settings()).timeout_keep_alive == 75
    assert _uvicorn_config(Settings(keep_alive_timeout_seconds=5)).timeout_keep_alive == 5
