"""The order and grouping in which statements arrive does not change the results."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrs.api.services import Services
from tests.support.attachments import MIXED, URL, attachment_of, get, multipart_body, read
from tests.support.examples import examples
from tests.support.partners import Partner, new_partner
from tests.support.signatures import attachment, certificate, jws, rsa_key, x5c
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
READ = "http://example.com/verbs/read"
SAW = "http://example.com/verbs/saw"
AGENTS = [{"mbox": f"mailto:{name}@example.com"} for name in ("ann", "ben")]
ACTIVITIES = [f"http://example.com/activities/{number}" for number in range(2)]
REGISTRATION = "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"


@dataclass(frozen=True)
class Sent:
    """A statement and the attachment contents sent with it."""

    statement: Json
    contents: tuple[bytes, ...] = ()

    @property
    def id(self) -> str:
        return str(self.statement["id"])


# Statements


def plain(statement_id: str, number: int = 0, **members: Any) -> Sent:
    """A statement with its own name for its learner and its own definition of its activity."""
    reported = {
        "id": statement_id,
        "actor": {**AGENTS[number % 2], "name": f"Name {number:02}"},
        "verb": {"id": READ},
        "object": {
            "id": ACTIVITIES[number // 2 % 2],
            "definition": {"name": {f"x-{number}": f"Name {number}"}},
        },
        "timestamp": f"2024-05-01T12:00:{number % 60:02}Z",
    }
    return Sent(statement(**reported | members))


def with_content(statement_id: str, number: int = 0) -> Sent:
    content = f"content {number % 2}".encode()
    return Sent(
        {**plain(statement_id, number).statement, "attachments": [attachment_of(content)]},
        (content,),
    )


def signed(statement_id: str, number: int = 0, **members: Any) -> Sent:
    unsigned = plain(statement_id, number, **members).statement
    signature = _signature(json.dumps(unsigned))
    return Sent({**unsigned, "attachments": [attachment(signature)]}, (signature,))


@cache
def _signature(text: str) -> bytes:
    return jws(text.encode(), x5c=x5c(certificate(rsa_key())))


def referring(statement_id: str, target: str, number: int = 0, verb: str = SAW) -> Sent:
    reference = {"objectType": "StatementRef", "id": target}
    registered = {"registration": REGISTRATION} if number % 3 == 0 else {}
    return plain(statement_id, number, verb={"id": verb}, object=reference, context=registered)


def voiding(statement_id: str, target: str, number: int = 0) -> Sent:
    return referring(statement_id, target, number, VOIDED)


# Requests


async def send(partner: Partner, batch: Sequence[Sent], interface: str) -> None:
    """One request; attachment contents are accepted on the xAPI interface only."""
    statements = [item.statement for item in batch]
    contents = list(dict.fromkeys(itertools.chain(*(item.contents for item in batch))))
    if interface == "partner" and not contents:
        answer = await partner.send(statements)
    elif contents:
        answer = await partner.http.post(
            URL,
            content=multipart_body(statements, *contents),
            headers={**XAPI, **MIXED},
            auth=(partner.key, partner.secret),
        )
    elif interface == "put" and len(batch) == 1:
        answer = await partner.http.put(
            URL,
            params={"statementId": batch[0].id},
            json=statements[0],
            headers=XAPI,
            auth=(partner.key, partner.secret),
        )
    else:
        answer = await partner.xapi(statements)
    assert answer.status_code in (200, 204), answer.text


# Results


QUERIES: list[dict[str, str]] = [
    {},
    {"verb": READ},
    {"verb": SAW},
    {"verb": VOIDED},
    {"registration": REGISTRATION},
    {"verb": READ, "registration": REGISTRATION},
    *({"activity": item} for item in ACTIVITIES),
    *({"activity": item, "related_activities": "true", "verb": SAW} for item in ACTIVITIES),
    *({"agent": json.dumps(item)} for item in AGENTS),
    *({"agent": json.dumps(item), "related_agents": "true", "verb": READ} for item in AGENTS),
    {"agent": json.dumps(AGENTS[0]), "activity": ACTIVITIES[1], "registration": REGISTRATION},
]


async def answers(services: Services, partner: Partner, ids: Sequence[str]) -> Json:
    """The results of all queries, except for the order in which statements were stored."""
    result: Json = {}
    for query in QUERIES:
        result[str(query)] = await listed(partner, query)
    for item in ids:
        result[item] = await one(partner, item)
    everything = read(await get(partner, attachments="true"))
    result["contents"] = everything.contents
    for agent in AGENTS:
        answer = await ask(partner, "agents", agent=json.dumps(agent))
        result[f"person {agent}"] = answer.json()
    for activity in ACTIVITIES:
        result[activity] = (await ask(partner, "activities", activityId=activity)).json()
    result["signatures"] = await rows(
        services, partner, "select statement_id::text, status, encode(sha2, 'hex') from signature"
    )
    result["unsettled"] = await rows(
        services, partner, "select statement_id::text from statement_reference", "and not resolved"
    )
    return result


async def ask(partner: Partner, resource: str, **params: str) -> httpx.Response:
    answer = await partner.http.get(
        f"/xapi/{resource}", params=params, headers=XAPI, auth=(partner.key, partner.secret)
    )
    assert answer.status_code == 200, answer.text
    return answer


async def listed(partner: Partner, query: dict[str, str]) -> set[str]:
    """All pages of a list, checked for repetitions and order."""
    result: list[tuple[str, str]] = []
    answer = await get(partner, **query, limit="3")
    while True:
        page = answer.json()
        result += [(item["stored"], item["id"]) for item in page["statements"]]
        if not page["more"]:
            break
        answer = await get(partner, page["more"])
    moments = [moment for moment, _ in result]
    assert moments == sorted(moments, reverse=True)
    assert len(result) == len(set(result))
    return {statement_id for _, statement_id in result}


async def one(partner: Partner, statement_id: str) -> tuple[int, int, Json]:
    """The responses for a statement id, and the statement."""
    plain = await get(partner, statementId=statement_id)
    voided = await get(partner, voidedStatementId=statement_id)
    existing = [item for item in (plain, voided) if item.status_code == 200]
    assert len(existing) <= 1
    reported = existing[0].json() if existing else {}
    set_by_server = ("stored", "authority", "version")
    return (
        plain.status_code,
        voided.status_code,
        {key: reported[key] for key in reported if key not in set_by_server},
    )


async def rows(services: Services, partner: Partner, select: str, more: str = "") -> list[Any]:
    result = await services.database.readers.fetch(
        f"{select} where partner_id = $1 {more} order by 1", partner.partner_id
    )
    return [tuple(row) for row in result]


async def in_order(
    services: Services, http: httpx.AsyncClient, sent: Sequence[Sent], ids: Sequence[str]
) -> Json:
    """The results for a partner that receives each statement after its targets."""
    partner = await new_partner(services, http)
    for item in sent:
        await send(partner, [item], "xapi")
    return await answers(services, partner, ids)


# Every order


def small_world() -> list[Sent]:
    """Statements with a signature, an attachment, a reference and a voiding."""
    target, saw, void, other = (new_id() for _ in range(4))
    return [
        signed(target, 1),
        referring(saw, target, 3),
        voiding(void, target, 4),
        with_content(other, 6),
    ]


ORDERS = list(itertools.permutations(range(4)))
SOME_ORDERS = ORDERS[::5]
"""For the interfaces beside the first: all share one pipeline, in which the order matters."""


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["xapi", "partner", "put"])
async def test_every_order_of_single_requests_gives_the_same_results(
    services: Services, http: httpx.AsyncClient, interface: str
) -> None:
    sent = small_world()
    ids = [item.id for item in sent]
    expected = await in_order(services, http, sent, ids)
    assert expected[ids[0]][:2] == (404, 200)
    assert expected[str({"verb": READ})] == set(ids[1:])
    assert expected["unsettled"] == []
    for order in ORDERS if interface == "xapi" else SOME_ORDERS:
        partner = await new_partner(services, http)
        for position in order:
            await send(partner, [sent[position]], interface)
        assert await answers(services, partner, ids) == expected, order


@pytest.mark.slow
async def test_every_order_in_a_batch_gives_the_same_results(
    services: Services, http: httpx.AsyncClient
) -> None:
    sent = small_world()
    ids = [item.id for item in sent]
    expected = await in_order(services, http, sent, ids)
    for order in ORDERS:
        partner = await new_partner(services, http)
        await send(partner, [sent[position] for position in order], "xapi")
        assert await answers(services, partner, ids) == expected, order


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["xapi", "partner"])
async def test_every_order_in_a_batch_without_attachments_gives_the_same_results(
    services: Services, http: httpx.AsyncClient, interface: str
) -> None:
    ids = [new_id() for _ in range(4)]
    sent = [
        plain(ids[0], 1),
        referring(ids[1], ids[0], 3),
        voiding(ids[2], ids[1], 4),
        referring(ids[3], ids[2], 6),
    ]
    expected = await in_order(services, http, sent, ids)
    assert expected[ids[1]][:2] == (404, 200)
    for order in ORDERS if interface == "xapi" else SOME_ORDERS:
        partner = await new_partner(services, http)
        await send(partner, [sent[position] for position in order], interface)
        assert await answers(services, partner, ids) == expected, order


@pytest.mark.slow
async def test_concurrent_requests_give_the_same_results(
    services: Services, http: httpx.AsyncClient
) -> None:
    sent = small_world()
    ids = [item.id for item in sent]
    expected = await in_order(services, http, sent, ids)
    for order in SOME_ORDERS:
        partner = await new_partner(services, http)
        await asyncio.gather(*(send(partner, [sent[position]], "xapi") for position in order))
        assert await answers(services, partner, ids) == expected, order


@pytest.mark.parametrize("repeated", [1, 2])
async def test_repeated_statements_are_deduplicated(
    services: Services, http: httpx.AsyncClient, repeated: int
) -> None:
    sent = small_world()
    ids = [item.id for item in sent]
    expected = await in_order(services, http, sent, ids)
    partner = await new_partner(services, http)
    for item in [*reversed(sent), *sent * repeated]:
        await send(partner, [item], "xapi")
    await send(partner, sent, "xapi")
    assert await answers(services, partner, ids) == expected


# Random statements and orders


@dataclass(frozen=True)
class World:
    """Statements, each after its targets, and the requests that send them."""

    sent: list[Sent]
    batches: list[tuple[str, list[Sent]]]
    at_once: bool
    ids: list[str]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    ids = draw(st.lists(st.uuids(version=4).map(str), min_size=3, max_size=10, unique=True))
    never_arriving = ids[-1]
    sent: list[Sent] = []
    for number, own in enumerate(ids[:-1]):
        targets = st.sampled_from([*ids[:number], never_arriving])
        match draw(st.sampled_from(["plain", "signed", "content", "ref", "ref", "void", "both"])):
            case "plain":
                sent.append(plain(own, number))
            case "signed":
                sent.append(signed(own, number))
            case "content":
                sent.append(with_content(own, number))
            case "ref":
                sent.append(referring(own, draw(targets), number))
            case "void":
                sent.append(voiding(own, draw(targets), number))
            case _:
                reference = referring(own, draw(targets), number).statement
                members = {key: reference[key] for key in ("verb", "object", "context")}
                sent.append(signed(own, number, **members))
    arriving = draw(st.permutations(sent))
    batches = []
    while arriving:
        length = draw(st.integers(1, 4))
        interface = draw(st.sampled_from(["xapi", "partner", "put"]))
        batches.append((interface, arriving[:length]))
        arriving = arriving[length:]
    return World(sent, batches, draw(st.booleans()), ids)


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=examples(20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(world=worlds())
async def test_any_order_and_grouping_gives_the_same_results(
    services: Services, http: httpx.AsyncClient, world: World
) -> None:
    expected = await in_order(services, http, world.sent, world.ids)
    partner = await new_partner(services, http)
    requests = (send(partner, batch, interface) for interface, batch in world.batches)
    if world.at_once:
        await asyncio.gather(*requests)
    else:
        for item in requests:
            await item
    assert await answers(services, partner, world.ids) == expected
