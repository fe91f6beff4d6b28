"""The time limit of a handler."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lrs.api import time_limit
from lrs.api.router import Router


async def hang(request: Request) -> Response:
    await asyncio.sleep(5)
    return PlainTextResponse("late")


async def work(request: Request) -> Response:
    """Longer than the limit, which does not apply."""
    time_limit.suspend(request.scope)
    await asyncio.sleep(1.2)
    return PlainTextResponse("done")


@pytest.fixture
def client() -> httpx.AsyncClient:
    routes = [Route("/hang", hang, methods=["GET", "POST"]), Route("/work", work)]
    transport = httpx.ASGITransport(app=Router(routes, time_limit_seconds=0.1))
    return httpx.AsyncClient(transport=transport, base_url="http://lrs.test")


@pytest.mark.parametrize(("method", "code"), [("GET", "unavailable"), ("POST", "outcome-unknown")])
async def test_handler_beyond_its_time_limit_returns_503(
    client: httpx.AsyncClient, method: str, code: str
) -> None:
    began = time.monotonic()
    answers = await asyncio.gather(*(client.request(method, "/hang") for _ in range(3)))
    assert time.monotonic() - began < 2
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, code)}
    assert answers[0].headers["retry-after"] == "1"


@pytest.mark.slow
async def test_suspended_limit_does_not_apply(client: httpx.AsyncClient) -> None:
    assert (await client.get("/work")).text == "done"


async def test_cancelled_handler_has_no_response(client: httpx.AsyncClient) -> None:
    task = asyncio.create_task(client.get("/hang"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
