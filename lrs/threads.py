"""Work that may take more than some milliseconds, outside the event loop and fair to partners."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from lrs.pacing import Pacing

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class FairThread:
    """Runs functions in a thread, one at a time; one instance per worker.

    A partner has at most one function in the queue, so that partners take turns. More threads would
    share one interpreter lock, and the event loop with them. Its time is charged to its partner.
    """

    def __init__(self, pacing: Pacing | None = None) -> None:
        self._pacing = pacing or Pacing()
        self._turn = asyncio.Lock()
        self._partners: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(
        self,
        partner_id: int,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """The result of the function, called in a thread. Raises what it raises."""
        async with self._partners[partner_id]:
            await self._pacing.rest(partner_id)
            async with self._turn:
                began = time.perf_counter()
                try:
                    return await asyncio.to_thread(function, *args, **kwargs)
                finally:
                    self._pacing.charge(partner_id, time.perf_counter() - began)


async def run_in_own_loop(function: Callable[[], Awaitable[Result]]) -> Result:
    """The result of a coroutine function that runs in a thread, with an event loop of its own.

    So it may wait for other servers and read what they send without holding up requests. It is
    cancelled with the caller. Raises what it raises.
    """
    cancel: list[Callable[[], object]] = []

    async def run() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has a task
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await function()

    try:
        return await asyncio.to_thread(lambda: asyncio.run(run()))
    except asyncio.CancelledError:
        with suppress(RuntimeError):  # it has ended meanwhile
            for stop in cancel:
                stop()
        raise
