"""How fast the load generator is by itself: it must not be the limit of anything else."""

from __future__ import annotations

from scripts.bench import load, servers
from scripts.bench.measures import Lab
from scripts.bench.results import Row, Section
from scripts.bench.servers import Target


def measure(lab: Lab, target: Target) -> Section:
    """The very requests that are sent to our server, to a socket that answers them unread."""
    with servers.raw() as raw:
        request = load.posts(target, 1, 200, path="/")
        found = load.measure(raw, request, connections=64, seconds=lab.seconds)
    row = Row("generator", "POST to a socket that answers unread", 64, found.rate, found)
    each = found.generator_cpu / found.rate * 1e6
    note = f"The load generator takes {each:.0f} µs of CPU for a request with its answer."
    return Section([row], notes=[note])
