"""The scope `statements/read/mine` reveals nothing that other authorities have stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.store import registry
from tests.support.attachments import (
    attachment_of,
    attachment_with_url,
    get,
    read,
    statement_with,
    stored,
)
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

OWN = frozenset({scopes.STATEMENTS_WRITE, scopes.STATEMENTS_READ_MINE, scopes.DEFINE})
CERTIFICATE = b"the certificate of another learner"
ACTIVITY = "http://example.com/activities/shared"


@dataclass
class Clients:
    """Two clients of one partner that read their own statements only, and one that reads all."""

    mine: Partner
    theirs: Partner
    all: Partner


@pytest.fixture
async def clients(partner: Partner, services: Services) -> Clients:
    async def client(granted: frozenset[str]) -> Partner:
        stored = await registry.get_partner(services.database, partner.name)
        issued = await credentials.add_credential(
            services.database, stored, kind="client", label="", granted=granted, expires_at=None
        )
        added = replace(partner, key=issued.key, secret=issued.secret)
        await added.authenticate()
        return added

    return Clients(await client(OWN), await client(OWN), partner)


# Attachments


async def test_attachment_of_another_client_is_not_returned(clients: Clients) -> None:
    """Not even to a client that declares one with the same SHA-2, and a URL instead of bytes."""
    await stored(clients.theirs, statement_with(attachment_of(CERTIFICATE)), CERTIFICATE)
    declared = statement_with(attachment_with_url(CERTIFICATE))
    assert (await clients.mine.xapi(declared)).status_code == 200
    for params in ({}, {"statementId": declared["id"]}):
        response = read(await get(clients.mine, attachments="true", **params))
        assert response.contents == {}
        response = read(await get(clients.all, attachments="true", **params))
        assert list(response.contents.values()) == [CERTIFICATE]


async def test_own_attachment_is_returned(clients: Clients) -> None:
    """Also one that another client has sent before."""
    for client in (clients.theirs, clients.mine):
        await stored(client, statement_with(attachment_of(CERTIFICATE)), CERTIFICATE)
    response = read(await get(clients.mine, attachments="true"))
    assert list(response.contents.values()) == [CERTIFICATE]


# Definitions


async def test_canonical_format_has_own_definitions_only(clients: Clients) -> None:
    def about(**definition: Any) -> Json:
        target = {"id": ACTIVITY, **({"definition": definition} if definition else {})}
        return statement(id=new_id(), object=target)

    await clients.theirs.xapi(about(description={"en": "Secret"}, name={"en": "Theirs"}))
    sent = [about(name={"en": "Mine", "de": "Meins"}), about()]
    assert (await clients.mine.xapi(sent)).status_code == 200
    for params in ({}, {"statementId": sent[0]["id"]}, {"statementId": sent[1]["id"]}):
        response = await clients.mine.get(format="canonical", **params)
        assert response.status_code == 200
        assert "Secret" not in response.text
        assert "Theirs" not in response.text
    response = await clients.mine.get(format="canonical", ascending="true")
    definitions = [item["object"].get("definition") for item in response.json()["statements"]]
    assert definitions == [{"name": {"en": "Mine"}}, None]
    assert "Secret" in (await clients.all.get(format="canonical")).text


@pytest.mark.parametrize(
    ("resource", "params"),
    [
        ("activities", {"activityId": ACTIVITY}),
        ("agents", {"agent": '{"mbox":"mailto:ann@example.com"}'}),
    ],
)
async def test_merged_entities_return_403(
    clients: Clients, resource: str, params: dict[str, str]
) -> None:
    response = await clients.mine.http.get(
        f"/xapi/{resource}", params=params, headers={**XAPI, **clients.mine.headers}
    )
    assert response.status_code == 403


# Conflicts


async def conflict(client: Partner, sent: Json, interface: str) -> Json:
    post = {"xapi": client.xapi, "partner": client.send}[interface]
    response = await post(sent)
    assert response.status_code == 409
    problem: Json = response.json()
    return problem


@pytest.mark.parametrize("interface", ["xapi", "partner"])
async def test_conflict_names_differences_from_readable_statements_only(
    clients: Clients, interface: str
) -> None:
    sent = statement(id=new_id(), result={"response": "theirs"})
    assert (await clients.theirs.xapi(sent)).status_code == 200
    other = {**sent, "result": {"response": "mine"}}
    for client, names_differences in (
        (clients.mine, False),
        (clients.theirs, True),
        (clients.all, True),
    ):
        problem = await conflict(client, other, interface)
        assert ("/result/response" in str(problem)) == names_differences
        assert sent["id"] in problem["detail"]
        assert "theirs" not in str(problem)


async def test_conflict_of_a_dry_run_names_no_differences_from_others(clients: Clients) -> None:
    sent = statement(id=new_id(), result={"response": "theirs"})
    assert (await clients.theirs.xapi(sent)).status_code == 200
    other = {**sent, "result": {"response": "mine"}}
    response = await clients.mine.send(other, params={"validate": "true"})
    assert response.status_code == 409
    assert "/result" not in response.text


async def test_conflict_of_track_events_names_no_differences_from_others(
    clients: Clients, services: Services
) -> None:
    event = {
        "content_id": "course",
        "user": "ann@example.com",
        "status": "completed",
        "event_date": "2026-01-01T08:30:00Z",
    }
    tracker = await _with_scope(clients.mine, services, scopes.TRACK_WRITE)
    assert (
        await clients.all.send({**event, "duration_spent": 80}, resource="track")
    ).status_code == 200
    other = {**event, "duration_spent": 90}
    own = await clients.all.send(other, resource="track")
    assert "/duration_spent" in own.text
    response = await tracker.send(other, resource="track")
    assert response.status_code == own.status_code
    assert "duration_spent" not in response.text


async def _with_scope(client: Partner, services: Services, scope: str) -> Partner:
    stored = await registry.get_partner(services.database, client.name)
    issued = await credentials.add_credential(
        services.database,
        stored,
        kind="client",
        label="",
        granted=frozenset({scope}),
        expires_at=None,
    )
    added = replace(client, key=issued.key, secret=issued.secret)
    await added.authenticate()
    return added
