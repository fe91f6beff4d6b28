"""Connections to the database that are lost at COMMIT: what the response says is true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import pytest

from lrs.api.services import Services
from lrs.app import create_app
from lrs.settings import Settings
from tests.support.canvas import Tool, count_rows, new_tool
from tests.support.database_proxy import DatabaseProxy, database_proxy
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

BODY = {"object": {"id": "http://example.com/page"}, "result": {"duration": "PT1M"}}


@dataclass
class LossyServer:
    """A server behind a proxy of its database; `partner` and `tool` send to it."""

    proxy: DatabaseProxy
    partner: Partner
    tool: Tool

    def lose_once(self, marker: bytes, *, then_refuse: bool = False) -> None:
        """Loses the response to the next chunk with `marker`."""

        def loses(chunk: bytes) -> bool:
            if marker not in chunk:
                return False
            self.proxy.lose_response = lambda _: False
            self.proxy.refuses = then_refuse
            return True

        self.proxy.lose_response = loses


@pytest.fixture
async def lossy(
    partner: Partner, services: Services, settings: Settings, database_url: str
) -> AsyncIterator[LossyServer]:
    tool = await new_tool(services, partner, "lossy")
    async with database_proxy(database_url) as proxy:
        # One connection: a lost one is the only one, so that a refusing proxy is noticed.
        app = create_app(
            replace(
                settings,
                database_url=proxy.url,
                max_database_write_connections=1,
                database_timeout_seconds=1,
                credential_cache_ttl_seconds=60,
            )
        )
        transport = httpx.ASGITransport(app=app)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as client,
        ):
            assert app.services
            group_commit = app.services.pipeline._group_commit
            group_commit._reconnect_timeout = 0.3
            client_partner = replace(partner, http=client)
            yield LossyServer(proxy, client_partner, replace(tool, partner=client_partner))


@pytest.mark.parametrize("count", [1, 3])
async def test_lost_response_of_an_insert_returns_200_and_stores_once(
    lossy: LossyServer, count: int
) -> None:
    sent = [statement(id=new_id()) for _ in range(count)]
    lossy.lose_once(sent[0]["id"].encode())
    answer = await lossy.partner.send(sent)
    assert answer.status_code == 200, answer.text
    assert answer.json() == [item["id"] for item in sent]
    assert lossy.proxy.lost == 1
    assert len(await lossy.partner.all()) == count


async def test_lost_response_of_a_commit_returns_200_and_stores_once(lossy: LossyServer) -> None:
    target = statement(id=new_id())
    reference = {"objectType": "StatementRef", "id": target["id"]}
    sent = [target, statement(id=new_id(), object=reference)]
    lossy.lose_once(b"COMMIT")
    answer = await lossy.partner.xapi(sent)
    assert answer.status_code == 200, answer.text
    assert len(await lossy.partner.all()) == 2


async def test_conflict_is_found_after_a_lost_response(lossy: LossyServer) -> None:
    stored = statement(id=new_id())
    assert (await lossy.partner.send(stored)).status_code == 200
    new, other = statement(id=new_id()), statement(id=stored["id"], result={"response": "x"})
    lossy.lose_once(new["id"].encode())
    answer = await lossy.partner.send([new, other])
    assert [item["status"] for item in answer.json()["results"]] == [200, 409]


async def test_unknown_outcome_is_said_and_a_retry_is_idempotent(lossy: LossyServer) -> None:
    sent = statement(id=new_id())
    lossy.lose_once(sent["id"].encode(), then_refuse=True)
    answer = await lossy.partner.send(sent)
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome-unknown")
    assert "may be stored" in answer.json()["detail"]
    lossy.proxy.refuses = False
    answer = await lossy.partner.send(sent)
    assert answer.json()["code"] == "duplicate"


async def test_unavailable_is_returned_if_nothing_was_stored(lossy: LossyServer) -> None:
    assert (await lossy.partner.send(statement())).status_code == 200  # loads the credential
    lossy.proxy.refuses = True
    await lossy.proxy.close()
    await asyncio.sleep(0.05)  # the pool notices
    answer = await lossy.partner.send(sent := statement(id=new_id()))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    lossy.proxy.refuses = False
    assert (await lossy.partner.send(sent)).status_code == 200


# Callbacks


WITH_ID = {**BODY, "id": "0cf90e39-2a61-4ac4-8a3d-1c6e4c6f4f6a"}
WITH_TAKEN_ID = {**BODY, "id": "7e1f2a50-93f5-4d0b-a35f-2b1f6f6a8f11"}

bodies = pytest.mark.parametrize(
    "body", [BODY, WITH_ID, WITH_TAKEN_ID], ids=["without id", "with id", "with taken id"]
)


async def take_id(lossy: LossyServer) -> None:
    answer = await lossy.partner.send(statement(id=WITH_TAKEN_ID["id"]))
    assert answer.status_code == 200, answer.text


@bodies
async def test_callback_with_a_lost_commit_counts_once(
    lossy: LossyServer, services: Services, body: object
) -> None:
    await take_id(lossy)
    lossy.lose_once(b"COMMIT")
    answer = await lossy.tool.http.send(lossy.tool.signed(json.dumps(body).encode()))
    assert answer.status_code == 200, answer.text
    assert lossy.proxy.lost == 1
    assert (await count_rows(services, lossy.tool))["views"] == 1


@bodies
async def test_retry_of_a_callback_with_unknown_outcome_counts_once(
    lossy: LossyServer, services: Services, body: object
) -> None:
    """The same signed request, accepted once more; then it is a replay."""
    await take_id(lossy)
    request = lossy.tool.signed(json.dumps(body).encode())

    async def send() -> httpx.Response:
        return await lossy.tool.http.send(
            httpx.Request("POST", request.url, headers=request.headers, content=request.content)
        )

    lossy.lose_once(b"COMMIT", then_refuse=True)
    answer = await send()
    assert answer.status_code == 503, answer.text
    assert "may be stored" in answer.text
    lossy.proxy.refuses = False
    assert (await send()).status_code == 200
    assert (await send()).status_code == 401
    counted = await count_rows(services, lossy.tool)
    assert (counted["views"], counted["seconds"], counted["statements"]) == (1, 60, 2)


@pytest.mark.slow
async def test_retry_of_a_callback_that_timed_out_counts_once(
    lossy: LossyServer, services: Services
) -> None:
    """The database hangs at COMMIT for longer than the request may take."""
    request = lossy.tool.signed(json.dumps(BODY).encode())

    async def send() -> httpx.Response:
        return await lossy.tool.http.send(
            httpx.Request("POST", request.url, headers=request.headers, content=request.content)
        )

    def hang(chunk: bytes) -> bool:
        if b"COMMIT" in chunk:
            lossy.proxy.silence()
        return False

    lossy.proxy.lose_response = hang
    answer = await send()
    assert answer.status_code == 503, answer.text
    lossy.proxy.lose_response = lambda _: False
    lossy.proxy.speak()
    assert (await send()).status_code == 200
    assert (await send()).status_code == 401
    assert (await count_rows(services, lossy.tool))["views"] == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
async def test_retry_of_a_refused_callback_with_unknown_outcome_is_refused_alike(
    lossy: LossyServer, content_type: str
) -> None:
    """Nothing is stored of these, but their nonce is consumed."""
    request = lossy.tool.signed(b"{}", content_type=content_type)
    expected = 415 if content_type == "text/plain" else 400

    async def send() -> httpx.Response:
        return await lossy.tool.http.send(
            httpx.Request("POST", request.url, headers=request.headers, content=request.content)
        )

    lossy.lose_once(b"lossy", then_refuse=True)
    assert (await send()).status_code == 503
    lossy.proxy.refuses = False
    assert (await send()).status_code == expected
    assert (await send()).status_code == 401
