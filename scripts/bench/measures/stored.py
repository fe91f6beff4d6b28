"""Targets 3 and 4: reads, and whether anything gets slower with what is stored.

Two stores stand beside each other, a small one and one that grows: each query is put to one right
after the other, so that what else the machine does weighs on both alike. The better of two rounds
counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from scripts.bench import filling, load, servers
from scripts.bench.load import Measured, Request
from scripts.bench.measures import Lab, reads
from scripts.bench.results import Row, Section, Verdict
from scripts.bench.servers import Target

FIRST = 100_000
GROUP = "flat"
INGEST = "POST 50 statements"

_PAGES = 1000
_PAGE = 15
_BATCH = 50
_ROUNDS = 2

Stores = Sequence[tuple[Target, int]]
"""Servers, and how many statements each has stored."""


def measure(lab: Lab) -> Section:
    with (
        servers.ours(lab.folder / "small", lab.workers) as small,
        servers.ours(lab.folder / "large", lab.workers) as large,
    ):
        filling.fill(small, FIRST)
        section = reads.measure(lab, small, FIRST)
        for level in _levels(lab.stored):
            filling.fill(large, level)
            print(f"{level:,} statements stored", flush=True)
            found = list(_beside(lab, [(small, FIRST), (large, level)]))
            last = level >= lab.stored
            section.rows += [row for row in found if last or row.stored == level]
            if last:
                section.verdicts += _verdicts(found, level)
    return section


def _levels(most: int) -> Iterator[int]:
    """Beyond the first, in steps of about ten."""
    level = FIRST
    while level < most:
        level = min(level * 10, most)
        yield level


def _beside(lab: Lab, stores: Stores) -> Iterator[Row]:
    """One connection, so that times are those of the query and not of waiting; then ingest."""
    asked = [_paths(target) for target, _ in stores]
    for name in asked[0]:
        rounds = [
            [
                _ask(lab, target, paths[name])
                for (target, _), paths in zip(stores, asked, strict=True)
            ]
            for _ in range(_ROUNDS)
        ]
        for (_, level), found in zip(stores, zip(*rounds, strict=True), strict=True):
            best = min(found, key=lambda each: each.p50)
            yield Row(GROUP, f"GET {name}", 1, best.rate, best, stored=level)
    for target, level in stores:
        request = load.posts(target, _BATCH, 80)
        ingest = load.measure(target, request, connections=4, seconds=lab.seconds)
        rate = ingest.rate * _BATCH
        yield Row(GROUP, INGEST, 4, rate, ingest, unit="statements", stored=level)


def _ask(lab: Lab, target: Target, paths: Sequence[str]) -> Measured:
    request = Request("GET", paths, target.headers)
    return load.measure(target, request, connections=1, seconds=max(1, lab.seconds // 2))


def _paths(target: Target) -> dict[str, Sequence[str]]:
    paths: dict[str, Sequence[str]] = {
        "one by statementId": reads.ids(target),
        **reads.lists(target, {**reads.LISTS, **reads.INTERSECTIONS}),
    }
    with target.client() as client:
        for name in ("unfiltered", "by activity"):
            found = reads.pages(client, target, reads.LISTS[name], _PAGE)
            paths[f"page {_PAGES} of {_PAGE} {name}"] = [next(islice(found, _PAGES - 1, None))]
    return paths


def _verdicts(rows: Sequence[Row], level: int) -> list[Verdict]:
    small = {row.name: row for row in rows if row.stored == FIRST}
    large = {row.name: row for row in rows if row.stored == level}
    kept = large[INGEST].rate / small[INGEST].rate
    slower = {
        name: large[name].measured.p50 / row.measured.p50
        for name, row in small.items()
        if name != INGEST
    }
    worst = max(slower, key=lambda name: slower[name])
    of = f"at {level:,} statements, of that at {FIRST:,}"
    return [
        Verdict(4, f"rate of ingest {of}", kept, 0.8, "%", at_least=True),
        Verdict(4, f"p50 of queries {of}, worst: {worst}", slower[worst], 1.5, "times"),
    ]
