"""Reports, exports and pages on a store of many statements."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from math import inf
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import orjson

from lrs.projection import rebuild
from lrs.projection.vocabulary import load_vocabulary
from lrs.server import garbage_collection
from lrs.store.postgres import open_projector_database
from scripts.bench import filling, load, scale_rows, scale_samples, servers
from scripts.bench.servers import PARTNER, ROOT, Server

_FORMATS = ("csv", "ndjson", "parquet")
_QUERY = ROOT.joinpath("tests/fixtures/data-model-query.sql").read_text()
_STATEMENTS_PER_LEARNER = 200
_ROUNDS = 3
_COUNT_TIMEOUT = 3600.0
_COUNT_RECORDS = "select count(*) from learner_record"
_IS_COUNTING = """
    select exists (
        select from statement left join intake_position using (partner_id)
        where statement.sequence > coalesce(intake_position.position, 0)
    )
"""
_OPERATOR = "bench@example.com"
_PASSWORD = "correct horse battery"  # noqa: S105  of a server that ends with the script


def measure(server: Server, folder: Path, count: int) -> Iterator[str]:
    """One line per result; the store has `count` statements of the demo partner."""
    learners = max(1000, count // _STATEMENTS_PER_LEARNER)
    partner_id = yield from _fill(server, count, learners)
    yield from _rebuild(server, partner_id, count)
    yield from _import_people(server, folder, learners)
    filling.execute(server.superuser_dsn, "vacuum (analyze)", "checkpoint")
    yield from _query(server)
    yield from _export(server, folder)
    yield from _pages(server)


def _fill(server: Server, count: int, learners: int) -> Generator[str, None, int]:
    """Returns the id of the partner."""
    began = time.monotonic()
    (first,) = scale_samples.items(range(1), count, learners)
    with server.client() as client:
        (statement_id,) = client.post(server.path, json=first.value).raise_for_status().json()
    sender = asyncio.run(scale_rows.read_sender(server.dsn, statement_id, PARTNER))
    scale_rows.fill(server.dsn, sender, range(1, count), count, learners)
    filling.execute(server.superuser_dsn, "vacuum (analyze)", "checkpoint")
    size = filling.bytes_per_statement(server)
    yield f"{_rate('filling', time.monotonic() - began, count)}, {size:,.0f} bytes each on disk"
    began = time.monotonic()
    _wait_until_counted(server)
    yield f"arrivals are counted after {time.monotonic() - began:.1f} s"
    return sender.context.partner_id


def _wait_until_counted(server: Server) -> None:
    """The server counts arrivals in the background, which would disturb what is measured."""
    began = time.monotonic()
    while asyncio.run(_fetch(server.dsn, _IS_COUNTING)):
        if time.monotonic() - began > _COUNT_TIMEOUT:
            raise SystemExit("The server has not counted the statements.")
        time.sleep(1)


def _rebuild(server: Server, partner_id: int, count: int) -> Iterator[str]:
    garbage_collection.tune_gc()
    for name in ("rebuild", "rebuild without changes"):
        phases: dict[str, float] = {}
        began = time.monotonic()
        asyncio.run(_rebuild_once(server, partner_id, phases))
        seconds = time.monotonic() - began
        parts = ", ".join(
            f"{phase} after {moment - began:.1f} s" for phase, moment in phases.items()
        )
        yield f"{_rate(name, seconds, count)}: {parts}"


async def _rebuild_once(server: Server, partner_id: int, phases: dict[str, float]) -> None:
    def report(phase: str, done: int, total: int) -> None:
        phases[phase] = time.monotonic()

    async with open_projector_database(server.dsn) as database:
        await rebuild.rebuild_partner(database, partner_id, load_vocabulary(), report)


def _import_people(server: Server, folder: Path, learners: int) -> Iterator[str]:
    path = folder / "people.json"
    path.write_bytes(orjson.dumps(scale_samples.people(learners)))
    for name in ("import of people", "import of people without changes"):
        began = time.monotonic()
        servers.run_command(server, "people", "import", PARTNER, str(path))
        yield _rate(name, time.monotonic() - began, 3 * learners, "rows")


def _query(server: Server) -> Iterator[str]:
    granted = servers.run_command(server, "reports", "grant", PARTNER)
    (dsn,) = re.findall(r"^url +(\S+)$", granted, re.MULTILINE)
    durations = asyncio.run(_query_durations(dsn))
    yield (f"the vendor's query: {durations[0]:.2f} s at first, then {median(durations[1:]):.2f} s")


async def _query_durations(dsn: str) -> list[float]:
    """As the reporting role."""
    connection = await asyncpg.connect(dsn)
    durations = []
    try:
        for _ in range(1 + _ROUNDS):
            began = time.monotonic()
            await connection.fetch(_QUERY)
            durations.append(time.monotonic() - began)
    finally:
        await connection.close()
    return durations


def _export(server: Server, folder: Path) -> Iterator[str]:
    count = asyncio.run(_fetch(server.dsn, _COUNT_RECORDS))
    for format_ in _FORMATS:
        out = folder / f"export-{format_}"
        command = ["export", PARTNER, str(out), "--table", "learner_record", "--format", format_]
        began = time.monotonic()
        peak = _peak_of_command(server, command)
        rate = _rate(f"lrs export, {format_}", time.monotonic() - began, count, "records")
        yield f"{rate}, {peak:.0f} MB of memory"
    for path in ("reports/learner_record", "records"):
        for format_ in _FORMATS:
            began = time.monotonic()
            with load.peak_memory(server) as memory:
                _download(server, f"/v1/partners/{PARTNER}/{path}.{format_}")
            rate = _rate(f"{path}.{format_}", time.monotonic() - began, count, "records")
            yield f"{rate}, {memory.peak:.0f} MB of memory of the server"


def _download(server: Server, path: str) -> None:
    """Without compression of the transfer, as by `curl`."""
    headers = {"Accept-Encoding": "identity"}
    with (
        httpx.Client(
            base_url=server.url, headers={**server.headers, **headers}, timeout=600
        ) as client,
        client.stream("GET", path) as response,
    ):
        response.raise_for_status()
        for _ in response.iter_raw():
            pass


def _peak_of_command(server: Server, arguments: Sequence[str]) -> float:
    """Runs a command; its peak resident memory in megabytes."""
    process = subprocess.Popen(
        [*servers.LRS, *arguments], env=server.environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed.")
    return usage.ru_maxrss / 1000


def _pages(server: Server) -> Iterator[str]:
    """The median time of each page, slowest first."""
    with closing(_operator(server)) as client:
        timed = [(_seconds_of(client, path), path) for path in _paths(client)]
    for seconds, path in sorted(timed, reverse=True):
        yield f"GET {path}: {1000 * seconds:,.0f} ms"


def _operator(server: Server) -> httpx.Client:
    """A browser's client that is logged in as an owner."""
    output = servers.run_command(server, "operator", "add", _OPERATOR, "--role", "owner")
    token = re.findall(r"token=([\w.-]+)", output)[0]
    client = httpx.Client(
        base_url=server.url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=600
    )
    login = {"token": token, "password": _PASSWORD}
    client.post("/v1/admin/session/link", json=login).raise_for_status()
    return client


