"""Concurrent queries share one query; none joins a query that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lrs.store.batching import BatchLoader, SingleFlight


class Library:
    """Answers each key with itself, once it is released."""

    def __init__(self) -> None:
        self.queries: list[list[int]] = []
        self.open = asyncio.Event()

    async def ask(self, keys: Sequence[int]) -> Sequence[int]:
        self.queries.append(list(keys))
        await self.open.wait()
        if 13 in keys:
            raise LookupError
        return keys


async def started(together: BatchLoader[int, int], *keys: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(together.load(item)) for item in keys]
    for _ in range(5):  # iterations of the event loop: a timer may be due in the first one
        await asyncio.sleep(0)
    return tasks


async def test_keys_requested_during_a_query_share_the_next_query() -> None:
    library = Library()
    together = BatchLoader(library.ask)
    first = await started(together, 1)
    later = await started(together, 2, 1, 3)
    assert library.queries == [[1]]
    library.open.set()
    assert await asyncio.gather(*first, *later) == [1, 2, 1, 3]
    assert library.queries == [[1], [2, 1, 3]]


async def test_failed_query_fails_only_for_its_callers() -> None:
    library = Library()
    together = BatchLoader(library.ask)
    failing = [*await started(together, 1), *await started(together, 2, 13)]
    library.open.set()
    result = await asyncio.gather(*failing, return_exceptions=True)
    assert result[0] == 1
    assert [type(item) for item in result[1:]] == [LookupError, LookupError]
    assert await together.load(3) == 3


async def test_cancelled_caller_cancels_no_other() -> None:
    library = Library()
    together = BatchLoader(library.ask)
    gone, staying = await started(together, 1, 2)
    gone.cancel()
    library.open.set()
    assert await staying == 2
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_query_has_at_most_a_hundred_keys() -> None:
    library = Library()
    library.open.set()
    together = BatchLoader(library.ask)
    assert await asyncio.gather(*map(together.load, range(20, 270))) == list(range(20, 270))
    assert [len(item) for item in library.queries] == [100, 100, 50]


async def test_identical_concurrent_queries_run_once() -> None:
    requested, may_answer = [], asyncio.Event()

    async def ask(question: int) -> int:
        requested.append(question)
        await may_answer.wait()
        return question // (question - 13)

    once = SingleFlight(ask)
    responses = [asyncio.create_task(once.load(item)) for item in (14, 14, 26, 13, 13, 14)]
    await asyncio.sleep(0.001)
    responses.pop().cancel()
    may_answer.set()
    result = await asyncio.gather(*responses, return_exceptions=True)
    assert result[:3] == [14, 14, 2]
    assert [type(item) for item in result[3:]] == [ZeroDivisionError] * 2
    assert requested == [14, 26, 13]
    assert await once.load(14) == 14
    assert requested == [14, 26, 13, 14]
