"""Slots for concurrent requests, leased by several workers."""

from __future__ import annotations

from collections.abc import Callable

from lrs.errors import Unavailable
from lrs.limits.model import PARTNER, Limits, Subject
from lrs.limits.shared_slots import LEASE_SECONDS, SharedSlots
from tests.support.limits import Clock

KEY = (1, PARTNER)


class Slots:
    """The table concurrency_limit of a database, in memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.leases: dict[str, tuple[int, float]] = {}
        self.queries = 0
        self.is_available = True

    async def take(
        self, _partner_id: int, _subject: str, worker: str, limit: int, wanted: int, seconds: float
    ) -> int:
        self.queries += 1
        if not self.is_available:
            raise Unavailable("The database does not answer.")
        now = self.clock()
        others = sum(
            slots for name, (slots, end) in self.leases.items() if name != worker and end >= now
        )
        amount = max(min(wanted, limit - others), 0)
        self.leases[worker] = (amount, now + seconds)
        return amount


class Worker:
    """A worker that starts and ends requests of one partner."""

    def __init__(self, slots: Slots, limit: int) -> None:
        self.running: dict[tuple[int, str], int] = {}
        self.slots = SharedSlots(slots.take, self.running, clock=slots.clock)
        self.subject = Subject(1, PARTNER, Limits(shared_concurrent_requests=limit))

    async def start(self) -> bool:
        running = self.running[KEY] = self.running.get(KEY, 0) + 1
        if await self.slots.has_slot(self.subject, running):
            return True
        self.end()
        return False

    def end(self) -> None:
        self.running[KEY] -= 1


async def test_workers_together_start_no_more_than_the_limit() -> None:
    slots = Slots(Clock())
    workers = [Worker(slots, 4) for _ in range(3)]
    assert [await workers[index % 3].start() for index in range(6)] == [True] * 4 + [False] * 2


async def test_ended_requests_make_room_on_other_workers() -> None:
    clock = Clock()
    slots = Slots(clock)
    first, second = Worker(slots, 2), Worker(slots, 2)
    assert [await first.start(), await first.start(), await second.start()] == [True, True, False]
    first.end()
    first.end()
    for _ in range(2):
        clock.now += 1
        await first.slots.return_idle_slots()
    assert [await second.start(), await second.start()] == [True, True]


async def test_requests_that_follow_each_other_need_no_query_each() -> None:
    clock = Clock()
    slots = Slots(clock)
    worker = Worker(slots, 100)
    for _ in range(500):
        clock.now += 0.001
        assert await worker.start()
        worker.end()
    assert slots.queries == 1


async def test_refused_requests_need_no_query_each() -> None:
    slots = Slots(Clock())
    worker = Worker(slots, 2)
    results = [await worker.start() for _ in range(50)]
    assert results.count(True) == 2
    assert slots.queries <= 3


async def test_slots_of_a_worker_that_ended_expire() -> None:
    clock = Clock()
    slots = Slots(clock)
    ended, other = Worker(slots, 1), Worker(slots, 1)
    assert await ended.start()
    assert not await other.start()
    clock.now += LEASE_SECONDS + 0.1
    assert await other.start()


async def test_long_requests_keep_their_slots() -> None:
    clock = Clock()
    slots = Slots(clock)
    busy, other = Worker(slots, 1), Worker(slots, 1)
    assert await busy.start()
    for _ in range(30):
        clock.now += 1
        await busy.slots.return_idle_slots()
        assert not await other.start()


async def test_worker_applies_the_limit_by_itself_without_a_database() -> None:
    slots = Slots(Clock())
    slots.is_available = False
    worker = Worker(slots, 2)
    assert [await worker.start() for _ in range(3)] == [True, True, False]
