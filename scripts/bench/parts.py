"""The measurements. A part yields its rows, and notes as strings."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import httpx
import orjson

from scripts.bench import filling, load, overload, pipes, scale, servers
from scripts.bench.load import Measurement, Request
from scripts.bench.results import Row
from scripts.bench.samples import BUSY_COURSE, BUSY_LEARNER, RARE_COURSE, VERBS
from scripts.bench.servers import Server
from scripts.fairness import measure
from scripts.fairness import partners as fairness_partners
from scripts.fairness.attacks import ATTACKS

Parameters = Mapping[str, str]

_AGENT = {"agent": orjson.dumps(BUSY_LEARNER).decode()}
_VERB = {"verb": VERBS["completed"]}
_ACTIVITY = {"activity": BUSY_COURSE}

QUERIES: Mapping[str, Parameters] = {
    "unfiltered": {},
    "by agent": _AGENT,
    "by activity": _ACTIVITY,
    "by related_activities": {**_ACTIVITY, "related_activities": "true"},
    "by agent and verb": {**_AGENT, **_VERB},
    "by agent, verb and rare activity": {**_AGENT, **_VERB, "activity": RARE_COURSE},
}

_MOST_READ = 100_000
_PAGES = 15
_LATE_PAGE = 1000
_ROUNDS = 3
_LAG_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Bench:
    """`seconds` is the duration of a load, `stored` the size of the large store.

    `attacks`, of `attack_seconds` each, are those of the part fairness.
    """

    folder: Path
    seconds: int
    workers: int
    stored: int
    external: Server | None = None
    attacks: Sequence[str] = tuple(ATTACKS)
    attack_seconds: int = 120

    @contextmanager
    def server(self, name: str, workers: int = 0, **settings: str) -> Iterator[Server]:
        """A new server on an empty database, or the external one."""
        if self.external:
            yield self.external
            return
        with servers.lrs(self.folder / name, workers or self.workers, **settings) as server:
            yield server

    def run(self, server: Server, request: Request, connections: int) -> Measurement:
        return load.run(server, request, connections=connections, seconds=self.seconds)

    def starlette(self, body: bytes, request: Request, connections: int) -> Measurement:
        """The same request to bare Starlette that responds with `body`."""
        with servers.starlette(self.folder, body, self.workers) as server:
            return self.run(server, request, connections)


def singles(bench: Bench) -> Iterator[Row | str]:
    """POST of one statement; baseline: bare Starlette."""
    body = b'["eb8dcb8d-9d65-452e-88a0-86bf626e9599"]'
    with bench.server("singles") as server:
        request = load.posts(server, 1)
        load.run(server, request, connections=16, seconds=1)  # warm up
        for connections in (1, 16, 64, 256):
            baseline = bench.starlette(body, request, connections)
            measurement = bench.run(server, request, connections)
            yield Row(
                "singles", "POST 1", connections, measurement.rate, baseline.rate, measurement
            )


def batches(bench: Bench) -> Iterator[Row | str]:
    """POST of several statements to both APIs; baseline: COPY of such rows by PostgreSQL."""
    connections = 4
    with bench.server("batches") as server:
        bench.run(server, load.posts(server, 500), connections)  # rows to copy
        for size in (50, 500):
            baseline = filling.copy_rate(server.dsn, size, connections) if server.dsn else None
            paths = (
                {server.path: ""}
                if bench.external
                else {server.path: "", "/xapi/statements": " xAPI"}
            )
            for path, api in paths.items():
                measurement = bench.run(server, load.posts(server, size, path), connections)
                rate = measurement.rate * size
                yield Row("batches", f"POST {size}{api}", connections, rate, baseline, measurement)


def reads(bench: Bench) -> Iterator[Row | str]:
    """GET of one statement and of pages of 100; baseline: bare Starlette with the same body."""
    connections = 16
    with bench.server("reads") as server, server.client() as client:
        if not bench.external:
            filling.fill(server, min(_MOST_READ, bench.stored))
        for name, paths in {"by id": ids(server), **pages(server)}.items():
            body = client.get(paths[0]).raise_for_status().content
            request = Request("GET", paths, server.headers)
            baseline = bench.starlette(body, request, connections)
            measurement = bench.run(server, request, connections)
            title = f"GET {name} ({len(body):,} bytes)"
            yield Row("reads", title, connections, measurement.rate, baseline.rate, measurement)


def reports(bench: Bench) -> Iterator[Row | str]:
    """POST of 50 with the projector; baseline: without. Rounds alternate; their median counts."""
    connections, size = 4, 50
    without, with_projector, lags, delays = [], [], [], []
    with (
        bench.server("reports-off") as plain,
        bench.server("reports-on", LRS_PROJECTION_ENABLED="true") as projecting,
    ):
        for _ in range(_ROUNDS):
            without.append(bench.run(plain, load.posts(plain, size), connections))
            with_projector.append(bench.run(projecting, load.posts(projecting, size), connections))
            lags.append(projecting.metric("lrs_projection_lag_seconds"))
            delays.append(_seconds_until_projected(projecting))
    baseline = median(measurement.rate for measurement in without) * size
    measurement = sorted(with_projector, key=lambda run: run.rate)[_ROUNDS // 2]
    title = f"POST {size} with projector"
    yield Row("reports", title, connections, measurement.rate * size, baseline, measurement)
    yield (
        f"Reports lag {max(lags):.1f} s at most at the end of a load of {bench.seconds} s, and are "
        f"complete {max(delays):.1f} s later at most."
    )


def _seconds_until_projected(server: Server) -> float:
    began = time.monotonic()
    while server.metric("lrs_projection_lag_seconds"):
        if time.monotonic() - began > _LAG_TIMEOUT:
            break
        time.sleep(0.05)
    return time.monotonic() - began


def workers(bench: Bench) -> Iterator[Row | str]:
    """POST of one statement with two workers; baseline: one worker."""
    connections = 64
    with bench.server("one", 1) as one, bench.server("two", 2) as two:
        for server in (one, two):
            load.run(server, load.posts(server, 1), connections=16, seconds=1)  # warm up
        baseline = bench.run(one, load.posts(one, 1), connections)
        measurement = bench.run(two, load.posts(two, 1), connections)
        title = "POST 1, 2 workers"
        yield Row("workers", title, connections, measurement.rate, baseline.rate, measurement)


def stored(bench: Bench) -> Iterator[Row | str]:
    """The queries at 1 connection, and ingest; baseline: a store of a tenth of the size."""
    with bench.server("small") as small, bench.server("large") as large:
        filling.fill(small, bench.stored // 10)
        filling.fill(large, bench.stored)
        size = filling.bytes_per_statement(large)
        yield f"{bench.stored:,} statements use {size:,.0f} bytes on disk each."
        queries = [
            {"by id": ids(server), **pages(server), **late_page(server)}
            for server in (small, large)
        ]
        for name, paths in queries[0].items():
            baseline = bench.run(small, Request("GET", paths, small.headers), 1)
            measurement = bench.run(large, Request("GET", queries[1][name], large.headers), 1)
            yield Row("stored", f"GET {name}", 1, measurement.rate, baseline.rate, measurement)
        baseline = bench.run(small, load.posts(small, 50), 4)
        measurement = bench.run(large, load.posts(large, 50), 4)
        yield Row("stored", "POST 50", 4, measurement.rate * 50, baseline.rate * 50, measurement)


def overloaded(bench: Bench) -> Iterator[Row | str]:
    """More connections than concurrent requests are allowed; baseline: fewer connections."""
    with bench.server("overload", LRS_MAX_CONCURRENT_REQUESTS="320") as server:
        yield from overload.measure(server, bench.seconds)


def scaled(bench: Bench) -> Iterator[Row | str]:
    """Rebuild, reports, exports and pages on a large store of one partner."""
    with bench.server("scale") as server:
        yield from scale.measure(server, bench.folder, bench.stored)


def piped(bench: Bench) -> Iterator[Row | str]:
    """Pipes that pull from and forward to the server itself; baseline: POST of the same size."""
    with bench.server("pipes", LRS_PIPES_ENABLED="true") as server:
        yield from pipes.measure(server, bench.seconds)


def fairness(bench: Bench) -> Iterator[Row | str]:
    """The latency of one partner's requests while others attack the server."""

    @contextmanager
    def open_server(attack: str) -> Iterator[measure.Opponents]:
        address = f"127.0.0.1:{servers.free_port()}"
        settings = {"LRS_REPORTS_ADDRESS": address, "LRS_PROJECTION_ENABLED": "true"}
        with servers.lrs(bench.folder / attack, bench.workers, **settings) as server:
            run = partial(servers.run_command, server)
            client, target = fairness_partners.add(run, server.url)
            yield measure.Opponents(client, target, server.process_id)
        shutil.rmtree(bench.folder / attack)

    yield measure.HEAD
    results = measure.measure(open_server, bench.attacks, bench.attack_seconds)
    yield from (result.line() for result in results)


