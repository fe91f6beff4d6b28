"""Recounts of stored bytes while requests are stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import limits
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

QUOTA = 100_000_000
LEASE = QUOTA // 1000


async def post(http: httpx.AsyncClient, partner: Partner) -> None:
    body = [statement(id=new_id(), result={"response": "x" * 2000}) for _ in range(5)]
    answer = await http.post(partner.url("statements"), headers=partner.headers, json=body)
    assert answer.status_code == 200


async def recount(services: Services, partner: Partner) -> int:
    return await limits.recount_stored_bytes(services.database, partner.partner_id)


async def used_bytes(services: Services, partner: Partner) -> int:
    (usage,) = [
        row
        for row in await limits.list_usage(services.database, partner.partner_id)
        if row.resource == "bytes" and not row.subject
    ]
    return usage.used


async def leased_bytes(services: Services, partner: Partner) -> int:
    leased: int = await services.database.readers.fetchval(
        "select coalesce(sum((lease ->> 0)::bigint), 0) from quota_usage, jsonb_each(leases) "
        "as leases (worker, lease) where partner_id = $1 and subject = ''",
        partner.partner_id,
    )
    return leased


@pytest.mark.slow
async def test_recount_keeps_what_workers_have_leased(
    settings: Settings, services: Services, partner: Partner
) -> None:
    limited = replace(settings, max_stored_bytes=QUOTA)
    async with serving(limited) as http, asyncio.timeout(30):
        await post(http, partner)
        # The worker reports what it has stored within a second, and keeps the rest of its lease.
        while await leased_bytes(services, partner) > LEASE:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        stored = await recount(services, partner)
        assert await leased_bytes(services, partner) == LEASE
    assert await leased_bytes(services, partner) == 0
    assert await used_bytes(services, partner) == stored


@pytest.mark.slow
async def test_recount_during_requests_does_not_count_too_little(
    settings: Settings, services: Services, partner: Partner
) -> None:
    limited = replace(settings, max_stored_bytes=QUOTA)
    async with serving(limited) as http, serving(limited) as other:
        posts = [
            asyncio.create_task(post(client, partner))
            for client in (http, other)
            for _ in range(20)
        ]
        while not all(task.done() for task in posts):
            await recount(services, partner)
        await asyncio.gather(*posts)
    counter = await used_bytes(services, partner)
    stored = await recount(services, partner)
    assert counter >= stored
    assert await used_bytes(services, partner) == stored


async def test_recount_ignores_the_lease_of_a_worker_that_has_ended(
    services: Services, partner: Partner
) -> None:
    await recount(services, partner)
    await services.database.readers.execute(
        "update quota_usage set used = used + 5000, leases = jsonb_build_object("
        "'ended', jsonb_build_array(5000, extract(epoch from now())::bigint - 600)) "
        "where partner_id = $1 and subject = '' and resource = 'bytes'",
        partner.partner_id,
    )
    assert await recount(services, partner) == 0
    assert await used_bytes(services, partner) == 0
