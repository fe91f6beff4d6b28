"""Isolation of partners and organizations."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.partners import Partner
from tests.support.statements import new_id, statement


async def test_statements_are_isolated_by_partner(partner: Partner, stranger: Partner) -> None:
    statement_id = new_id()
    ours = statement(id=statement_id)
    theirs = statement(id=statement_id, object={"id": "http://example.com/course/theirs"})
    assert (await partner.send(ours)).status_code == 200
    assert (await stranger.get(statementId=statement_id)).status_code == 404
    assert (await stranger.send(theirs)).status_code == 200
    for client, sent in ((partner, ours), (stranger, theirs)):
        assert (await client.get(statementId=statement_id)).json()["object"] == sent["object"]
        assert len(await client.all()) == 1
    assert (await partner.send(ours)).json()["code"] == "duplicate"


async def test_pagination_cursor_of_another_partner_returns_own_statements_only(
    partner: Partner, stranger: Partner
) -> None:
    await partner.send([statement() for _ in range(3)])
    await stranger.send([statement() for _ in range(3)])
    more = (await partner.get(limit=1)).json()["more"]
    response = await stranger.http.get(
        more.replace(partner.name, stranger.name), headers=stranger.headers
    )
    own = {item["id"] for item in await stranger.all()}
    assert {item["id"] for item in response.json()["statements"]} <= own
    assert (await stranger.http.get(more, headers=stranger.headers)).status_code == 403


async def test_list_of_an_organization_has_its_own_statements_only(partner: Partner) -> None:
    organizations: tuple[str | None, ...] = (None, "acme", "Ünï org?&#%+")
    ids = {}
    for organization in organizations:
        quoted = None if organization is None else quote(organization, safe="")
        (ids[organization],) = (await partner.send(statement(), organization=quoted)).json()
    for organization in organizations[1:]:
        assert organization is not None
        quoted = quote(organization, safe="")
        response = await partner.get(quoted)
        assert [item["id"] for item in response.json()["statements"]] == [ids[organization]]
        one = await partner.get(quoted, statementId=ids[organization])
        assert one.status_code == 200
        assert (await partner.get(quoted, statementId=ids[None])).status_code == 404
    assert {item["id"] for item in await partner.all()} == set(ids.values())
    assert (await partner.get("ACME")).json()["statements"] == []


@pytest.mark.parametrize("organization", ["acme", "Ünï%20org%3F%26%23%25+"])
async def test_pagination_stays_within_the_organization(
    partner: Partner, organization: str
) -> None:
    await partner.send([statement() for _ in range(3)])
    ids = (await partner.send([statement()] * 5, organization=organization)).json()
    result = []
    response = await partner.get(organization, limit=2)
    while True:
        result += [item["id"] for item in response.json()["statements"]]
        if not response.json()["more"]:
            break
        response = await partner.http.get(response.json()["more"], headers=partner.headers)
    assert sorted(result) == sorted(ids)
