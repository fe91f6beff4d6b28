"""The text of `/metrics`: rendered in a thread, at most once a second, summed over workers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from prometheus_client import REGISTRY as LOCAL
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

CACHE_SECONDS = 1.0


class Exposition:
    """The metrics as text, cached. `update_gauges` runs before each rendering.

    Rendering takes longer than 50 ms with many partners. Concurrent requests share one rendering.
    """

    def __init__(
        self,
        update_gauges: Callable[[], Awaitable[None]],
        *,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self._update_gauges = update_gauges
        self._cache_seconds = cache_seconds
        self._lock = asyncio.Lock()
        self._text = b""
        self._expires_at = 0.0

    async def text(self) -> bytes:
        async with self._lock:
            if time.monotonic() >= self._expires_at:
                await self._update_gauges()
                self._text = await asyncio.to_thread(render)
                self._expires_at = time.monotonic() + self._cache_seconds
            return self._text


def render() -> bytes:
    """The metrics of this process, or of all workers if there are several."""
    return generate_latest(_registry())


def _registry() -> CollectorRegistry:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return LOCAL
    _remove_dead_workers(directory)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _remove_dead_workers(directory: str) -> None:
    """Remove the gauges of killed workers, which would be part of every sum from then on."""
    for path in Path(directory).glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            with suppress(FileNotFoundError):  # removed by another worker
                multiprocess.mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]
