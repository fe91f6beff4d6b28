"""The duration of each stage of a request, for the `Server-Timing` header.

Without the setting `server_timing`, a stage only reads a context variable.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

STAGES = ("auth", "parse", "validate", "queue", "database", "render")
"""In the order of the header; `render` is the time after the last other stage."""


class StageTimes:
    """Seconds by stage of one request. A stage inside another one counts for the outer one."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._stage: str | None = None
        self._last = time.perf_counter()

    def begin(self, stage: str) -> bool:
        """False inside another stage."""
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
        durations = ((stage, self._seconds.get(stage)) for stage in STAGES)
        return ", ".join(f"{stage};dur={1000 * s:.3f}" for stage, s in durations if s is not None)


stage_times: ContextVar[StageTimes | None] = ContextVar("stage_times", default=None)
"""The stage times of the current request; None without the setting `server_timing`."""

_DISABLED = nullcontext()


class _Stage:
    def __init__(self, times: StageTimes, name: str) -> None:
        self._times = times
        self._name = name
        self._is_outermost = False

    def __enter__(self) -> None:
        self._is_outermost = self._times.begin(self._name)

    def __exit__(self, *_: object) -> None:
        if self._is_outermost:
            self._times.end()


def stage(name: str) -> AbstractContextManager[None]:
    """Measure the block as this stage."""
    times = stage_times.get()
    return _DISABLED if times is None else _Stage(times, name)
