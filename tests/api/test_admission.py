"""Admission: what clients may hold before authentication, and their shares after it."""

from __future__ import annotations

import asyncio
import socket
import time

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from lrs.errors import Overloaded
from lrs.server.worker_limits import Limits
from tests.support.alternate_syntax import authorization
from tests.support.load_shedding import (
    LAST,
    POST,
    Work,
    answer_to,
    client,
    holding,
    respond,
    serving,
    until,
)
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

LARGE = b"Content-Length: 16777216\r\n"
CLOSE = b"Connection: close\r\n"


async def post_statement(http: httpx.AsyncClient, partner: Partner) -> httpx.Response:
    return await http.post(
        "/xapi/statements",
        json=statement(id=new_id()),
        headers={"X-Experience-API-Version": "1.0.3"},
        auth=(partner.key, partner.secret),
    )


# Before authentication


@pytest.mark.parametrize(
    ("count", "start", "length"),
    [
        (40, b"POST /xapi/statements?method=PUT HTTP/1.1\r\nExpect: 100-continue\r\n"
             b"Content-Type: application/x-www-form-urlencoded\r\n", 16_777_216),
        (33, b"POST /api/lti/v1/xapi/forged HTTP/1.1\r\nContent-Type: application/json\r\n",
         1_048_576),
        (33, b"POST /api/lti/v1/caliper/forged HTTP/1.1\r\n", 1_048_576),
        (33, b"POST /oauth2/token HTTP/1.1\r\nExpect: 100-continue\r\n", 16_384),
        (33, b"PUT /xapi/activities/state HTTP/1.1\r\n", 16_777_216),
    ],
    ids=["alternate syntax", "callbacks", "Caliper callbacks", "token requests", "documents"],
)  # fmt: skip
@pytest.mark.parametrize("sent", [0, 70_000])
async def test_anonymous_incomplete_requests_affect_no_other(
    server: str, partner: Partner, count: int, start: bytes, length: int, sent: int
) -> None:
    head = start + b"Host: x\r\nContent-Length: %d\r\n\r\n" % length
    port = int(server.rpartition(":")[2])
    body = b"x" * min(sent, length - 1)
    async with (
        holding(port, *[head + body] * count),
        httpx.AsyncClient(base_url=server) as http,
    ):
        response = await post_statement(http, partner)
        assert response.status_code == 200, response.text


async def test_body_of_an_anonymous_request_is_read_to_64_kib() -> None:
    work = Work()
    async with serving(work) as port:
        response = await answer_to(port, POST + LARGE + CLOSE + b"\r\n" + b"x" * 400_000, pause=0)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert work.received == 65_536


async def test_oldest_incomplete_request_is_evicted_for_anonymous_bytes() -> None:
    work = Work()
    work.release.set()
    part = POST + b"Content-Length: 50000\r\nConnection: close\r\n\r\n" + b"x" * 40_000
    async with (
        serving(work, Limits(max_anonymous_bytes=100_000)) as port,
        holding(port, part) as (evicted,),
    ):
        await until(lambda: work.received > 0)
        async with holding(port, part, part) as kept:
            await until(lambda: work.received >= 120_000)
            response = await asyncio.wait_for(evicted.read(), 1)
            assert response.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1\r\n" in response
            assert (await answer_to(port, LAST, pause=0)).startswith(b"HTTP/1.1 200 ")
            assert not any(reader.at_eof() for reader in kept)


async def test_incomplete_header_fields_count_as_anonymous_bytes() -> None:
    work = Work()
    work.release.set()
    head = b"GET / HTTP/1.1\r\nX-A: " + b"a" * 40_000
    async with serving(work, Limits(max_anonymous_bytes=100_000)) as port:
        async with holding(port, *[head] * 4) as readers:
            responses = [asyncio.wait_for(reader.read(), 1) for reader in readers[:2]]
            for response in await asyncio.gather(*responses):
                assert response.startswith(b"HTTP/1.1 503 ")
        assert (await answer_to(port, LAST, pause=0)).startswith(b"HTTP/1.1 200 ")


async def test_unauthenticated_requests_take_a_quarter_of_the_concurrency_limit() -> None:
    work = Work()
    async with client(work, Limits(max_requests=8)) as http:
        waiting = [asyncio.create_task(http.get("/", headers=user("a")))]
        await until(lambda: work.running == 1)
        waiting += [asyncio.create_task(http.get("/")) for _ in range(2)]
        await until(lambda: work.running == 3)
        assert (await http.get("/")).status_code == 503
        waiting.append(asyncio.create_task(http.get("/", headers=user("a"))))
        await until(lambda: work.running == 4)
        work.release.set()
        assert {(await response).status_code for response in waiting} == {200}


