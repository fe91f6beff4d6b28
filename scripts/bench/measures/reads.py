"""Target 3: reads beside bare Starlette that answers the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import urlencode

import httpx
import orjson

from scripts.bench import load, servers
from scripts.bench.load import Request
from scripts.bench.measures import Lab
from scripts.bench.results import Row, Section, least_ratio
from scripts.bench.samples import BUSY_COURSE, BUSY_LEARNER, RARE_COURSE, VERBS
from scripts.bench.servers import Target

Parameters = Mapping[str, str]

_AGENT = {"agent": orjson.dumps(BUSY_LEARNER).decode()}
_VERB = {"verb": VERBS["completed"]}
_COURSE = {"activity": BUSY_COURSE}
_RELATED = {"related_activities": "true"}

LISTS: Mapping[str, Parameters] = {
    "unfiltered": {},
    "by agent": _AGENT,
    "by activity": _COURSE,
    "by verb": _VERB,
    "by related_activities": {**_COURSE, **_RELATED},
}
INTERSECTIONS: Mapping[str, Parameters] = {
    "by related_agents": {**_AGENT, "related_agents": "true"},
    "by agent and verb": {**_AGENT, **_VERB},
    "by agent and activity": {**_AGENT, **_COURSE},
    "by agent, verb and activity": {**_AGENT, **_VERB, **_COURSE},
    "by agent, verb and rare activity": {**_AGENT, **_VERB, "activity": RARE_COURSE},
}

_CONNECTIONS = 16
_PAGES = 15


def measure(lab: Lab, target: Target, stored: int) -> Section:
    section = Section()
    asked = {"one by statementId": ids(target), **lists(target, LISTS)}
    asked["100 unfiltered, the same page"] = asked["100 unfiltered"][:1]
    with target.client() as client:
        for name, paths in asked.items():
            answer = client.get(paths[0]).raise_for_status().content
            request = Request("GET", paths, target.headers)
            with servers.bare(lab.folder, answer, lab.workers) as bare:
                limit = load.measure(bare, Request(), connections=_CONNECTIONS, seconds=lab.seconds)
            found = load.measure(target, request, connections=_CONNECTIONS, seconds=lab.seconds)
            section.rows.append(
                Row(
                    "reads",
                    f"GET {name} ({len(answer):,} bytes)",
                    _CONNECTIONS,
                    found.rate,
                    found,
                    limit=limit.rate,
                    workers=lab.workers,
                    stored=stored,
                )
            )
    verdict = least_ratio(3, "reads, of bare Starlette with the same bytes", section.rows, 0.5)
    section.verdicts.append(verdict)
    return section


def lists(target: Target, wanted: Mapping[str, Parameters]) -> dict[str, Sequence[str]]:
    """Paths of pages of 100, by the name of the query.

    There are several for each, since those who ask for one page at the same time can be answered
    together.
    """
    with target.client() as client:
        return {
            f"100 {name}": list(islice(pages(client, target, parameters, 100), _PAGES))
            for name, parameters in wanted.items()
        }


def pages(
    client: httpx.Client, target: Target, parameters: Parameters, limit: int
) -> Iterator[str]:
    """The paths of the pages of a list, found by following `more`."""
    path = f"{target.statements}?{urlencode({'limit': limit, **parameters})}"
    while path:
        yield path
        path = client.get(path).raise_for_status().json().get("more", "")


def ids(target: Target) -> list[str]:
    """Paths of single statements."""
    with target.client() as client:
        page = client.get(target.statements, params={"limit": 100}).raise_for_status().json()
    return [f"{target.statements}?statementId={each['id']}" for each in page["statements"]]
