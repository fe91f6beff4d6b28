"""Rate limits in the database: the same arithmetic as in Python, shared by workers."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from lrs.api.services import Services
from lrs.limits import gcra
from lrs.limits.model import Rate
from lrs.limits.rate_limiter import LEASE_SECONDS, RateLimiter
from lrs.store import limits
from lrs.store.limits import TokenRequest
from tests.support.limits import is_admitted, partner_subject
from tests.support.partners import Partner


async def test_query_grants_what_the_arithmetic_grants(
    services: Services, partner: Partner
) -> None:
    """With a window of a day, in which no token comes back during the test."""
    rate, arrival = Rate(100, 86_400), 0.0
    steps = [(0, 30), (30, 10), (40, -15), (5, 80), (0, 100), (0, 1), (90, -90), (100, 50), (0, -5)]
    for kept, wanted in steps:
        request = TokenRequest("", rate.quota, rate.window_seconds, kept, wanted)
        grants = await limits.take_tokens(services.database, partner.partner_id, [request])
        expected = gcra.take(rate, arrival, 1.0e6, kept, wanted)
        arrival = expected.arrival
        grant = grants[""]
        assert (grant.tokens, grant.remaining) == (expected.tokens, expected.remaining)
        assert grant.retry_after == pytest.approx(expected.retry_after, abs=5)


async def test_time_in_the_future_costs_at_most_one_window(
    services: Services, partner: Partner
) -> None:
    """As a clock leaves behind that steps back."""
    request = TokenRequest("", 10, 60, 0, 1)
    await limits.take_tokens(services.database, partner.partner_id, [request])
    await services.database.readers.execute(
        "update rate_limit set arrival = arrival + 86400 where partner_id = $1", partner.partner_id
    )
    grants = await limits.take_tokens(services.database, partner.partner_id, [request])
    assert grants[""].tokens == 0
    assert grants[""].retry_after <= 6


@pytest.mark.slow
async def test_two_workers_exceed_the_rate_by_at_most_one_lease(
    services: Services, partner: Partner
) -> None:
    take_tokens = partial(limits.take_tokens, services.database)
    workers = [RateLimiter(take_tokens) for _ in range(2)]
    rate = Rate(50, 1)
    subject = partner_subject(rate, partner.partner_id)
    began = time.monotonic()
    results: list[bool] = []

    async def send(worker: RateLimiter) -> None:
        while time.monotonic() < began + 1.5:
            results.append(await is_admitted(worker, subject))
            await asyncio.sleep(0.001)

    await asyncio.gather(*(send(worker) for worker in workers for _ in range(3)))
    seconds = time.monotonic() - began
    most = rate.quota + seconds * rate.per_second
    assert most * 0.85 <= results.count(True) <= most + rate.per_second * LEASE_SECONDS


async def test_concurrent_updates_of_several_subjects_grant_each_token_once(
    services: Services, partner: Partner
) -> None:
    async def take(names: list[str]) -> int:
        requests = [TokenRequest(name, 50, 3600, 0, 1) for name in names]
        grants = await limits.take_tokens(services.database, partner.partner_id, requests)
        return sum(grant.tokens for grant in grants.values())

    both = ["", "key"]
    await take(both)
    counts = await asyncio.gather(*(take(both[:: (-1) ** number]) for number in range(70)))
    assert sum(counts) == 98


async def test_new_subject_takes_no_token_of_others_twice(
    services: Services, partner: Partner
) -> None:
    database, partner_id = services.database, partner.partner_id
    requests = [TokenRequest(name, 10, 3600, 0, 1) for name in ("", "key")]
    await limits.take_tokens(database, partner_id, requests[:1])
    grants = await limits.take_tokens(database, partner_id, requests)
    assert {name: grant.remaining for name, grant in grants.items()} == {"": 8, "key": 9}


async def test_slots_are_leased_once(services: Services, partner: Partner) -> None:
    async def take(worker: str, wanted: int, seconds: float = 10.0) -> int:
        return await limits.take_slots(
            services.database, partner.partner_id, "", worker, 10, wanted, seconds
        )

    assert await take("a", 6) == 6
    assert await take("b", 6) == 4
    assert await take("a", 8) == 6
    assert await take("a", 1) == 1
    assert await take("b", 20) == 9
    assert await take("b", 2, 0.01) == 2
    await asyncio.sleep(0.02)
    assert await take("a", 20) == 10
    counts = await asyncio.gather(*(take(f"worker {number}", 3) for number in range(8)))
    assert counts == [0] * 8
    assert await take("a", 0) == 0
    counts = await asyncio.gather(*(take(f"worker {number}", 3) for number in range(8)))
    assert sum(counts) == 10
