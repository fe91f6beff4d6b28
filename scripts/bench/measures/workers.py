"""Target 6: what a second worker brings, and what stands in its way."""

from __future__ import annotations

import psutil  # type: ignore[import-untyped]

from scripts.bench import load, servers
from scripts.bench.measures import Lab, singles
from scripts.bench.results import Row, Section, Verdict

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
            section.rows += singles.beside_bare(lab, target, "workers", _CONNECTIONS, workers)
    bare_one, single, bare_two, double = section.rows
    of_bare = bare_two.rate / bare_one.rate
    what = f"two workers, of one's rate (bare Starlette: {of_bare:.2f} times)"
    gained = double.rate / single.rate
    section.verdicts.append(Verdict(6, what, gained, 1.6, "times", at_least=True))
    section.notes.append(f"With two workers, the limit is {_limit(double)}.")
    return section


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
    return f"waiting, for the disk in all likelihood, since no core is used up ({shares})"
