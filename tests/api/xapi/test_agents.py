"""GET /agents: identifiers and names of a person."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.support.entities import (
    ACTIVITY,
    IDENTIFIERS,
    LEARNER,
    VERSION,
    Json,
    defining,
    definition,
    get,
    names,
    person,
    send,
    send_batch,
)
from tests.support.partners import Partner
from tests.support.statements import XAPI, statement


@pytest.mark.parametrize("agent", IDENTIFIERS, ids=lambda agent: next(iter(agent)))
async def test_person_has_the_identifier_and_every_name(partner: Partner, agent: Json) -> None:
    (identifier,) = agent
    unknown = await person(partner, agent)
    assert unknown == {"objectType": "Person", identifier: [agent[identifier]]}
    for name in ("Ann", "Ann Doe", "Ann", "\u5b89"):
        await send(partner, statement(actor={**agent, "name": name}))
    existing = await person(partner, agent)
    assert existing.pop("name") == sorted({"Ann", "Ann Doe", "\u5b89"})
    assert existing == unknown


async def test_names_are_collected_from_every_role(partner: Partner) -> None:
    numbers = itertools.count()
    value: list[str] = []

    def ann(**members: Any) -> Json:
        value.append(f"Ann {next(numbers):02}")
        return {**LEARNER, "name": value[-1], **members}

    def group(*members: Json, **more: Any) -> Json:
        return {"objectType": "Group", "member": list(members), **more}

    other = {"mbox": "mailto:other@example.com"}
    sent = [
        statement(actor=ann()),
        statement(actor=group(other, ann())),
        statement(actor=group(ann(), mbox="mailto:team@example.com", name="No person")),
        statement(object=ann(objectType="Agent")),
        statement(object=group(ann())),
        statement(context={"instructor": ann(), "team": group(ann())}),
        statement(
            object={
                "objectType": "SubStatement",
                "actor": ann(),
                "verb": {"id": "http://example.com/v"},
                "object": ann(objectType="Agent"),
                "context": {"instructor": group(ann(), other)},
            }
        ),
    ]
    await send(partner, *sent)
    in_2_0 = {
        "contextAgents": [{"objectType": "contextAgent", "agent": ann()}],
        "contextGroups": [{"objectType": "contextGroup", "group": group(ann())}],
    }
    await send(partner, statement(context=in_2_0), version="2.0.0")
    assert await names(partner, LEARNER) == value
    assert "name" not in await person(partner, {"mbox": "mailto:team@example.com"})


async def test_names_are_collected_from_batches_and_the_partner_interface(partner: Partner) -> None:
    batch = [statement(actor={**LEARNER, "name": f"Name {number:02}"}) for number in range(30)]
    await send_batch(partner, *batch)
    response = await partner.send(statement(actor={**LEARNER, "name": "Other"}))
    assert response.status_code == 200
    assert await names(partner, LEARNER) == [*(f"Name {n:02}" for n in range(30)), "Other"]


async def test_name_in_the_agent_parameter_is_included(partner: Partner) -> None:
    await send(partner, statement(actor={**LEARNER, "name": "Known"}))
    assert await names(partner, {**LEARNER, "name": "Asked"}) == ["Asked", "Known"]
    assert await names(partner, {**LEARNER, "name": "Known"}) == ["Known"]
    assert await names(partner, LEARNER) == ["Known"]


async def test_identifiers_of_different_types_are_distinct(partner: Partner) -> None:
    same = "http://ann.openid.example.org/"
    await send(
        partner,
        statement(actor={"openid": same, "name": "By openid"}),
        statement(actor={"account": {"homePage": same, "name": "x"}, "name": "By account"}),
    )
    assert await names(partner, {"openid": same}) == ["By openid"]
    assert await names(partner, {"account": {"homePage": same, "name": "x"}}) == ["By account"]
    assert await names(partner, {"account": {"homePage": same, "name": "y"}}) == []


async def test_identified_group_is_accepted(partner: Partner) -> None:
    team = {"objectType": "Group", "mbox": "mailto:team@example.com"}
    await send(partner, statement(actor={**team, "name": "The team"}))
    assert await person(partner, team) == {"objectType": "Person", "mbox": [team["mbox"]]}


async def test_long_name_in_any_script_is_returned(partner: Partner) -> None:
    name = "\U0001d11e" * 20_000
    await send(partner, statement(actor={**LEARNER, "name": name}))
    assert await names(partner, LEARNER) == [name]
    await send(partner, statement(actor={**LEARNER, "name": ""}))
    assert await names(partner, LEARNER) == [name]


@pytest.mark.parametrize(
    "agent",
    [
        "true",
        "7",
        "[]",
        "{}",
        "not JSON",
        '{"mbox":"nobody"}',
        '{"mbox":"mailto:a@b.example","openid":"http://a.example/"}',
        '{"mbox":"mailto:a@b.example","mbox":"mailto:c@d.example"}',
        '{"mbox":"mailto:a@b.example","name":"\\u0000"}',
        '{"mbox":"mailto:a@b.example","name":"\\ud800"}',
        '{"objectType":"Group","member":[{"mbox":"mailto:a@b.example"}]}',
        '{"objectType":"Person","mbox":["mailto:a@b.example"]}',
        "",
    ],
)
async def test_invalid_agent_parameter_is_refused(partner: Partner, agent: str) -> None:
    response = await get(partner, "agents", agent=agent)
    assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")
    assert [error["pointer"] for error in response.json()["errors"]] == ["agent"]


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
async def test_unknown_or_missing_parameter_is_refused(partner: Partner, version: str) -> None:
    agent = json.dumps(LEARNER)
    requested: list[tuple[str, dict[str, str], list[str]]] = [
        ("agents", {}, ["agent"]),
        ("agents", {"Agent": agent}, ["Agent", "agent"]),
        ("agents", {"agent": agent, "activityId": ACTIVITY}, ["activityId"]),
        ("activities", {}, ["activityId"]),
        ("activities", {"activityId": "not an IRI"}, ["activityId"]),
        ("activities", {"activityId": ""}, ["activityId"]),
        ("activities", {"activityid": ACTIVITY}, ["activityid", "activityId"]),
    ]
    for resource, params, pointers in requested:
        response = await get(partner, resource, version=version, **params)
        assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")
        assert [error["pointer"] for error in response.json()["errors"]] == pointers
        assert response.headers[VERSION] == version
    for query in ("activityId=%ff", f"activityId={ACTIVITY}&activityId={ACTIVITY}"):
        url = f"/xapi/activities?{query}"
        assert (await partner.http.get(url, headers=XAPI | partner.headers)).status_code == 400


async def test_names_and_definitions_are_isolated_by_partner(
    partner: Partner, stranger: Partner
) -> None:
    reported = defining(name={"en": "Ours"})
    await send(partner, {**reported, "actor": {**LEARNER, "name": "Ours"}})
    assert await names(stranger, LEARNER) == []
    assert await definition(stranger) == {}
    # The cache of one partner does not apply to another.
    await send(stranger, {**reported, "actor": {**LEARNER, "name": "Ours"}})
    assert await names(stranger, LEARNER) == ["Ours"]
    assert await definition(stranger) == {"name": {"en": "Ours"}}
