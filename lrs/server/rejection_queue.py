"""When those who found no place hear so: in about a tenth of a second, and not long before."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context

from lrs.observability import metrics

_LONGEST = 0.080
"""Seconds from when a request came until it is refused; the rest of a tenth is for what is not
foreseen."""

_SHORTEST = 0.040

# By how much the pause grows again with each alarm, as long as none is late.
_STEP = 0.0003

# What is due within it is told together.
_TICK = 0.002


class Refusals:
    """In the order in which they came. One alarm is for all.

    A loop that has much to do in one round is late with the alarm. So each request that is worked
    on has `tell_due` called in between. And it is as late to read what has come: the later it has
    been lately, the shorter is the pause.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self.pause = _LONGEST
        """Seconds, at present, from when a request is read until it is refused."""
        self._context = Context()

    def soon(self, tell: Callable[[], None]) -> None:
        """Calls `tell` after the pause."""
        self._waiting.append((time.monotonic(), tell))
        self._set_alarm()

    def tell_due(self) -> None:
        """Tells those whose pause is over, in the context of none of them, nor of the caller."""
        since = time.monotonic() - self.pause + _TICK
        if self._waiting and self._waiting[0][0] <= since:
            self._context.run(self._tell, since)

    def _tell(self, since: float) -> None:
        told = 0
        try:
            while self._waiting and self._waiting[0][0] <= since:
                told += 1
                self._waiting.popleft()[1]()
        finally:
            metrics.REFUSED.inc(told)

    def _set_alarm(self) -> None:
        if self._alarm is None and self._waiting:
            now = time.monotonic()
            wait = max(self._waiting[0][0] + self.pause - now, 0.0)
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(wait, self._ring, now + wait)

    def _ring(self, due: float) -> None:
        self._alarm = None
        in_time = _LONGEST - (time.monotonic() - due)
        self.pause = max(min(in_time, self.pause + _STEP), _SHORTEST)
        try:
            self.tell_due()
        finally:
            self._set_alarm()
