"""Rejected requests that wait for their 503 response.

The response is delayed by about a tenth of a second: a client that ignores Retry-After and retries
at once would otherwise take the processor from the requests that were accepted.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context

from lrs.observability import metrics

MAX_DELAY_SECONDS = 0.080
MIN_DELAY_SECONDS = 0.040

# The delay grows back by this much with each timer that fires in time.
_DELAY_STEP_SECONDS = 0.0003

# Responses that are due within this time are sent together.
_TIMER_RESOLUTION_SECONDS = 0.002


class RejectionQueue:
    """A first-in, first-out queue of rejections with one timer for all.

    A busy event loop runs the timer late. So `flush` is also called at the start and end of each
    accepted request. A late loop also reads requests late: the delay is then shortened by the
    lateness, so that a client waits a tenth of a second in total.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._context = Context()
        self.delay = MAX_DELAY_SECONDS
        """Seconds between a request and its rejection; adapted to the lateness of the loop."""

    def add(self, reject: Callable[[], None]) -> None:
        """Call `reject` after the delay."""
        self._waiting.append((time.monotonic(), reject))
        self._start_timer()

    def flush(self) -> None:
        """Send the rejections that are due, in a context of their own: not in the caller's."""
        added_before = time.monotonic() - self.delay + _TIMER_RESOLUTION_SECONDS
        if self._waiting and self._waiting[0][0] <= added_before:
            self._context.run(self._reject, added_before)

    def _reject(self, added_before: float) -> None:
        count = 0
        try:
            while self._waiting and self._waiting[0][0] <= added_before:
                count += 1
                self._waiting.popleft()[1]()
        finally:
            metrics.SHED_REQUESTS.inc(count)

    def _start_timer(self) -> None:
        if self._timer is None and self._waiting:
            now = time.monotonic()
            wait = max(self._waiting[0][0] + self.delay - now, 0.0)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait, self._on_timer, now + wait)

    def _on_timer(self, due: float) -> None:
        self._timer = None
        lateness = time.monotonic() - due
        longest = MAX_DELAY_SECONDS - lateness
        self.delay = max(min(longest, self.delay + _DELAY_STEP_SECONDS), MIN_DELAY_SECONDS)
        try:
            self.flush()
        finally:
            self._start_timer()
