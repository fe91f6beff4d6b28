"""Target 1: single POSTs beside bare Starlette and a bare commit, at rising concurrency."""

from __future__ import annotations

import asyncio

from scripts.bench import load, servers
from scripts.bench.copying import commit_p50
from scripts.bench.measures import Lab
from scripts.bench.results import Row, Section, Verdict
from scripts.bench.servers import Target

CONCURRENCY = (1, 4, 16, 64, 256)
ANSWER = b'["eb8dcb8d-9d65-452e-88a0-86bf626e9599"]'

GROUP = "singles"
NAME = "POST one statement"
BARE = "bare Starlette, POST"


def measure(lab: Lab, target: Target) -> Section:
    section = Section()
    request = load.posts(target, 1, 200)
    load.measure(target, request, connections=16, seconds=1)  # to warm up
    commit = asyncio.run(commit_p50(target.dsn, 1))
    for connections in CONCURRENCY:
        rows = beside_bare(lab, target, GROUP, connections, lab.workers)
        section.rows += rows
        if connections == 1:
            found = rows[-1].measured.p50 / commit
            what = f"POST at 1 connection, p50 of a bare commit's ({commit:.2f} ms)"
            section.verdicts.append(Verdict(1, what, found, 2.5, "times"))
        if connections == 64:
            what = "single POSTs at 64 connections, of bare Starlette"
            found = rows[-1].ratio or 0.0
            section.verdicts.append(Verdict(1, what, found, 0.5, "%", at_least=True))
    return section


def beside_bare(lab: Lab, target: Target, group: str, connections: int, workers: int) -> list[Row]:
    """Bare Starlette and our server, one right after the other, under the same load."""
    request = load.posts(target, 1, 200)
    with servers.bare(lab.folder, ANSWER, workers) as bare:
        limit = load.measure(bare, request, connections=connections, seconds=lab.seconds)
    ours = load.measure(target, request, connections=connections, seconds=lab.seconds)
    return [
        Row(group, BARE, connections, limit.rate, limit, workers=workers),
        Row(group, NAME, connections, ours.rate, ours, limit=limit.rate, workers=workers),
    ]
