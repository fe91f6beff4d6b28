"""Work that may take more than some milliseconds, outside the event loop and fair to partners."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class FairThread:
    """Runs functions in a thread, one at a time; one instance per worker.

    A partner has at most one function in the queue, so that partners take turns. More threads would
    share one interpreter lock, and the event loop with them.
    """

    def __init__(self) -> None:
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
        async with self._partners[partner_id], self._turn:
            return await asyncio.to_thread(function, *args, **kwargs)
