"""Target 5: ten times what the server can take, and clients that never finish."""

from __future__ import annotations

from scripts.bench import clients, load, servers
from scripts.bench.clients import Watched, percentile
from scripts.bench.load import Measured
from scripts.bench.measures import Lab
from scripts.bench.processes import watching
from scripts.bench.results import Row, Section, Verdict
from scripts.bench.servers import Target

_BEST_AT = {1: 64, 50: 8}
"""Connections that bring the best rate, by how many statements each request has."""

_TOO_MANY = 640
_PLACES = 320
_UNFINISHED = 500
_MOST_MEGABYTES = 512


def measure(lab: Lab, target: Target) -> Section:
    section = Section()
    for size in _BEST_AT:
        _flood(lab, target, size, section, f"POST {size}")
    _dawdle(lab, target, section)
    few = {"LRS_REQUESTS_AT_ONCE": str(_PLACES // lab.workers)}
    with servers.ours(lab.folder / "crowded", lab.workers, **few) as crowded:
        for size in _BEST_AT:
            _flood(lab, crowded, size, section, f"POST {size}, {_PLACES} at once")
    return section


def _flood(lab: Lab, target: Target, size: int, section: Section, name: str) -> None:
    request = load.posts(target, size, 200)
    best = load.measure(target, request, connections=_BEST_AT[size], seconds=lab.seconds)
    with (
        watching(target.server, without=target.database) as memory,
        clients.watchers(target, request) as watched,
    ):
        found = load.measure(target, request, connections=_TOO_MANY, seconds=2 * lab.seconds)
    calm = clients.seconds_until_calm(target)
    section.rows += [
        _row(lab, f"{name}, best", size, _BEST_AT[size], best),
        _row(lab, f"{name}, overload", size, _TOO_MANY, found, best.accepted * size),
    ]
    section.notes.append(_told(name, found, watched))
    kept = found.accepted / best.accepted
    what = f"overload, {name}:"
    most = _MOST_MEGABYTES * lab.workers
    improper = max(watched.share_improper, found.share_broken)
    section.verdicts += [
        Verdict(5, f"{what} accepted, of the best rate", kept, 0.8, "%", at_least=True),
        Verdict(5, f"{what} improper answers and failures", improper, 0, "%"),
        Verdict(5, f"{what} memory", memory.megabytes, most, "MB"),
        Verdict(5, f"{what} back to normal after", calm, 2, "s"),
    ]
    if watched.refused:
        slow = percentile(watched.refused, 0.99)
        section.verdicts.append(Verdict(5, f"{what} refusals, p99", slow, 100, "ms"))


def _dawdle(lab: Lab, target: Target, section: Section) -> None:
    request = load.posts(target, 1, 200)
    without = load.measure(target, request, connections=_BEST_AT[1], seconds=lab.seconds)
    with clients.unfinished(target, _UNFINISHED):
        found = load.measure(target, request, connections=_BEST_AT[1], seconds=lab.seconds)
    what = f"POST 1, beside {_UNFINISHED} that never finish"
    section.rows.append(_row(lab, what, 1, _BEST_AT[1], found, without.accepted))
    kept = found.accepted / without.accepted
    section.verdicts.append(
        Verdict(5, f"{what}: of the rate without", kept, 0.8, "%", at_least=True)
    )


def _row(
    lab: Lab, name: str, size: int, connections: int, found: Measured, limit: float | None = None
) -> Row:
    """The rate is that of what was accepted."""
    rate = found.accepted * size
    return Row("overload", name, connections, rate, found, "statements", limit, lab.workers)


def _told(name: str, found: Measured, watched: Watched) -> str:
    def times(waited: list[float]) -> str:
        return f"{percentile(waited, 0.5):.0f} ms (p99 {percentile(waited, 0.99):.0f})"

    refusal = f", {times(watched.refused)} to be refused" if watched.refused else ""
    return (
        f"{name}, at {_TOO_MANY} connections: {found.share_refused:.0%} refused; a client "
        f"among them waits {times(watched.accepted)} to be accepted{refusal}."
    )
