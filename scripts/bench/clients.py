"""Clients that wrk cannot play: some that only watch what a crowd gets, some that never finish."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import httpx

from scripts.bench.load import Request
from scripts.bench.samples import Samples
from scripts.bench.servers import JSON, Target

_WATCHERS = 8
_PAUSE = 0.02
_CALM_ANSWERS = 20
_CALM_SECONDS = 0.05
_PATIENCE = 30


@dataclass
class Watched:
    """What watchers got: milliseconds of each answer, and how many were no proper answers."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    improper: int = 0

    @property
    def share_improper(self) -> float:
        """Of requests neither accepted nor refused with 503 or 429 and Retry-After."""
        return self.improper / max(len(self.accepted) + len(self.refused) + self.improper, 1)


def percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] if times else 0.0


@contextmanager
def watchers(target: Target, request: Request) -> Iterator[Watched]:
    """A few clients that send the same request now and then, and note what becomes of it."""
    found, ended = Watched(), threading.Event()
    with ExitStack() as stack:
        for seed in range(_WATCHERS):
            watch = partial(_watch, target, request, found, ended, seed)
            stack.enter_context(_thread(watch))
        stack.callback(ended.set)
        yield found


def _watch(
    target: Target, request: Request, found: Watched, ended: threading.Event, seed: int
) -> None:
    samples = Samples(time.time_ns() + seed)
    body = request.bodies[seed % len(request.bodies)]
    with httpx.Client(base_url=target.base, headers=dict(request.headers), timeout=30) as client:
        while not ended.wait(_PAUSE):
            began = time.perf_counter()
            try:
                answer = client.post(request.paths[0], content=_filled(body, samples))
            except httpx.HTTPError:
                found.improper += 1
                continue
            took = (time.perf_counter() - began) * 1000
            if answer.is_success:
                found.accepted.append(took)
            elif answer.status_code in (429, 503) and "Retry-After" in answer.headers:
                found.refused.append(took)
            else:
                found.improper += 1


def _filled(body: bytes, samples: Samples) -> bytes:
    first, *others = body.split(b"@ID@")
    return first + b"".join(samples.fresh_id().encode() + each for each in others)


def seconds_until_calm(target: Target) -> float:
    """How long it takes from now until a lone client is served as if nothing had been."""
    samples = Samples(time.time_ns())
    began = calm_since = time.perf_counter()
    calm = 0
    with target.client() as client:
        while calm < _CALM_ANSWERS and calm_since - began < _PATIENCE:
            sent = time.perf_counter()
            answer = client.post(target.statements, json=samples.statement(), headers=JSON)
            now = time.perf_counter()
            if answer.is_success and now - sent < _CALM_SECONDS:
                calm += 1
            else:
                calm, calm_since = 0, now
    return calm_since - began


@contextmanager
def unfinished(target: Target, count: int) -> Iterator[None]:
    """Connections that stay open without finishing: half stop in the head, half in the body.

    Those in the head go on with a byte each second.
    """
    opened, ended = threading.Event(), threading.Event()
    with _thread(lambda: asyncio.run(_dawdle(target, count, opened, ended))):
        opened.wait(_PATIENCE)
        try:
            yield
        finally:
            ended.set()


async def _dawdle(
    target: Target, count: int, opened: threading.Event, ended: threading.Event
) -> None:
    place = urlsplit(target.base)
    head = f"POST {target.statements} HTTP/1.1\r\nHost: {place.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    body = "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n[{"
    writers = []
    for number in range(count):
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write((head + (body if number % 2 else "X-Slow: ")).encode())
        writers.append(writer)
    opened.set()
    while not ended.is_set():
        await asyncio.sleep(1)
        for writer in writers[::2]:
            with suppress(OSError):
                writer.write(b"x")
    for writer in writers:
        writer.close()


@contextmanager
def _thread(work: Callable[[], None]) -> Iterator[None]:
    """Work beside the block; its end is waited for."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
