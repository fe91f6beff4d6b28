"""usage: python -m scripts.bench [options]

Starts its own server and database in a temporary directory, measures what the machine allows and
what the server does in the same run, prints a table and writes it as JSON, with plots beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import psutil

from scripts.bench import limits, load
from scripts.bench.load import Measured, Request
from scripts.bench.samples import VERBS, Samples

LRS = [sys.executable, "-c", "from lrs.cli import main; main()"]
JSON = {"Content-Type": "application/json"}
VERSION = {"X-Experience-API-Version": "1.0.3"}


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure; without a DSN it is somebody else's."""

    base: str
    statements: str
    headers: dict[str, str]
    dsn: str = ""
    server: tuple[int, ...] = ()
    database: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `limit` is the rate that the machine allows, in the same unit."""

    name: str
    unit: str
    connections: int
    rate: float
    limit: float | None
    measured: Measured

    @property
    def ratio(self) -> float | None:
        return self.rate / self.limit if self.limit else None


def main() -> int:
    options = _options()
    if not load.available():
        raise SystemExit("The load generator wrk is needed; on Debian: apt-get install wrk.")
    with tempfile.TemporaryDirectory(prefix="lrs-bench-") as folder:
        if options.endpoint:
            rows = _outside(options)
        else:
            with _serving(Path(folder), options.workers) as target:
                rows = _measure(target, Path(folder), options)
    _report(rows, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each measurement")
    parser.add_argument(
        "--workers", type=int, default=1, help="of the server, and of bare Starlette"
    )
    parser.add_argument("--stored", type=int, default=100_000, help="statements before reading")
    parser.add_argument("--output", type=Path, default=Path("bench"), help="folder for the result")
    parser.add_argument("--endpoint", help="xAPI endpoint of another LRS, to measure that one")
    parser.add_argument("--authorization", default="", help="its Authorization header")
    return parser.parse_args()


# The server


@contextmanager
def _serving(folder: Path, workers: int) -> Iterator[Target]:
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LRS_")},
        "LRS_DATA_DIRECTORY": str(folder / "lrs"),
        "LRS_PORT": str(port),
        "LRS_WORKERS": str(workers),
        "LRS_LOG_LEVEL": "warning",
        "PYTHONPATH": str(limits.ROOT),
    }
    base = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*LRS, "serve"], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            limits.await_answer(f"{base}/readyz")
            key, secret = _credential(environment)
            token = httpx.post(
                f"{base}/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(key, secret),
            ).json()["access_token"]
            postmaster = (folder / "lrs/postgres/postmaster.pid").read_text().splitlines()
            yield Target(
                base,
                "/v1/partners/demo/statements",
                {"Authorization": f"Bearer {token}", **VERSION},
                f"postgresql://lrs@/lrs?host={postmaster[4]}&port=5432",
                (server.pid,),
                (int(postmaster[0]),),
            )
        finally:
            server.terminate()
            server.wait(90)


def _credential(environment: dict[str, str]) -> tuple[str, str]:
    command = [*LRS, "credential", "add", "demo", "--label", "Bench"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^(key|secret)\s+(\S+)$", shown.stdout, re.MULTILINE))
    return found["key"], found["secret"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What is measured


def _measure(target: Target, folder: Path, options: argparse.Namespace) -> list[Row]:
    rows = [
        *_singles(target, folder, options),
        *_batches(target, options),
    ]
    _fill(target, options.stored)
    return [*rows, *_reads(target, folder, options)]


def _singles(target: Target, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    bodies = _bodies(1, 200)
    answer = b'["eb8dcb8d-9d65-452e-88a0-86bf626e9599"]'
    post = Request("POST", (target.statements,), {**target.headers, **JSON}, bodies)
    commit = asyncio.run(limits.commit_p50(target.dsn, options.seconds / 2))
    for connections in (1, 16, 64):
        with limits.bare(folder, _free_port(), answer, options.workers) as (base, pid):
            bare = load.measure(
                base, post, connections=connections, seconds=options.seconds, server=(pid,)
            )
        yield Row("bare Starlette, POST", "requests", connections, bare.rate, None, bare)
        ours = _load(target, post, connections, options)
        yield Row("POST one statement", "requests", connections, ours.rate, bare.rate, ours)
        if connections == 1:
            print(
                f"bare commit p50 {commit:.2f} ms, POST p50 {ours.p50:.2f} ms: "
                f"{ours.p50 / commit:.2f} times"
            )


def _batches(target: Target, options: argparse.Namespace) -> Iterator[Row]:
    samples = Samples(2)
    rows = limits.prepared([samples.statement() for _ in range(40_000)], 1)
    for size in (50, 500):
        copy = asyncio.run(limits.copy_rate(target.dsn, rows, size, 4))
        bodies = _bodies(size, 10)
        for face, path in (("partner", target.statements), ("xapi", "/xapi/statements")):
            post = Request("POST", (path,), {**target.headers, **JSON}, bodies)
            ours = _load(target, post, 4, options)
            yield Row(
                f"POST {size} statements, {face}", "statements", 4, ours.rate * size, copy, ours
            )


def _reads(target: Target, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    samples = Samples(3)
    agent = httpx.QueryParams({"agent": json.dumps({"mbox": f"mailto:{samples.learner()}"})})
    course = "http://datacamp.com/course/0"
    client = httpx.Client(base_url=target.base, headers=target.headers, timeout=60)
    first = client.get(target.statements, params={"limit": 100}).json()["statements"]
    asked = {
        "GET one by statementId": [f"statementId={each['id']}" for each in first],
        "GET 100, unfiltered": ["limit=100"],
        "GET 100 by agent": [f"limit=100&{agent}"],
        "GET 100 by verb": [f"limit=100&{httpx.QueryParams({'verb': VERBS['completed']})}"],
        "GET 100 by activity": [f"limit=100&{httpx.QueryParams({'activity': course})}"],
        "GET 100 by related_activities": [
            f"limit=100&related_activities=true&{httpx.QueryParams({'activity': course})}"
        ],
    }
    for name, queries in asked.items():
        paths = [f"{target.statements}?{query}" for query in queries]
        answer = client.get(paths[0]).content
        request = Request("GET", paths, target.headers)
        with limits.bare(folder, _free_port(), answer, options.workers) as (base, pid):
            bare = load.measure(
                base, Request(), connections=16, seconds=options.seconds, server=(pid,)
            )
        ours = _load(target, request, 16, options)
        yield Row(f"{name} ({len(answer):,} bytes)", "requests", 16, ours.rate, bare.rate, ours)


def _outside(options: argparse.Namespace) -> list[Row]:
    """Another LRS by its standard interface: the same loads, without the limits."""
    headers = {**VERSION, "Authorization": options.authorization}
    target = Target(options.endpoint.rstrip("/"), "/statements", headers)
    rows = []
    for size, connections in ((1, 1), (1, 64), (50, 4)):
        post = Request("POST", (target.statements,), {**headers, **JSON}, _bodies(size, 50))
        ours = _load(target, post, connections, options)
        rows.append(Row(f"POST {size}", "statements", connections, ours.rate * size, None, ours))
    get = Request("GET", (f"{target.statements}?limit=100",), headers)
    ours = _load(target, get, 16, options)
    return [*rows, Row("GET 100, unfiltered", "requests", 16, ours.rate, None, ours)]


def _load(
    target: Target, request: Request, connections: int, options: argparse.Namespace
) -> Measured:
    return load.measure(
        target.base,
        request,
        connections=connections,
        seconds=options.seconds,
        server=target.server,
        database=target.database,
    )


def _bodies(size: int, count: int) -> list[bytes]:
    """Bodies of statements that come with fresh ids each time."""
    samples = Samples(size)
    made = []
    for _ in range(count):
        statements = [{**samples.statement(with_id=False), "id": "@ID@"} for _ in range(size)]
        made.append(orjson.dumps(statements if size > 1 else statements[0]))
    return made


def _fill(target: Target, wanted: int) -> None:
    """Statements until the store holds as many as wanted."""
    samples = Samples(4)

    async def stored() -> int:
        connection = await asyncpg.connect(target.dsn)
        try:
            return int(await connection.fetchval("select count(*) from statement"))
        finally:
            await connection.close()

    missing = wanted - asyncio.run(stored())
    with httpx.Client(base_url=target.base, headers=target.headers, timeout=120) as client:
        while missing > 0:
            batch = [samples.statement() for _ in range(min(1000, missing))]
            client.post(target.statements, json=batch).raise_for_status()
            missing -= len(batch)
    print(f"{asyncio.run(stored()):,} statements stored")


# The result


def _report(rows: Sequence[Row], options: argparse.Namespace) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    print(
        f"{'':48}{'conn':>5}{'per s':>10}{'of limit':>10}{'p50':>8}{'p90':>8}{'p99':>8}"
        f"{'server':>8}{'db':>6}{'load':>6}"
    )
    for row in rows:
        found = row.measured
        ratio = f"{row.ratio:.0%}" if row.ratio else "-"
        print(
            f"{row.name:48}{row.connections:>5}{row.rate:>10,.0f}{ratio:>10}"
            f"{found.p50:>8.2f}{found.p90:>8.2f}{found.p99:>8.2f}"
            f"{found.server_cpu:>8.2f}{found.database_cpu:>6.2f}{found.generator_cpu:>6.2f}"
            + (
                f"  refused {found.refused}, broken {found.broken}"
                if found.refused or found.broken
                else ""
            )
        )
    result: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": psutil.cpu_count(),
            "python": platform.python_version(),
        },
        "workers": options.workers,
        "stored": options.stored,
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
    }
    path = options.output / "result.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