PARTS: Mapping[str, Callable[[Bench], Iterator[Row | str]]] = {
    "singles": singles,
    "batches": batches,
    "reads": reads,
    "overload": overloaded,
    "workers": workers,
    "reports": reports,
    "stored": stored,
    "scale": scaled,
    "pipes": piped,
    "fairness": fairness,
}
DEFAULT = tuple(name for name in PARTS if name not in ("scale", "fairness"))
"""The parts without a name on the command line: the others can take an hour."""
EXTERNAL = ("singles", "batches", "reads")
"""The parts that can measure another LRS."""


# Paths


def ids(server: Server) -> list[str]:
    """Paths of single statements."""
    with server.client() as client:
        page = client.get(server.path, params={"limit": 100}).raise_for_status().json()
    return [f"{server.path}?statementId={statement['id']}" for statement in page["statements"]]


def pages(server: Server) -> dict[str, Sequence[str]]:
    """Paths of the first pages of 100, by query. With one path, single flight would merge reads."""
    with server.client() as client:
        return {
            f"100 {name}": list(islice(_follow(client, server, parameters, 100), _PAGES))
            for name, parameters in QUERIES.items()
        }


def late_page(server: Server) -> dict[str, Sequence[str]]:
    """The path of a page far from the start."""
    with server.client() as client:
        paths = list(islice(_follow(client, server, {}, 15), _LATE_PAGE))
        return {"a late page of 15": paths[-1:]}


def _follow(
    client: httpx.Client, server: Server, parameters: Parameters, limit: int
) -> Iterator[str]:
    """The paths of the pages of a list, by its `more` links."""
    path = f"{server.path}?{urlencode({'limit': limit, **parameters})}"
    while path:
        yield path
        path = client.get(path).raise_for_status().json().get("more", "")
