"""Where the time of a request goes: told in `Server-Timing` where a setting asks for it.

Where it does not, a stage costs one look at a context variable.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

STAGES = ("auth", "parse", "validate", "queue", "database", "render")
"""`render` is all that comes after the last of the others."""


class Spent:
    """Seconds by stage. What happens inside a stage counts for that one, whatever it is."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._stage: str | None = None
        self._last = time.perf_counter()

    def begin(self, stage: str) -> bool:
        if self._stage is None:
            self._stage, self._last = stage, time.perf_counter()
            return True
        return False

    def end(self) -> None:
        if self._stage is not None:
            self.add(self._stage, time.perf_counter() - self._last)
            self._stage = None

    def add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
        self._last = time.perf_counter()

    def header(self) -> str:
        """The value of Server-Timing (W3C): milliseconds, in the order of the stages."""
        self.add("render", time.perf_counter() - self._last)
        told = ((stage, self._seconds.get(stage)) for stage in STAGES)
        return ", ".join(f"{stage};dur={1000 * s:.3f}" for stage, s in told if s is not None)


spent: ContextVar[Spent | None] = ContextVar("spent", default=None)
"""That of the request under way, if it is measured."""

_NOTHING = nullcontext()


class _Stage:
    def __init__(self, here: Spent, name: str) -> None:
        self._here = here
        self._name = name
        self._counts = False

    def __enter__(self) -> None:
        self._counts = self._here.begin(self._name)

    def __exit__(self, *_: object) -> None:
        if self._counts:
            self._here.end()


def stage(name: str) -> AbstractContextManager[None]:
    """What happens within counts for this stage."""
    here = spent.get()
    return _NOTHING if here is None else _Stage(here, name)
