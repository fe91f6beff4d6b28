"""More load than the server can take: what is accepted, how fast the rest is refused."""

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

from scripts.bench import load
from scripts.bench.filling import fresh_ids
from scripts.bench.load import Request
from scripts.bench.results import Row
from scripts.bench.samples import Samples
from scripts.bench.servers import JSON, Server

# Statements per request -> connections with the best rate.
_BEST = {1: 64, 50: 8}
_CONNECTIONS = 640
_UNFINISHED = 500
_PROBES = 8
_PROBE_INTERVAL = 0.02
_FAST_RESPONSES = 20
_FAST_SECONDS = 0.05
_TIMEOUT = 30.0


def measure(server: Server, seconds: int) -> Iterator[Row | str]:
    for size, best in _BEST.items():
        request = load.posts(server, size)
        baseline = load.run(server, request, connections=best, seconds=seconds).accepted
        with load.peak_memory(server) as memory, _probes(server, request) as latencies:
            overloaded = load.run(server, request, connections=_CONNECTIONS, seconds=2 * seconds)
        recovery = _seconds_until_fast(server)
        rate = overloaded.accepted * size
        yield Row(
            "overload", f"POST {size}, accepted", _CONNECTIONS, rate, baseline * size, overloaded
        )
        yield (
            f"POST {size} at {_CONNECTIONS} connections: {latencies}; peak memory "
            f"{memory.peak:.0f} MB; normal latency {recovery:.1f} s after the load."
        )
    request = load.posts(server, 1)
    baseline = load.run(server, request, connections=_BEST[1], seconds=seconds).rate
    with _unfinished_requests(server):
        measurement = load.run(server, request, connections=_BEST[1], seconds=seconds)
    title = f"POST 1 beside {_UNFINISHED} unfinished requests"
    yield Row("overload", title, _BEST[1], measurement.rate, baseline, measurement)


@dataclass
class Latencies:
    """Milliseconds of accepted and refused requests; `invalid` counts other responses.

    A valid refusal is 429 or 503 with Retry-After.
    """

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    invalid: int = 0

    def __str__(self) -> str:
        return ", ".join(
            (
                f"accepted after {_quantiles(self.accepted)}",
                f"{len(self.refused)} refused after {_quantiles(self.refused)}",
                f"{self.invalid} invalid responses",
            )
        )


def _quantiles(times: Sequence[float]) -> str:
    if not times:
        return "-"
    ordered = sorted(times)
    return f"{ordered[len(times) // 2]:.0f} ms (p99 {ordered[len(times) * 99 // 100]:.0f})"


@contextmanager
def _probes(server: Server, request: Request) -> Iterator[Latencies]:
    """A few clients that send the request with pauses, during the block."""
    latencies, stopped = Latencies(), threading.Event()
    with ExitStack() as stack:
        for seed in range(_PROBES):
            probe = partial(_probe, server, request, latencies, stopped, seed)
            stack.enter_context(_thread(probe))
        stack.callback(stopped.set)
        yield latencies


def _probe(
    server: Server, request: Request, latencies: Latencies, stopped: threading.Event, seed: int
) -> None:
    samples = Samples(time.time_ns() + seed)
    body = request.bodies[seed % len(request.bodies)]
    headers = dict(request.headers)
    with httpx.Client(base_url=server.url, headers=headers, timeout=_TIMEOUT) as client:
        while not stopped.wait(_PROBE_INTERVAL):
            began = time.perf_counter()
            try:
                response = client.post(request.paths[0], content=fresh_ids(body, samples))
            except httpx.HTTPError:
                latencies.invalid += 1
                continue
            milliseconds = (time.perf_counter() - began) * 1000
            if response.is_success:
                latencies.accepted.append(milliseconds)
            elif response.status_code in (429, 503) and "Retry-After" in response.headers:
                latencies.refused.append(milliseconds)
            else:
                latencies.invalid += 1


def _seconds_until_fast(server: Server) -> float:
    """Seconds until a single client gets several fast responses in a row."""
    samples = Samples(time.time_ns())
    began = fast_since = time.perf_counter()
    fast = 0
    with server.client() as client:
        while fast < _FAST_RESPONSES and fast_since - began < _TIMEOUT:
            sent = time.perf_counter()
            response = client.post(server.path, json=samples.statement(), headers=JSON)
            now = time.perf_counter()
            if response.is_success and now - sent < _FAST_SECONDS:
                fast += 1
            else:
                fast, fast_since = 0, now
    return fast_since - began


@contextmanager
def _unfinished_requests(server: Server) -> Iterator[None]:
    """Open connections: half stop in the header fields, half in the body (slow clients).

    Those in the header fields send one more byte per second.
    """
    opened, stopped = threading.Event(), threading.Event()
    with _thread(lambda: asyncio.run(_hold(server, opened, stopped))):
        opened.wait(_TIMEOUT)
        try:
            yield
        finally:
            stopped.set()


async def _hold(server: Server, opened: threading.Event, stopped: threading.Event) -> None:
    address = urlsplit(server.url)
    head = f"POST {server.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
    body = "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n[{"
    writers = []
    for number in range(_UNFINISHED):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write((head + (body if number % 2 else "X-Slow: ")).encode())
        writers.append(writer)
    opened.set()
    while not stopped.is_set():
        await asyncio.sleep(1)
        for writer in writers[::2]:
            with suppress(OSError):
                writer.write(b"x")
    for writer in writers:
        writer.close()


@contextmanager
def _thread(function: Callable[[], None]) -> Iterator[None]:
    """Run a function beside the block and join it at the end."""
    thread = threading.Thread(target=function)
    thread.start()
    try:
        yield
    finally:
        thread.join()
