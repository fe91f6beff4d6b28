"""Every filter of GET /statements agrees with a naive oracle on small random stores."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.settings import Settings
from lrs.store import registry
from lrs.store.statements.page_query import PageLimits
from tests.support.app import serving
from tests.support.examples import examples
from tests.support.partners import Partner, new_partner
from tests.support.statement_oracle import VOIDED, Json, ListQuery, Oracle, Stored, instant

AGENTS: list[Json] = [
    {"mbox": "mailto:ann@example.com"},
    {"account": {"homePage": "http://example.com", "name": "ben"}},
    {"openid": "http://cat.example.com/"},
]
TEAM: Json = {"objectType": "Group", "mbox": "mailto:team@example.com"}
GROUPS: list[Json] = [
    TEAM,
    {**TEAM, "member": [AGENTS[0]]},
    {"objectType": "Group", "member": AGENTS[:2]},
    {"objectType": "Group", "name": "nobody", "member": [AGENTS[2]]},
]
VERBS = [f"http://example.com/verbs/{name}" for name in ("read", "wrote")]
ACTIVITIES = [f"http://example.com/activities/{number}" for number in range(3)]
REGISTRATIONS = ["6690e6c9-3ef0-4ed3-8b37-7f3964730bee", "e05aa883-acaf-40ad-bf54-02c8ce485fb0"]
ORGANIZATIONS = ["north", "south"]

actors = st.sampled_from([*AGENTS, *GROUPS])
activities = st.sampled_from(ACTIVITIES).map(lambda iri: {"id": iri})


@st.composite
def contexts(draw: st.DrawFn) -> Json:
    context: Json = {}
    if draw(st.integers(0, 2)) == 0:
        context["registration"] = draw(st.sampled_from(REGISTRATIONS))
    match draw(st.integers(0, 7)):
        case 0:
            context["instructor"] = draw(actors)
        case 1:
            context["team"] = draw(st.sampled_from(GROUPS))
        case 2:
            entry = {"objectType": "contextAgent", "agent": draw(st.sampled_from(AGENTS))}
            context["contextAgents"] = [entry]
        case 3:
            entry = {"objectType": "contextGroup", "group": draw(st.sampled_from(GROUPS))}
            context["contextGroups"] = [entry]
        case 4 | 5:
            positions = st.sampled_from(["parent", "grouping", "category", "other"])
            some = activities | st.lists(activities, max_size=2)
            context["contextActivities"] = draw(st.dictionaries(positions, some, max_size=2))
    return context


def statement_ref(statement_id: str) -> Json:
    return {"objectType": "StatementRef", "id": statement_id}


@st.composite
def statements(draw: st.DrawFn, own_id: str, ids: list[str], *, top: bool = True) -> Json:
    """A statement with parts from small sets, so that any two statements have parts in common."""
    statement: Json = {"actor": draw(actors), "verb": {"id": draw(st.sampled_from(VERBS))}}
    kind = draw(st.sampled_from(["activity"] * 3 + ["actor", "sub"] + ["ref"] * 3 + ["void"] * 2))
    if kind == "activity" or (kind == "sub" and not top):
        statement["object"] = draw(activities)
    elif kind == "actor":
        statement["object"] = {"objectType": "Agent", **draw(actors)}
    elif kind == "sub":
        part = draw(statements(own_id, ids, top=False))
        statement["object"] = {"objectType": "SubStatement", **part}
    else:
        statement["object"] = statement_ref(draw(st.sampled_from(ids)))
    if kind == "void" and top:
        statement["verb"] = {"id": VOIDED}
    if context := draw(contexts()):
        statement["context"] = context
    if top:
        statement |= {"id": own_id, "version": "2.0.0"}
        if draw(st.integers(0, 9)) == 0:  # without effect: the server sets its own
            members = draw(st.sampled_from([AGENTS[:2], AGENTS[1:]]))
            statement["authority"] = {"objectType": "Group", "member": members}
    return statement


@dataclass(frozen=True)
class Batch:
    statements: list[Json]
    organization: str | None
    sender: int


@dataclass(frozen=True)
class World:
    """Batches in the order of their arrival, or sent concurrently."""

    batches: list[Batch]
    at_once: bool
    seed: int


@st.composite
def worlds(draw: st.DrawFn) -> World:
    ids = draw(st.lists(st.uuids(version=4).map(str), min_size=2, max_size=15, unique=True))
    never_arriving = ids.pop()
    sent = [draw(statements(own_id, [*ids, never_arriving])) for own_id in ids]
    batches = []
    while sent:
        length = draw(st.integers(1, 5))
        organization = draw(st.sampled_from([None, *ORGANIZATIONS]))
        batches.append(Batch(sent[:length], organization, draw(st.integers(0, 1))))
        sent = sent[length:]
    return World(batches, draw(st.booleans()), draw(st.integers(0, 2**32)))


@dataclass(frozen=True)
class Reader:
    """A credential, and the authority of the statements that it sends."""

    partner: Partner
    authority: Json

    async def read(
        self, organization: str | None, params: list[tuple[str, str]]
    ) -> tuple[list[Json], int]:
        """All results of a query, and the number of pages."""
        result: list[Json] = []
        response = await self._get(self.partner.url("statements", organization), params)
        for taken in itertools.count(1):
            assert response.status_code == 200, response.text
            page = response.json()
            assert set(page) == {"statements", "more"}
            result += page["statements"]
            if page["more"] == "":
                return result, taken
            response = await self._get(page["more"])
        raise AssertionError

    async def one(self, parameter: str, statement_id: UUID) -> Json | None:
        response = await self.partner.get(**{parameter: str(statement_id)})
        assert response.status_code in (200, 404)
        return dict(response.json()) if response.status_code == 200 else None

    async def _get(self, url: str, params: list[tuple[str, str]] | None = None) -> httpx.Response:
        return await self.partner.http.get(url, params=params, headers=self.partner.headers)


async def reader(services: Services, partner: Partner, granted: frozenset[str]) -> Reader:
    """Another credential of the same partner."""
    database = services.database
    issued = await credentials.add_credential(
        database,
        await registry.get_partner(database, partner.name),
        kind="client",
        label="",
        granted=granted,
        expires_at=None,
    )
    other = replace(partner, key=issued.key, secret=issued.secret)
    await other.authenticate()
    account = {"homePage": partner.home_page, "name": issued.key}
    return Reader(other, {"objectType": "Agent", "account": account})


async def send(world: World, readers: list[Reader]) -> list[tuple[UUID, str | None]]:
    async def post(batch: Batch) -> None:
        response = await readers[batch.sender].partner.send(
            batch.statements, organization=batch.organization
        )
        assert response.status_code == 200, response.text

    if world.at_once:
        await asyncio.gather(*map(post, world.batches))
    else:
        for batch in world.batches:
            await post(batch)
    return [
        (UUID(statement["id"]), batch.organization)
        for batch in world.batches
        for statement in batch.statements
    ]


async def stored(reader: Reader, sent: list[tuple[UUID, str | None]]) -> list[Stored]:
    """All statements as returned by their ids, in list order.

    Each is returned either by statementId or by voidedStatementId.
    """
    everything, _ = await reader.read(None, [("ascending", "true")])
    listed = {UUID(item["id"]): item for item in everything}
    result = []
    for statement_id, organization in sent:
        plain = await reader.one("statementId", statement_id)
        voided = await reader.one("voidedStatementId", statement_id)
        assert (plain is None) != (voided is None)
        assert listed.get(statement_id) == plain
        result.append(Stored(plain or voided or {}, organization))
    oracle = Oracle(result)
    for item in result:
        assert oracle.is_voided(item.id) == (item.id not in listed)
    order = [*listed, *(item.id for item in result if item.id not in listed)]
    return sorted(result, key=lambda item: order.index(item.id))


def every_filter(authority: Json) -> Iterator[ListQuery]:
    """All combinations of the filter parameters."""
    agents: list[Json | None] = [None, *AGENTS, TEAM, authority]
    for agent, verb, activity, registration in itertools.product(
        agents, [None, VERBS[0], VOIDED], [None, *ACTIVITIES[:2]], [None, REGISTRATIONS[0]]
    ):
        for related_agents in (False, True) if agent else (False,):
            for related_activities in (False, True) if activity else (False,):
                yield ListQuery(
                    agent, related_agents, verb, activity, related_activities, registration
                )


def bounded(requested: ListQuery, moments: list[str], draw: random.Random) -> ListQuery:
    """The same with an order, and sometimes with since and until equal to a stored time."""
    requested = replace(requested, ascending=draw.random() < 0.5)
    if draw.random() < 0.25:
        requested = replace(requested, organization=draw.choice(ORGANIZATIONS))
    for name in ("since", "until"):
        if draw.random() < 0.15:
            moment = instant(draw.choice(moments)) + timedelta(microseconds=draw.randint(-1, 1))
            requested = replace(requested, **{name: moment.isoformat()})
    return requested


def parameters(requested: ListQuery, limit: int | None) -> list[tuple[str, str]]:
    argument: dict[str, Any] = {
        "agent": json.dumps(requested.agent) if requested.agent else None,
        "related_agents": requested.related_agents and "true",
        "verb": requested.verb,
        "activity": requested.activity,
        "related_activities": requested.related_activities and "true",
        "registration": requested.registration,
        "since": requested.since,
        "until": requested.until,
        "ascending": requested.ascending and "true",
        "limit": str(limit) if limit else None,
    }
    return [(name, value) for name, value in argument.items() if value]


async def compare(
    reader: Reader, oracle: Oracle, requested: ListQuery, limit: int | None, *, full: bool
) -> None:
    expected = oracle.list(requested)
    result, taken = await reader.read(requested.organization, parameters(requested, limit))
    assert [item["id"] for item in result] == [item["id"] for item in expected], (requested, limit)
    assert result == expected
    needed = max(1, -(-len(expected) // limit)) if limit else 1
    assert taken == needed if full else taken >= needed


AT_ONCE = 8

ASYNC = settings(
    deadline=None,
    max_examples=examples(6),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


async def compare_all(
    services: Services, http: httpx.AsyncClient, world: World, *, full: bool
) -> None:
    """Compares all filters; with `full` pages, where there are enough statements."""
    owner = await new_partner(services, http)
    everything = await reader(services, owner, frozenset({scopes.ALL}))
    only_mine = frozenset({scopes.STATEMENTS_WRITE, scopes.STATEMENTS_READ_MINE})
    mine = await reader(services, owner, only_mine)
    result = await stored(everything, await send(world, [everything, mine]))
    oracle = Oracle(result)
    moments = [item.statement["stored"] for item in result]
    draw = random.Random(world.seed)

    async def check(requested: ListQuery) -> None:
        requested, client = bounded(requested, moments, draw), everything
        if draw.random() < 0.2:
            requested, client = replace(requested, mine=mine.authority), mine
        await compare(client, oracle, requested, draw.choice([None, None, 1, 2, 3]), full=full)

    every = list(every_filter(everything.authority))
    draw.shuffle(every)
    for start in range(0, len(every), AT_ONCE):
        await asyncio.gather(*map(check, every[start : start + AT_ONCE]))


@pytest.mark.slow
@ASYNC
@given(world=worlds())
async def test_every_filter_matches_the_oracle(
    services: Services, http: httpx.AsyncClient, world: World
) -> None:
    await compare_all(services, http, world, full=True)


@pytest.mark.slow
@settings(ASYNC, max_examples=examples(2))
@given(world=worlds(), examined=st.integers(1, 5))
async def test_pagination_with_a_row_limit_loses_nothing(
    services: Services, settings: Settings, world: World, examined: int
) -> None:
    """A page ends early where a request would examine more rows than the limit."""
    async with serving(settings, PageLimits(max_examined_statements=examined)) as http:
        await compare_all(services, http, world, full=False)


@pytest.mark.slow
@settings(ASYNC, max_examples=examples(2))
@given(world=worlds(), max_bytes=st.integers(1, 3000))
async def test_pagination_with_a_byte_limit_loses_nothing(
    services: Services, settings: Settings, world: World, max_bytes: int
) -> None:
    async with serving(settings, PageLimits(max_bytes=max_bytes)) as http:
        await compare_all(services, http, world, full=False)
