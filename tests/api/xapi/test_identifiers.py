"""Spellings of one identifier: identity, equality, look-ups and documents."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import orjson
import pytest

from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

SHA1 = sha1(b"mailto:jane@example.com").hexdigest()
SPELLINGS = [
    ({"mbox": "mailto:Jane@Example.COM"}, {"mbox": "mailto:Jane@example.com"}),
    ({"mbox": "mailto:Jane@example.com"}, {"mbox": "mailto:Jane@EXAMPLE.com"}),
    ({"mbox": "MAILTO:Jane@example.com"}, {"mbox": "mailto:Jane@Example.com"}),
    ({"mbox_sha1sum": SHA1.upper()}, {"mbox_sha1sum": SHA1}),
]


@pytest.mark.parametrize(("sent", "other"), SPELLINGS)
@pytest.mark.parametrize("member", ["actor", "object", "instructor", "team member"])
async def test_resent_statement_with_another_spelling_is_a_duplicate(
    partner: Partner, sent: Json, other: Json, member: str
) -> None:
    first = _with_agent(member, sent)
    assert (await partner.xapi(first)).status_code == 200
    assert (
        await partner.xapi({**_with_agent(member, other), "id": first["id"]})
    ).status_code == 200
    (stored,) = await partner.all()
    assert stored[_top(member)] == first[_top(member)]


def _with_agent(member: str, agent: Json) -> Json:
    match member:
        case "actor":
            return statement(id=new_id(), actor=agent)
        case "object":
            return statement(id=new_id(), object={"objectType": "Agent", **agent})
        case "instructor":
            return statement(id=new_id(), context={"instructor": agent})
        case _:
            team = {"objectType": "Group", "member": [agent]}
            return statement(id=new_id(), context={"team": team})


def _top(member: str) -> str:
    return member if member in ("actor", "object") else "context"


@pytest.mark.parametrize(("sent", "other"), SPELLINGS)
async def test_agent_parameter_matches_every_spelling(
    partner: Partner, sent: Json, other: Json
) -> None:
    first, second = statement(id=new_id(), actor=sent), statement(id=new_id(), actor=other)
    assert (await partner.xapi([first, second])).status_code == 200
    for agent in (sent, other):
        response = await partner.http.get(
            "/xapi/statements",
            params={"agent": orjson.dumps(agent).decode()},
            headers=XAPI,
            auth=(partner.key, partner.secret),
        )
        ids = {item["id"] for item in response.json()["statements"]}
        assert ids == {first["id"], second["id"]}


@pytest.mark.parametrize(("sent", "other"), SPELLINGS)
async def test_state_document_belongs_to_every_spelling(
    partner: Partner, sent: Json, other: Json
) -> None:
    for method, agent, status in (("PUT", sent, 204), ("GET", other, 200)):
        response = await partner.http.request(
            method,
            "/xapi/activities/state",
            params={
                "activityId": "http://example.com/a",
                "agent": orjson.dumps(agent).decode(),
                "stateId": "bookmark",
            },
            content=b"{}" if method == "PUT" else None,
            headers={**XAPI, "Content-Type": "application/json"},
            auth=(partner.key, partner.secret),
        )
        assert response.status_code == status


async def test_local_part_of_an_address_is_case_sensitive(partner: Partner) -> None:
    first = statement(id=new_id(), actor={"mbox": "mailto:Jane@example.com"})
    assert (await partner.xapi(first)).status_code == 200
    other = {**first, "actor": {"mbox": "mailto:jane@example.com"}}
    response = await partner.xapi(other)
    assert response.status_code == 409
    assert [error["pointer"] for error in response.json()["errors"]] == ["/actor/mbox"]


async def test_language_tag_is_compared_without_case(partner: Partner) -> None:
    first = statement(id=new_id(), context={"language": "en-US"})
    assert (await partner.xapi(first)).status_code == 200
    assert (await partner.xapi({**first, "context": {"language": "en-us"}})).status_code == 200


@pytest.mark.parametrize(
    ("version", "requirement"),
    [("1.0.3", "xAPI 1.0.3 Data 2.3.1"), ("2.0.0", "IEEE 9274.1.1 4.2")],
)
async def test_conflict_cites_the_comparison_of_the_version(
    partner: Partner, version: str, requirement: str
) -> None:
    first = statement(id=new_id())
    assert (await partner.xapi(first)).status_code == 200
    response = await partner.http.post(
        "/xapi/statements",
        json={**first, "verb": {"id": "http://example.com/other"}},
        headers={"X-Experience-API-Version": version},
        auth=(partner.key, partner.secret),
    )
    assert response.status_code == 409
    (error,) = response.json()["errors"]
    assert (error["pointer"], error["requirement"]) == ("/verb/id", requirement)


async def test_equal_statements_without_ids_in_one_request_are_all_stored(
    partner: Partner,
) -> None:
    """A resend of the request is a duplicate, item by item."""
    sent = statement(timestamp="2024-05-13T14:25:00Z")
    first = await partner.send([sent, sent, sent])
    assert first.status_code == 200
    assert len(set(first.json())) == 3
    again = await partner.send([sent, sent, sent])
    assert again.status_code == 409
    assert [item["id"] for item in again.json()["results"]] == first.json()
    assert {item["outcome"] for item in again.json()["results"]} == {"duplicate"}
    assert len(await partner.all()) == 3
