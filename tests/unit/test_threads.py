"""The order of work in the thread of a worker."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lrs.threads import FairThread


async def test_partners_take_turns() -> None:
    thread, order = FairThread(), []

    def work(name: str) -> None:
        time.sleep(0.001)
        order.append(name)

    jobs = [(1, "a"), (1, "b"), (1, "c"), (2, "x"), (2, "y")]
    await asyncio.gather(*(thread.run(partner, work, name) for partner, name in jobs))
    assert order == ["a", "x", "b", "y", "c"]


async def test_functions_run_one_at_a_time_outside_the_event_loop() -> None:
    thread, running, highest = FairThread(), 0, 0

    def work() -> threading.Thread:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        time.sleep(0.002)
        running -= 1
        return threading.current_thread()

    threads = await asyncio.gather(*(thread.run(number, work) for number in range(5)))
    assert highest == 1
    assert threading.main_thread() not in threads


async def test_error_of_a_function_is_raised() -> None:
    thread = FairThread()
    with pytest.raises(ZeroDivisionError):
        await thread.run(1, lambda: 1 // 0)
    assert await thread.run(1, lambda: 1) == 1