def _paths(client: httpx.Client) -> Iterator[str]:
    """The pages of the console and of the admin API that read statements or reports."""
    admin = f"/v1/admin/partners/{PARTNER}"
    statement = client.get(f"{admin}/statements").json()["statements"][0]["id"]
    learner = client.get(f"{admin}/learners").json()["learners"][0]["person_id"]
    agent = orjson.dumps({"mbox": f"mailto:{scale_samples.address(7)}"}).decode()
    course = quote("http://datacamp.com/course/0", safe="")
    lists = [
        "statements",
        "statements?verb=http://adlnet.gov/expapi/verbs/completed",
        f"statements?activity={course}",
        f"statements?agent={quote(agent, safe='')}",
        f"statements/{statement}",
        "learners",
        "learners?search=learner7",
        f"learners/{learner}",
        "contents",
        "reports",
        "refusals",
        "credentials",
    ]
    of_learner = (f"learners/{learner}/records", f"learners/{learner}/statements")
    yield from ("/v1/admin/overview", "/v1/admin/system", "/v1/admin/partners", admin)
    yield from (f"{admin}/{path}" for path in (*lists, *of_learner, "outcomes"))
    yield from ("/console", "/console/system", "/console/partners", f"/console/partners/{PARTNER}")
    yield from (f"/console/partners/{PARTNER}/{path}" for path in (*lists, "connect", "live"))


def _seconds_of(client: httpx.Client, path: str) -> float:
    """The median; infinity for an error."""
    durations = []
    for _ in range(_ROUNDS):
        began = time.monotonic()
        response = client.get(path)
        durations.append(time.monotonic() - began if response.is_success else inf)
    return median(durations)


async def _fetch(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _rate(name: str, seconds: float, count: int, unit: str = "statements") -> str:
    return f"{name}: {count:,} {unit} in {seconds:.1f} s ({count / seconds:,.0f} a second)"
