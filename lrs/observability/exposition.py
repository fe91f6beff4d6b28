"""The text of `/metrics`: rendered in a thread, at most once a second, summed over workers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from prometheus_client import REGISTRY as LOCAL
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.samples import Sample

CACHE_SECONDS = 1.0

_MERGED = "0"
"""In place of a process id, in the names of the files with the counters of dead workers."""


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
    with _registry() as registry:
        return generate_latest(registry)


def samples(families: Collection[str]) -> list[Sample]:
    """The samples of some metrics, as `render`; a counter is named without `_total`."""
    with _registry() as registry:
        return [
            sample
            for family in registry.collect()
            if family.name in families
            for sample in family.samples
        ]


@contextmanager
def _registry() -> Iterator[CollectorRegistry]:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        yield LOCAL
        return
    with _locked(Path(directory)):
        _merge_dead_workers(directory)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        yield registry


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One worker at a time reads the files: no other one counts a file that is being merged."""
    with (directory / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _merge_dead_workers(directory: str) -> None:
    """Merge the counters of workers that ended into one file per type, and remove their gauges.

    Gauges would be part of every sum from then on; each file of counters costs milliseconds.
    """
    for path in Path(directory).glob("*.db"):
        kind, _, pid = path.stem.rpartition("_")
        if pid == _MERGED or psutil.pid_exists(int(pid)):
            continue
        if kind.startswith("gauge"):
            multiprocess.mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]
            continue
        merged = MmapedDict(str(path.with_name(f"{kind}_{_MERGED}.db")))  # type: ignore[no-untyped-call]
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            total = merged.read_value(key)[0] + value  # type: ignore[no-untyped-call]
            merged.write_value(key, total, 0.0)  # type: ignore[no-untyped-call]
        merged.close()  # type: ignore[no-untyped-call]
        path.unlink()
