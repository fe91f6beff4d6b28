"""The time limit of a request: a database that hangs delays no response beyond it.

A request may wait for the database several times, in turn: for a connection, for a query that it
shares with other requests, in the queue of statements. The timeout of a query bounds each of these
waits, and the time limit bounds their sum. The time in which the client sends its body does not
count.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import cast

from starlette.types import Scope

from lrs.errors import OutcomeUnknown, Unavailable

_KEY = "time_limit"
_CHECK_INTERVAL_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class TimeLimit:
    """The limit of one handler; `deadline` is a time of time.monotonic."""

    task: asyncio.Task[object]
    seconds: float
    deadline: float
    is_exceeded: bool = False


class TimeLimits:
    """The limits of all running handlers. One timer checks them twice a second.

    A timer for each request, as of asyncio.timeout, costs several times as much.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: set[TimeLimit] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, scope: Scope) -> TimeLimit:
        """Limit the current task, until `end`: then it is cancelled, and `is_exceeded` is set."""
        # Of a known loop: to find the running one takes a system call in Python 3.11.
        task = asyncio.current_task(self._loop) if self._loop else None
        is_checked = task is not None
        if task is None:
            task = cast("asyncio.Task[object]", asyncio.current_task())
        limit = TimeLimit(task, self._seconds, time.monotonic() + self._seconds)
        scope[_KEY] = limit
        self._running.add(limit)
        if not is_checked:
            self._check()
        return limit

    def end(self, limit: TimeLimit) -> None:
        self._running.discard(limit)

    def _check(self) -> None:
        """Cancel the handlers beyond their limits; the timer ends when none is running."""
        now = time.monotonic()
        for limit in self._running:
            if limit.deadline <= now and not limit.is_exceeded:
                limit.is_exceeded = True
                limit.task.cancel()
        self._loop = asyncio.get_running_loop() if self._running else None
        if self._loop is not None:
            self._loop.call_later(_CHECK_INTERVAL_SECONDS, self._check)


def suspend(scope: Scope) -> None:
    """Stop the clock: for the rest of the body, or for work that may take long."""
    if limit := scope.get(_KEY):
        limit.deadline = math.inf


def restart(scope: Scope) -> None:
    """Start the clock again, from zero."""
    if limit := scope.get(_KEY):
        limit.deadline = time.monotonic() + limit.seconds


def exceeded(scope: Scope, cause: BaseException) -> Unavailable:
    """The error of a request whose handler was cancelled."""
    headers = {"Retry-After": "1"}
    error = Unavailable("The database does not answer.", headers=headers)
    if scope["method"] not in ("GET", "HEAD"):
        error = OutcomeUnknown(
            "The database does not answer: the request may have taken effect.", headers=headers
        )
    error.__cause__ = cause
    return error
