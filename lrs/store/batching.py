"""Batching and deduplication of concurrent reads.

Both classes run their query in an empty context (`contextvars.Context`), because it serves several
requests. Every caller records its wait under the stage `database` of Server-Timing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

from lrs.observability.server_timing import stage

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MAX_BATCH = 100


class BatchLoader(Generic[Key, Value]):
    """Merges concurrent loads into one query per batch of at most 100 keys.

    `fetch` takes the keys of a batch and returns one value per key, in the same order. One batch
    runs at a time; keys that arrive meanwhile form the next batch. A key never joins a running
    batch, because the snapshot of that query may be older than the call.
    """

    def __init__(self, fetch: Callable[[Sequence[Key]], Awaitable[Sequence[Value]]]) -> None:
        self._fetch = fetch
        self._pending: list[tuple[Key, asyncio.Future[Value]]] = []
        self._task: asyncio.Task[None] | None = None

    async def load(self, key: Key) -> Value:
        """The value of `key`. Raises what `fetch` raises for the batch."""
        if self._task is None:
            self._loop = asyncio.get_running_loop()  # a system call in Python 3.11
            self._task = self._loop.create_task(self._run(), context=Context())
        future: asyncio.Future[Value] = self._loop.create_future()
        self._pending.append((key, future))
        with stage("database"):
            return await future

    async def _run(self) -> None:
        while self._pending:
            # Two iterations of the event loop: in the first, callers of the last batch send their
            # responses; in the second, their next requests arrive. Without them, batches of one key
            # and of all other keys alternate.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            batch, self._pending = self._pending[:_MAX_BATCH], self._pending[_MAX_BATCH:]
            try:
                values = await self._fetch([key for key, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), value in zip(batch, values, strict=True):
                    if not future.done():
                        future.set_result(value)
        self._task = None


class SingleFlight(Generic[Key, Value]):
    """Runs one query for concurrent loads of the same key.

    A running query does not see rows committed after it began. A key must therefore contain the
    time as of which its value is valid.
    """

    def __init__(self, fetch: Callable[[Key], Coroutine[Any, Any, Value]]) -> None:
        self._fetch = fetch
        self._running: dict[Key, asyncio.Task[Value]] = {}

    async def load(self, key: Key) -> Value:
        """The value of `key`. Raises what `fetch` raises."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key), context=Context())
            task.add_done_callback(lambda _: self._running.pop(key))
            self._running[key] = task
        with stage("database"):
            return await asyncio.shield(task)
