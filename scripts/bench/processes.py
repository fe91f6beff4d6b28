"""What processes use: CPU and memory of each with its children."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

_PAUSE = 0.1


def machine_seconds() -> float:
    """Seconds of CPU that the whole machine has used."""
    times = psutil.cpu_times()
    return float(times.user + times.system)


def cpu_seconds(root: int | None, *, without: int | None = None) -> float:
    """Seconds of CPU that a process and its children have used, also those that have ended."""
    total = 0.0
    for process in _family(root, without):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def megabytes(root: int | None, *, without: int | None = None) -> float:
    """Memory that a process and its children hold."""
    total = 0.0
    for process in _family(root, without):
        with suppress(psutil.Error):
            total += process.memory_info().rss / 1e6
    return total


@dataclass
class Peak:
    megabytes: float = 0.0


@contextmanager
def watching(root: int | None, *, without: int | None = None) -> Iterator[Peak]:
    """The most memory that was seen from here to the end of the block."""
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(_PAUSE):
            peak.megabytes = max(peak.megabytes, megabytes(root, without=without))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _family(root: int | None, without: int | None) -> set[psutil.Process]:
    if root is None:
        return set()
    try:
        process = psutil.Process(root)
        return {process, *process.children(recursive=True)} - _family(without, None)
    except psutil.Error:
        return set()