# Shares of credentials and partners


def user(key: str) -> dict[str, str]:
    """The Authorization header of a credential; the part before a slash is its partner."""
    return {"Authorization": key}


async def test_requests_beyond_the_share_of_a_credential_return_503() -> None:
    work = Work()
    async with client(work, Limits(max_requests=8)) as http:
        accepted = [asyncio.create_task(http.get("/", headers=user("a/1"))) for _ in range(2)]
        await until(lambda: work.running == 2)
        began = time.monotonic()
        rejected = [await http.get("/", headers=user("a/1")) for _ in range(2)]
        assert time.monotonic() - began < 2
        assert {response.status_code for response in rejected} == {503}
        accepted += [asyncio.create_task(http.get("/", headers=user("a/2"))) for _ in range(2)]
        await until(lambda: work.running == 4)
        assert (await http.get("/", headers=user("a/3"))).status_code == 503
        accepted.append(asyncio.create_task(http.get("/", headers=user("b"))))
        await until(lambda: work.running == 5)
        work.release.set()
        assert {(await response).status_code for response in accepted} == {200}


async def test_uploads_of_one_partner_leave_room_for_others() -> None:
    work = Work()
    limits = Limits(max_body_bytes=4_000_000, max_request_bytes=1)

    async def post(http: httpx.AsyncClient, key: str, size: int) -> int:
        return (await http.post("/", content=b"x" * size, headers=user(key))).status_code

    async with client(work, limits) as http:
        uploads = [
            asyncio.create_task(post(http, f"a/{number % 4}", 600_000)) for number in range(16)
        ]
        done, waiting = await asyncio.wait(uploads, timeout=0.5)
        assert {upload.result() for upload in done} == {503}
        assert 1 <= len(waiting) <= 4
        other = asyncio.create_task(post(http, "b", 600_000))
        small = [asyncio.create_task(post(http, key, 60_000)) for key in ("a/0", "b", "c")]
        await until(lambda: work.running == len(waiting) + 4)
        work.release.set()
        assert {await task for task in (*waiting, other, *small)} == {200}


@pytest.mark.slow
async def test_slow_uploads_of_one_partner_affect_no_other(
    server: str, partner: Partner, stranger: Partner
) -> None:
    """The uploads have sent 8 MiB of 16 each."""
    port = int(server.rpartition(":")[2])
    start = (
        b"POST /xapi/statements HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"X-Experience-API-Version: 1.0.3\r\nAuthorization: "
        + authorization(partner).encode()
        + b"\r\n"
        + LARGE
        + b"\r\n"
        + b" " * 8_388_608
    )
    async with holding(port, *[start] * 3), httpx.AsyncClient(base_url=server) as http:
        await asyncio.sleep(0.3)
        response = await post_statement(http, stranger)
        assert response.status_code == 200, response.text


# Responses


class Pages:
    """An application that responds with a large page, if the client may hold it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.built = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        admission = scope["admission"]
        try:
            if key := dict(scope["headers"]).get(b"authorization", b"").decode():
                admission.identify(key, key)
            admission.hold_response(self.size)
        except Overloaded as error:
            await respond(send, error.status)
            return
        self.built += 1
        await respond(admission.in_slices(send), 200, b"x" * self.size)


def silent_client(port: int, key: str) -> socket.socket:
    """A client that requests a page and does not read it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    head = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


async def test_clients_that_do_not_read_hold_their_share_until_they_are_cut() -> None:
    pages = Pages(10_000_000)
    limits = Limits(max_response_bytes=100_000_000, stall_timeout=1)
    async with client(pages, limits) as http:
        assert http.base_url.port
        silent = [silent_client(http.base_url.port, "a") for _ in range(60)]
        await until(lambda: pages.built == 2)
        began = time.monotonic()
        refused = await http.get("/", headers=user("a"))
        assert time.monotonic() - began < 2
        assert (refused.status_code, pages.built) == (503, 2)
        response = await http.get("/", headers=user("b"))
        assert (response.status_code, len(response.content)) == (200, 10_000_000)
        for _ in range(200):
            response = await http.get("/", headers=user("a"))
            if response.status_code == 200:
                break
            await asyncio.sleep(0.05)
        assert response.status_code == 200
        for connection in silent:
            connection.close()


async def test_small_responses_of_a_client_that_does_not_read_are_not_kept() -> None:
    """Pipelined requests are answered one at a time, as the client reads."""
    pages = Pages(60_000)
    async with serving(pages) as port:
        connection = silent_client(port, "a")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        await asyncio.sleep(0.3)
        assert pages.built < 200
        connection.close()
