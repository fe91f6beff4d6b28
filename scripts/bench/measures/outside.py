"""Another LRS, by its standard interface: the same loads, without the limits."""

from __future__ import annotations

from scripts.bench import load
from scripts.bench.load import Request
from scripts.bench.measures import Lab, reads, singles
from scripts.bench.results import Row, Section
from scripts.bench.servers import Target


def measure(lab: Lab, target: Target) -> Section:
    section = Section()
    for connections in singles.CONCURRENCY:
        request = load.posts(target, 1, 200)
        found = load.measure(target, request, connections=connections, seconds=lab.seconds)
        section.rows.append(Row(singles.GROUP, singles.NAME, connections, found.rate, found))
    for size in (50, 500):
        request = load.posts(target, size, 4000 // size)
        found = load.measure(target, request, connections=4, seconds=lab.seconds)
        section.rows.append(
            Row("batches", f"POST {size} statements", 4, found.rate * size, found, "statements")
        )
    for name, paths in {
        "one by statementId": reads.ids(target),
        **reads.lists(target, {**reads.LISTS, **reads.INTERSECTIONS}),
    }.items():
        request = Request("GET", paths, target.headers)
        found = load.measure(target, request, connections=16, seconds=lab.seconds)
        section.rows.append(Row("reads", f"GET {name}", 16, found.rate, found))
    return section
