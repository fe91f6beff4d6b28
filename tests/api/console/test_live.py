"""The stream of the live page: resumable and bounded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from lrs.api.services import Services
from lrs.console.live import MAX_STREAMS
from tests.support.operators import operator_headers
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

pytestmark = pytest.mark.slow

Event = dict[str, str]


@asynccontextmanager
async def stream(
    server: str, partner: Partner, headers: dict[str, str], **more: str
) -> AsyncIterator[httpx.Response]:
    url = f"{server}/console/partners/{partner.name}/live/events"
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("GET", url, headers=headers | more) as response,
    ):
        yield response


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    fields: Event = {}
    async for line in response.aiter_lines():
        if not line:
            yield fields
            fields = {}
        else:
            name, _, value = line.partition(": ")
            fields[name] = value


async def ids_until(received: AsyncIterator[Event], statement_id: str) -> tuple[list[str], str]:
    """The ids of statements up to this one, and the id of the event with it."""
    found: list[str] = []
    async for event in received:
        found += [item["statement_id"] for item in json.loads(event.get("data", "[]"))]
        if statement_id in found:
            return found, event["id"]
    raise AssertionError(found)


async def test_stream_resumes_after_the_last_event(
    server: str, services: Services, partner: Partner
) -> None:
    headers = await operator_headers(services)
    first, second = new_id(), new_id()
    async with stream(server, partner, headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        await partner.send(statement(id=first))
        found, last = await ids_until(events(response), first)
        assert found == [first]
    await partner.send(statement(id=second))
    async with stream(server, partner, headers, **{"Last-Event-ID": last}) as response:
        assert (await ids_until(events(response), second))[0] == [second]


async def test_item_that_another_worker_refuses_is_in_the_stream(
    server: str, services: Services, partner: Partner
) -> None:
    headers = await operator_headers(services)
    async with stream(server, partner, headers) as response:
        await partner.send({})
        async for event in events(response):
            if items := json.loads(event.get("data", "[]")):
                assert [item["code"] for item in items] == ["invalid-statement"]
                break


async def test_operator_has_a_few_streams(
    server: str, services: Services, partner: Partner
) -> None:
    headers = await operator_headers(services)
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(MAX_STREAMS):
            response = await stack.enter_async_context(stream(server, partner, headers))
            opened.append(events(response))  # a generator that is dropped closes its response
            await anext(opened[-1])
        refused = await stack.enter_async_context(stream(server, partner, headers))
        assert refused.status_code == 429


async def test_revoked_operator_loses_the_stream(
    server: str, services: Services, partner: Partner
) -> None:
    headers = await operator_headers(services)
    async with stream(server, partner, headers) as response:
        received = events(response)
        await anext(received)
        await services.database.writers.execute("delete from operator_session where kind = 'token'")
        assert [event["event"] async for event in received if "event" in event] == ["end"]


async def test_other_partner_and_wrong_position_are_refused(
    server: str, services: Services, partner: Partner, stranger: Partner
) -> None:
    headers = await operator_headers(services, "owner", [stranger.name])
    async with stream(server, partner, headers) as response:
        assert response.status_code == 404
    async with stream(server, stranger, headers, **{"Last-Event-ID": "now"}) as response:
        assert response.status_code == 400
