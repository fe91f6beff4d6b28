"""Concurrent callbacks: each nonce and each statement counts once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import nonces
from lrs.store.nonces import Nonce
from tests.support.canvas import Tool, body, count_rows, instance, new_tool
from tests.support.partners import Partner
from tests.support.statements import statement


@pytest.fixture
async def tool(services: Services, partner: Partner) -> Tool:
    return await new_tool(services, partner)


@pytest.fixture(scope="module")
async def second(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another server of the same database."""
    async with instance(settings) as http:
        yield http


@pytest.mark.slow
async def test_one_of_twenty_identical_requests_is_accepted(
    services: Services, tool: Tool, second: httpx.AsyncClient
) -> None:
    for _ in range(5):
        before = await count_rows(services, tool)
        request = tool.signed(json.dumps(body("PT1M")).encode())
        copies = [
            httpx.Request("POST", request.url, headers=request.headers, content=request.content)
            for _ in range(20)
        ]
        responses = await asyncio.gather(
            *(
                (second if number % 2 else tool.http).send(item)
                for number, item in enumerate(copies)
            )
        )
        assert Counter(item.status_code for item in responses) == {200: 1, 401: 19}
        after = await count_rows(services, tool)
        for name in ("views", "accesses", "statements", "days", "summed"):
            assert after[name] == before[name] + 1
        assert after["seconds"] == before["seconds"] + 60


async def test_replay_on_another_server_returns_401(tool: Tool, second: httpx.AsyncClient) -> None:
    request = tool.signed(json.dumps(body()).encode())
    assert (await tool.http.send(request)).status_code == 200
    again = httpx.Request("POST", request.url, headers=request.headers, content=request.content)
    response = await second.send(again)
    assert response.status_code == 401
    assert response.json() == {"errors": [{"message": "Duplicate nonce detected"}]}


async def test_concurrent_retries_are_deduplicated(
    services: Services, tool: Tool, second: httpx.AsyncClient
) -> None:
    content = json.dumps(body("PT1M")).encode()
    responses = await asyncio.gather(
        *((second if number % 2 else tool.http).send(tool.signed(content)) for number in range(20))
    )
    assert {response.status_code for response in responses} == {200}
    result = await count_rows(services, tool)
    assert result == {
        "views": 1, "seconds": 60, "summed": 1, "accesses": 1, "days": 1, "statements": 1,
    }  # fmt: skip


async def test_concurrent_callbacks_of_many_learners_are_all_counted(
    services: Services, tool: Tool, second: httpx.AsyncClient
) -> None:
    """Overlapping counters of one course on two servers: no lost update, no deadlock."""
    launched = [await tool.launch(f"user {number}") for number in range(8)]
    requests = [item.signed(json.dumps(body("PT1S")).encode()) for item in launched * 15]
    responses = await asyncio.gather(
        *((second if number % 2 else tool.http).send(item) for number, item in enumerate(requests))
    )
    assert {item.status_code for item in responses} == {200}
    for item in launched:
        result = await count_rows(services, item)
        assert (result["views"], result["seconds"], result["accesses"]) == (15, 15, 15)
    (day,) = (await tool.read("/api/v1/courses/9/analytics/activity")).json()
    assert day["views"] == 120


async def test_callbacks_and_statements_share_a_transaction(services: Services, tool: Tool) -> None:
    """Callbacks and statements of one partner, some refused, in one group commit."""
    replayed = tool.signed(json.dumps(body()).encode(), nonce="used")
    assert (await tool.send(nonce="used")).status_code == 200
    before = await count_rows(services, tool)
    responses = await asyncio.gather(
        *(tool.send() for _ in range(5)),
        tool.http.send(replayed),
        *(tool.partner.send(statement()) for _ in range(5)),
    )
    assert [response.status_code for response in responses] == [200] * 5 + [401] + [200] * 5
    after = await count_rows(services, tool)
    assert after["views"] == before["views"] + 5
    assert after["statements"] == before["statements"] + 10


async def test_callback_is_one_transaction(
    settings: Settings, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[str] = []
    async with instance(settings, max_database_write_connections=1) as http:
        application = http._transport.app  # type: ignore[attr-defined]
        pool = application.services.database.writers
        warm = tool.signed(json.dumps(body()).encode())
        assert (await http.send(warm)).status_code == 200
        async with pool.acquire() as connection:
            plain_connection: asyncpg.Connection = connection._con

        def note(record: Any) -> None:
            recorded.append(record.query)

        plain_connection.add_query_logger(note)
        assert (await http.send(tool.signed(json.dumps(body()).encode()))).status_code == 200
        plain_connection.remove_query_logger(note)
    assert sum(item.startswith("BEGIN") for item in recorded) == 1
    # Background queries of the server may come before or after.
    begin, commit = recorded.index("BEGIN;"), recorded.index("COMMIT;")
    assert commit - begin + 1 == 5  # begin, nonce, statement, effects, commit


async def test_expired_nonces_are_deleted(services: Services, tool: Tool) -> None:
    partner_id = tool.partner.partner_id
    old, new = Nonce.of("player", "old"), Nonce.of("player", "new")
    for item in (old, new):
        assert await nonces.consume_one(services.database, partner_id, item)
        assert not await nonces.consume_one(services.database, partner_id, item)
    await services.database.writers.execute(
        "update callback_nonce set expires_at = now() - interval '1 s'"
        " where partner_id = $1 and nonce = $2",
        partner_id,
        old.hash,
    )
    assert await nonces.delete_expired(services.database) >= 1
    assert await nonces.consume_one(services.database, partner_id, old)
    assert not await nonces.consume_one(services.database, partner_id, new)


async def test_nonce_outlives_the_timestamp_window(services: Services, tool: Tool) -> None:
    assert (await tool.send()).status_code == 200
    left = await services.database.readers.fetchval(
        "select max(expires_at - now()) from callback_nonce where partner_id = $1",
        tool.partner.partner_id,
    )
    assert left.total_seconds() > 91 * 60
