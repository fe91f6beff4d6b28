"""People import: round trips, locks and concurrent imports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.errors import Overloaded
from lrs.people import importer, rows
from lrs.projection import partner_lock
from lrs.projection.partner_lock import PartnerLock
from tests.support.partners import Partner, new_partner
from tests.support.people_import import (
    GROUP,
    TEAM,
    Json,
    identifier,
    import_rows,
    membership,
    outcomes,
    post,
    preview,
    user,
)


def many(number: int) -> list[Json]:
    item = range(number)
    return [
        GROUP,
        TEAM,
        *(user(f"emp_{n}", email=f"emp_{n}@example.com") for n in item),
        *(identifier(f"emp_{n}", "track", f"track {n}") for n in item),
        *(membership(f"emp_{n}", "2026-01-01", organization="north") for n in item),
        *(membership(f"emp_{n}", "2026-01-01", team="analytics") for n in item),
    ]


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[tuple[asyncpg.Pool, list[str]]]:
    recorded: list[str] = []

    async def note(connection: Any) -> None:
        connection.add_query_logger(lambda record: recorded.append(record.query))

    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, init=note) as pool:
        yield pool, recorded


async def test_round_trips_do_not_depend_on_row_count(
    counted: tuple[asyncpg.Pool, list[str]], services: Services, http: httpx.AsyncClient
) -> None:
    pool, recorded = counted
    counts = []
    for number in (1, 2, 200):
        partner = await new_partner(services, http)
        recorded.clear()
        plan = await importer.import_rows(
            PartnerLock(pool), partner.partner_id, "http://x", list(rows.read_json(many(number)))
        )
        assert not plan.refused
        counts.append(len(recorded))
    assert counts[1] == counts[2] <= 40


async def test_import_blocked_by_the_projection_returns_503_after_a_timeout(
    services: Services, operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.partner_lock, "timeout_seconds", 0.05)
    async with services.database.readers.acquire() as other, other.transaction():
        await partner_lock.acquire(other, operator.partner_id)
        response = await post(operator, [user("ada")])
        assert response.status_code == 503
        assert response.headers["retry-after"] == "30"
        assert (await preview(operator, user("ada")))[0]["outcome"] == "added"
    assert outcomes(await import_rows(operator, user("ada"))) == ["added"]


async def test_import_blocked_by_another_change_returns_503_after_a_timeout(
    services: Services, operator: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.partner_lock, "timeout_seconds", 0.05)
    async with services.partner_lock.transaction(operator.partner_id):
        response = await post(operator, [user("ada")])
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert response.headers["retry-after"] == "30"
        assert (await preview(operator, user("ada")))[0]["outcome"] == "added"
    assert outcomes(await import_rows(operator, user("ada"))) == ["added"]


async def test_change_of_another_partner_does_not_block_an_import(
    services: Services,
    http: httpx.AsyncClient,
    operator: Partner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await new_partner(services, http, frozenset({scopes.ADMIN}))
    monkeypatch.setattr(services.partner_lock, "timeout_seconds", 0.2)
    async with services.partner_lock.transaction(other.partner_id):
        waiting = [asyncio.create_task(post(other, [user("eve")])) for _ in range(3)]
        assert outcomes(await import_rows(operator, user("ada"))) == ["added"]
        assert [(await response).status_code for response in waiting] == [503] * 3


async def test_imports_leave_connections_of_readers_free(
    services: Services, operator: Partner, stranger: Partner
) -> None:
    """A look-up does not wait for imports, however many partners have one."""
    async with AsyncExitStack() as stack:
        for partner_id in (operator.partner_id, stranger.partner_id, -1, -2):
            await stack.enter_async_context(services.partner_lock.snapshot(partner_id))
        readers = services.database.readers
        async with asyncio.timeout(10):  # background tasks use one for a moment
            while readers.get_idle_size() < readers.get_size():  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        assert (await operator.get()).status_code == 200


async def test_transactions_beyond_the_bound_return_503(
    services: Services, http: httpx.AsyncClient
) -> None:
    lock = PartnerLock(services.database.readers, max_transactions=1, timeout_seconds=0.02)
    first, second = [await new_partner(services, http) for _ in "12"]
    async with lock.transaction(first.partner_id):
        with pytest.raises(Overloaded, match="Too many imports") as refused:
            async with lock.transaction(second.partner_id):
                pass
    assert refused.value.headers == {"Retry-After": "30"}


async def test_partner_with_many_imports_lets_others_pass(
    services: Services, http: httpx.AsyncClient
) -> None:
    """With one transaction at a time, the other partner is second, not last."""
    lock = PartnerLock(services.database.readers, max_transactions=1)
    busy, other = [await new_partner(services, http) for _ in "12"]
    order: list[str] = []

    async def change(partner: Partner, name: str) -> None:
        async with lock.transaction(partner.partner_id):
            order.append(name)
            await asyncio.sleep(0.01)

    changes = [change(busy, "busy") for _ in range(5)]
    await asyncio.gather(*changes, change(other, "other"))
    assert order == ["busy", "other", *["busy"] * 4]


async def test_concurrent_imports_are_deduplicated(operator: Partner) -> None:
    responses = await asyncio.gather(*(post(operator, many(5)) for _ in range(4)))
    assert [response.status_code for response in responses] == [200] * 4
    added = sorted(response.json()["summary"].get("added", 0) for response in responses)
    assert added == [0, 0, 0, 22]
