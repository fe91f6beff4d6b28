"""Runs attacks against a server, and compares the victim with its quiet time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from scripts.fairness import victim
from scripts.fairness.attacks import Target
from scripts.fairness.victim import Client, Report

MAX_P99_SECONDS = 0.250
MAX_P99_RATIO = 5.0
MAX_RSS_MB = 600.0
MAX_STALL_SECONDS = 0.100

_ROOT = Path(__file__).resolve().parent.parent.parent
_START_SECONDS = 1.0
_SAMPLE_INTERVAL = 0.1

HEAD = (
    f"{'attack':22}{'requests':>9}{'failed':>8}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}"
    f"{'x quiet':>9}"
    f"{'stall ms':>10}{'RSS MB':>8}{'not ready':>11}  limits"
)


@dataclass(frozen=True, slots=True)
class Result:
    """The victim during an attack, and the peak memory of the largest process of the server.

    `has_ended` is whether the attack ended before the victim: then its figures say nothing.
    """

    attack: str
    report: Report
    rss_mb: float
    quiet_p99: float
    has_ended: bool = False

    @property
    def p99_ratio(self) -> float:
        return self.report.p99 / self.quiet_p99 if self.quiet_p99 else 0.0

    def exceeded(self) -> list[str]:
        """The names of the limits that are exceeded."""
        exceeded = {
            "attack ended": self.has_ended,
            "failures": self.report.failures > 0,
            "p99": self.report.p99 > MAX_P99_SECONDS,
            "ratio": self.p99_ratio > MAX_P99_RATIO,
            "stall": self.report.stall > MAX_STALL_SECONDS,
            "RSS": self.rss_mb > MAX_RSS_MB,
        }
        return [name for name, is_exceeded in exceeded.items() if is_exceeded]

    def line(self) -> str:
        report = self.report
        ratio = f"{self.p99_ratio:.1f}" if self.attack != "none" else ""
        verdict = ", ".join(self.exceeded()) or "met"
        return (
            f"{self.attack:22}{len(report.latencies):>9}{report.failures:>8}"
            f"{1000 * victim.quantile(report.latencies, 0.5):>8.1f}{1000 * report.p99:>8.1f}"
            f"{1000 * max(report.latencies):>8.0f}{ratio:>9}{1000 * report.stall:>10.0f}"
            f"{self.rss_mb:>8.0f}{report.unready:>11}  {verdict}"
        )


@dataclass(frozen=True, slots=True)
class Opponents:
    """A server by its process id, with the victim and the attacker on it."""

    client: Client
    target: Target
    pid: int


def measure(
    open_server: Callable[[str], AbstractContextManager[Opponents]],
    attacks: Iterable[str],
    seconds: float,
) -> Iterator[Result]:
    """The victim in quiet time, named "none", and during each attack, each on a new server."""
    with open_server("none") as opponents, peak_memory(opponents.pid) as memory:
        report = asyncio.run(victim.run(opponents.client, seconds))
    quiet_p99 = report.p99
    yield Result("none", report, memory.peak_mb, quiet_p99)
    for name in attacks:
        with (
            open_server(name) as opponents,
            peak_memory(opponents.pid) as memory,
            running(name, opponents.target) as process,
        ):
            report = asyncio.run(victim.run(opponents.client, seconds))
            has_ended = process.poll() is not None
        yield Result(name, report, memory.peak_mb, quiet_p99, has_ended)


@contextmanager
def running(attack: str, target: Target) -> Iterator[subprocess.Popen[bytes]]:
    """An attack in its own process, begun about a second ago."""
    command = [sys.executable, "-m", "scripts.fairness.attacks", attack]
    with tempfile.TemporaryFile() as description:
        description.write(json.dumps(asdict(target)).encode())
        description.seek(0)
        with subprocess.Popen(command, stdin=description, cwd=_ROOT) as process:
            try:
                time.sleep(_START_SECONDS)
                yield process
            finally:
                process.kill()


@dataclass(slots=True)
class Memory:
    peak_mb: float = 0.0


@contextmanager
def peak_memory(pid: int) -> Iterator[Memory]:
    """The peak of the resident memory of the largest Python process below `pid`, in MB."""
    memory, done = Memory(), threading.Event()

    def sample() -> None:
        while not done.wait(_SAMPLE_INTERVAL):
            memory.peak_mb = max(memory.peak_mb, *_resident_mb(pid))

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield memory
    finally:
        done.set()
        sampling.join()


def _resident_mb(pid: int) -> list[float]:
    sizes = [0.0]
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        try:
            if not process.name().startswith("postgres"):
                sizes.append(process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            continue
    return sizes
