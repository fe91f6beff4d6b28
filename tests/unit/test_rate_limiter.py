"""Leases of tokens by several workers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrs.errors import TooManyRequests
from lrs.limits.model import Limits, Rate, Subject
from lrs.limits.rate_limiter import LEASE_SECONDS
from tests.support.limits import Clock, SharedRates, is_admitted, partner_subject


@settings(max_examples=50)
@given(
    st.integers(1, 200),
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(0, 0.7), st.integers(0, 5), st.integers(0, 40)), max_size=20),
)
def test_workers_exceed_the_rate_by_at_most_one_lease(
    per_second: int, workers: int, steps: list[tuple[float, int, int]]
) -> None:
    """In each window that begins with a request, not only from the start."""
    clock = Clock()
    shared = SharedRates(clock)
    limiters = [shared.worker() for _ in range(workers)]
    subject = partner_subject(Rate(per_second, 1))
    admitted: list[float] = []

    async def send() -> None:
        for pause, worker, count in steps:
            clock.now += pause
            for _ in range(count):
                if await is_admitted(limiters[worker % workers], subject):
                    admitted.append(clock.now)
                await asyncio.sleep(0)

    asyncio.run(send())
    lease = max(1, per_second * LEASE_SECONDS)
    for index, began in enumerate(admitted):
        for count, at in enumerate(admitted[index:], start=1):
            assert count <= per_second + (at - began) * per_second + lease + 1


async def test_full_rate_is_available_under_overload() -> None:
    clock = Clock()
    limiter = SharedRates(clock).worker()
    subject = partner_subject(Rate(100, 1))
    admitted = 0
    for _ in range(1000):
        clock.now += 0.01
        admitted += sum([await is_admitted(limiter, subject) for _ in range(3)])
    assert 1080 <= admitted <= 1150


async def test_requests_of_a_busy_worker_need_no_query_each() -> None:
    clock = Clock()
    shared = SharedRates(clock)
    limiter = shared.worker()
    subject = partner_subject(Rate(1000, 1))
    for _ in range(2000):
        clock.now += 0.002
        assert await is_admitted(limiter, subject)
        await asyncio.sleep(0)
    assert shared.queries < 40


async def test_refused_requests_need_no_query_each() -> None:
    clock = Clock()
    shared = SharedRates(clock)
    limiter = shared.worker()
    subject = partner_subject(Rate(1, 1))
    assert [await is_admitted(limiter, subject) for _ in range(100)].count(True) == 1
    assert shared.queries <= 2


async def test_rate_of_few_requests_is_exact_on_several_workers() -> None:
    clock = Clock()
    shared = SharedRates(clock)
    limiters = [shared.worker() for _ in range(4)]
    subject = partner_subject(Rate(3, 60))
    assert [await is_admitted(limiter, subject) for limiter in limiters] == [True] * 3 + [False]
    clock.now += 20
    assert [await is_admitted(limiter, subject) for limiter in limiters].count(True) == 1


async def test_evenly_spread_demand_below_the_rate_is_admitted_by_all_workers() -> None:
    clock = Clock()
    shared = SharedRates(clock)
    limiters = [shared.worker() for _ in range(8)]
    subject = partner_subject(Rate(100, 1))
    for index in range(800):
        clock.now += 1 / 80
        assert await is_admitted(limiters[index % 8], subject)
        await asyncio.sleep(0)


async def test_tokens_of_an_idle_worker_are_returned() -> None:
    clock = Clock()
    shared = SharedRates(clock)
    idle, busy = shared.worker(), shared.worker()
    rate = Rate(100, 10)
    subject = partner_subject(rate)
    for _ in range(20):
        assert await is_admitted(idle, subject)
        await asyncio.sleep(0)
    assert idle.leases([subject])[0].tokens > 0
    clock.now += LEASE_SECONDS + 0.01
    await idle.return_idle_tokens()
    assert idle.leases([subject])[0].tokens == 0
    admitted = [await is_admitted(busy, subject) for _ in range(100)].count(True)
    assert 80 <= admitted <= 87


async def test_credential_token_is_not_lost_if_the_partner_is_over_its_rate() -> None:
    clock = Clock()
    limiter = SharedRates(clock).worker()
    partner = partner_subject(Rate(2, 60))
    credential = Subject(1, "key", Limits(Rate(3, 60)))
    both = [await is_admitted(limiter, partner, credential) for _ in range(5)]
    assert both == [True, True, False, False, False]
    assert await is_admitted(limiter, credential)
    assert not await is_admitted(limiter, credential)


async def test_other_partner_is_not_limited() -> None:
    limiter = SharedRates(Clock()).worker()
    subjects = [partner_subject(Rate(1, 60), partner_id) for partner_id in (1, 2)]
    for subject in subjects:
        assert [await is_admitted(limiter, subject) for _ in "12"] == [True, False]


async def test_changed_rate_applies_to_the_next_request() -> None:
    clock = Clock()
    limiter = SharedRates(clock).worker()
    assert await is_admitted(limiter, partner_subject(Rate(1, 60)))
    assert not await is_admitted(limiter, partner_subject(Rate(1, 60)))
    clock.now += 1
    assert not await is_admitted(limiter, partner_subject(Rate(1, 60)))
    assert await is_admitted(limiter, partner_subject(Rate(100, 60)))


async def test_worker_applies_the_rate_by_itself_without_a_database() -> None:
    clock = Clock()
    shared = SharedRates(clock)
    shared.is_available = False
    limiter = shared.worker()
    subject = partner_subject(Rate(5, 60))
    assert [await is_admitted(limiter, subject) for _ in range(7)] == [True] * 5 + [False] * 2
    assert shared.queries == 1
    shared.is_available = True
    clock.now += 13
    assert await is_admitted(limiter, subject)
    assert shared.queries == 2


async def test_refusal_says_when_to_retry() -> None:
    limiter = SharedRates(Clock()).worker()
    leases = limiter.leases([partner_subject(Rate(1, 20))])
    await limiter.charge(1, leases)
    with pytest.raises(TooManyRequests, match="partner is 1/20 seconds; retry in 20 s") as refused:
        await limiter.charge(1, leases)
    assert refused.value.headers == {"Retry-After": "20"}


async def test_idle_subjects_are_forgotten() -> None:
    clock = Clock()
    limiter = SharedRates(clock).worker()
    leases = limiter.leases([partner_subject(Rate(1, 20), number) for number in range(5)])
    clock.now += 61
    await limiter.return_idle_tokens()
    assert limiter.leases([partner_subject(Rate(1, 20))])[0] not in leases
