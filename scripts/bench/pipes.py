"""Pipes between two partners of one server: pulling from and forwarding to itself."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator

import asyncpg
import orjson

from scripts.bench import filling, load, servers
from scripts.bench.load import Measurement
from scripts.bench.results import Row
from scripts.bench.servers import Server

_STATEMENTS = 20_000
_TIMEOUT = 300.0
_POLL_SECONDS = 0.02
_ROUNDS = 3


def measure(server: Server, seconds: int) -> Iterator[Row | str]:
    """Rows of both directions by size of a page or batch; rounds alternate, their median counts."""
    filling.fill(server, 2 * _STATEMENTS)  # half of them are those of the partner
    target = servers.add_partner(server, "target")
    for size in (50, 500):
        posts = load.posts(target, size, "/xapi/statements")
        for direction, option in (("pull", "page"), ("forward", "batch")):
            runs = []
            for number in range(_ROUNDS):
                name = f"{direction}-{size}-{number}"
                ingest = load.run(target, posts, connections=1, seconds=seconds)
                runs.append((_run_pipe(server, name, direction, option, size), ingest))
            runs.sort(key=lambda run: run[0].rate / run[1].rate)
            pipe, ingest = runs[_ROUNDS // 2]
            yield Row("pipes", f"{direction} {size}", 1, pipe.rate, ingest.rate * size, pipe)


def _run_pipe(server: Server, name: str, direction: str, option: str, size: int) -> Measurement:
    """The statements per second of a new pipe that moves all statements of the partner."""
    receiver = servers.add_partner(server, name)
    owner, other = (receiver, server) if direction == "pull" else (server, receiver)
    owner_name, other_name = (re.split("/", item.path)[3] for item in (owner, other))
    output = servers.run_command(
        server, "credential", "add", other_name, "--label", name, "--scope", "all"
    )
    credential = dict(re.findall(r"^(key|secret)\s+(\S+)$", output, re.MULTILINE))
    arguments = [
        "pipe", "add", owner_name, name, f"{server.url}/xapi", f"--{direction}", "--start",
        "--key", credential["key"], f"--{option}", str(size),
    ]  # fmt: skip
    if direction == "forward":
        arguments += ["--from", "beginning"]
    before = load.cpu_seconds(server)
    subprocess.run(
        [*servers.LRS, *arguments],
        env={**os.environ, **server.environment, "SECRET": credential["secret"]},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    rate, seconds = asyncio.run(_watch(server, name))
    after = load.cpu_seconds(server)
    server_cpu, database_cpu, _ = (
        (end - begin) / seconds for begin, end in zip(before, after, strict=True)
    )
    servers.run_command(server, "pipe", "remove", owner_name, name)
    return Measurement(rate, 0, 0, 0, 0, seconds, server_cpu, database_cpu, 0)


async def _watch(server: Server, name: str) -> tuple[float, float]:
    """The rate from the first statements to the last, and its seconds. Raises SystemExit."""
    connection = await asyncpg.connect(server.dsn)
    samples: list[tuple[float, int]] = []
    give_up = time.monotonic() + _TIMEOUT
    try:
        while time.monotonic() < give_up:
            row = await connection.fetchrow(
                "select counts, state, last_error from pipe where name = $1", name
            )
            assert row is not None  # noqa: S101 - the command has added it
            count = sum(orjson.loads(row["counts"]).values())
            if row["last_error"]:
                raise SystemExit(f"The pipe {name} fails: {row['last_error']}")
            if count and (not samples or count > samples[-1][1]):
                samples.append((time.monotonic(), count))
            if row["state"] == "waiting":
                break
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await connection.close()
    (begin, first), (end, last) = samples[0], samples[-1]
    return (last - first) / (end - begin), end - begin
