"""Rests of partners with heavy work."""

from __future__ import annotations

import asyncio

from lrs.pacing import Pacing
from lrs.threads import FairThread

HEAVY, LIGHT, OTHER = 1, 2, 3


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pacing_at(clock: Clock, *active: int) -> Pacing:
    pacing = Pacing(clock=clock)
    for partner_id in active:
        pacing.seen(partner_id)
    return pacing


def test_only_partner_never_rests() -> None:
    pacing = pacing_at(Clock(), HEAVY)
    pacing.charge(HEAVY, 10)
    assert not pacing.must_rest(HEAVY)


def test_heavy_partner_rests_while_a_lighter_one_is_active() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    pacing.charge(HEAVY, 0.5)
    assert pacing.must_rest(HEAVY)
    assert not pacing.must_rest(LIGHT)
    clock.now += 0.6
    pacing.seen(LIGHT)
    assert not pacing.must_rest(HEAVY)


def test_partner_does_not_rest_for_one_without_requests() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    clock.now += 1.5
    pacing.seen(HEAVY)
    pacing.charge(HEAVY, 10)
    assert not pacing.must_rest(HEAVY)


def test_short_bursts_of_work_need_no_rest() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    for _ in range(20):  # 20 ms of work in 100 ms
        pacing.seen(LIGHT)
        pacing.charge(HEAVY, 0.02)
        assert not pacing.must_rest(HEAVY)
        clock.now += 0.1


def test_partners_with_the_same_work_do_not_rest_for_each_other() -> None:
    pacing = pacing_at(Clock(), HEAVY, OTHER)
    pacing.charge(HEAVY, 0.5)
    pacing.charge(OTHER, 0.5)
    assert not pacing.must_rest(HEAVY)
    assert not pacing.must_rest(OTHER)


def test_several_heavy_partners_rest_longer() -> None:
    """Otherwise three partners, each at work for a third of the time, would leave nothing."""
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, OTHER, LIGHT)
    pacing.charge(OTHER, 1.0)
    pacing.charge(HEAVY, 0.3)
    pacing.charge(HEAVY, 0.3)
    clock.now += 1.3
    pacing.seen(LIGHT)
    assert pacing.must_rest(HEAVY)


def test_rest_is_bounded() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    pacing.charge(HEAVY, 3600)
    clock.now += 2.1
    pacing.seen(LIGHT)
    assert not pacing.must_rest(HEAVY)


def test_partners_without_requests_are_forgotten() -> None:
    """Each charge reads all partners that are kept."""
    clock = Clock()
    pacing = Pacing(clock=clock)
    for partner_id in range(30_000):
        pacing.seen(partner_id)
        clock.now += 0.001
    assert len(pacing._partners) <= 2_001


async def test_thread_of_a_partner_that_has_to_rest_is_free_for_others() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    thread = FairThread(pacing)
    order: list[int] = []
    pacing.charge(HEAVY, 0.5)
    resting = asyncio.create_task(thread.run(HEAVY, order.append, HEAVY))
    await asyncio.sleep(0)
    await thread.run(LIGHT, order.append, LIGHT)
    assert order == [LIGHT]
    clock.now += 10
    await resting
    assert order == [LIGHT, HEAVY]


async def test_turns_of_a_partner_that_has_to_rest_are_one_at_a_time() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    running, highest = 0, 0

    async def work() -> None:
        nonlocal running, highest
        async with pacing.turn(HEAVY, min_seconds=0):
            running += 1
            highest = max(highest, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(work() for _ in range(5)))
    assert highest == 5
    highest = 0
    pacing.charge(HEAVY, 0.5)
    works = [asyncio.create_task(work()) for _ in range(5)]
    await asyncio.sleep(0)
    assert highest == 0
    async with pacing.turn(LIGHT):
        pass
    clock.now += 10
    await asyncio.gather(*works)
    assert highest == 1


async def test_cancelled_turn_frees_the_partner() -> None:
    clock = Clock()
    pacing = pacing_at(clock, HEAVY, LIGHT)
    pacing.charge(HEAVY, 0.5)

    async def work() -> None:
        async with pacing.turn(HEAVY):
            pass

    resting = asyncio.create_task(work())
    await asyncio.sleep(0)
    resting.cancel()
    await asyncio.gather(resting, return_exceptions=True)
    clock.now += 10
    await work()
    assert not pacing.lock(HEAVY).locked()
