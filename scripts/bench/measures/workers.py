"""Target 6: what a second worker brings, and what stands in its way."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

from scripts.bench import load, servers
from scripts.bench.measures import Lab, singles
from scripts.bench.results import Row, Section, Verdict
from scripts.bench.servers import Target

_CONNECTIONS = 64
_BUSY = 0.9


def measure(lab: Lab) -> Section:
    section = Section()
    with (
        servers.ours(lab.folder / "one", 1) as one,
        servers.ours(lab.folder / "two", 2) as two,
    ):
        for target in (one, two):
            load.measure(
                target, load.posts(target, 1, 200), connections=16, seconds=1
            )  # to warm up
        for target, workers in ((one, 1), (two, 2)):
            before = _committed(target)
            rows = singles.beside_bare(lab, target, "workers", _CONNECTIONS, workers)
            section.rows += rows
            section.notes.append(_cost(rows[-1], before, _committed(target)))
    bare_one, single, bare_two, double = section.rows
    of_bare = bare_two.rate / bare_one.rate
    what = f"two workers, of one's rate (bare Starlette: {of_bare:.2f} times)"
    gained = double.rate / single.rate
    section.verdicts.append(Verdict(6, what, gained, 1.6, "times", at_least=True))
    section.notes.append(f"With two workers, the limit is {_limit(double)}.")
    return section


@dataclass(frozen=True, slots=True)
class _Committed:
    """Transactions so far, the statements in them, and the seconds that they took."""

    count: float
    statements: float
    seconds: float


def _committed(target: Target) -> _Committed:
    with target.client() as client:
        text = client.get("/metrics").text
    names = ("statements_count", "statements_sum", "seconds_sum")
    count, statements, seconds = (
        sum(float(value) for value in re.findall(rf"^lrs_commit_{name} (\S+)$", text, re.MULTILINE))
        for name in names
    )
    return _Committed(count, statements, seconds)


def _cost(row: Row, before: _Committed, after: _Committed) -> str:
    """What a request costs, and how many of them the machine's cores could pay for."""
    found, cores = row.measured, psutil.cpu_count() or 1
    used = (found.server_cpu, found.database_cpu, found.generator_cpu)
    server, database, generator = (1e6 * cpu / found.rate for cpu in used)
    count = max(after.count - before.count, 1)
    size = (after.statements - before.statements) / count
    took = 1000 * (after.seconds - before.seconds) / count
    workers = "One worker" if row.workers == 1 else f"{row.workers} workers"
    return (
        f"{workers}: a request costs the server {server:.0f} µs of CPU, the database "
        f"{database:.0f} and the load generator {generator:.0f}; {cores} cores can pay for "
        f"{cores * found.rate / sum(used):,.0f} a second. {count / found.seconds:.0f} commits a "
        f"second, of {size:.1f} statements, take {took:.1f} ms each."
    )


def _limit(row: Row) -> str:
    """Which resource was used up."""
    found, cores = row.measured, psutil.cpu_count() or 1
    shares = (
        f"cores used: server {found.server_cpu:.2f}, database {found.database_cpu:.2f}, "
        f"load generator {found.generator_cpu:.2f}, others {found.other_cpu:.2f} of {cores}"
    )
    if found.cpu > _BUSY * cores:
        return f"the machine, whose cores are all busy ({shares})"
    if found.server_cpu > _BUSY * row.workers:
        return f"the workers, each of which has a core to itself ({shares})"
    if found.generator_cpu > _BUSY:
        return f"the load generator ({shares})"
    return f"waiting: for commits, for each other's rows, for a turn; no core is used up ({shares})"
