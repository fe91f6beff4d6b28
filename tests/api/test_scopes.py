"""Scopes on every resource (xAPI 1.0.3 Communication 4.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.store import registry
from lrs.store.statements import filters, page_query, sequence
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.statement_query import StatementQuery
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

STATEMENTS = "/xapi/statements"
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
AGENT = {"mbox": "mailto:learner@example.com"}
ACTIVITY = "http://example.com/course/1"


@dataclass
class ScopedClient:
    """A client with a credential of a partner, for every interface."""

    partner: Partner
    key: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {**XAPI, "Authorization": f"Bearer {self.token}"}

    async def ask(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        headers = self.headers | arguments.pop("headers", {})
        return await self.partner.http.request(method, url, headers=headers, **arguments)

    async def post(self, *sent: Json) -> list[str]:
        response = await self.ask("POST", STATEMENTS, json=list(sent))
        assert response.status_code == 200, response.text
        return list(response.json())

    async def get(self, **params: str) -> httpx.Response:
        return await self.ask("GET", STATEMENTS, params=params)

    async def ids(self, **params: str) -> list[str]:
        """The ids of all pages of a list."""
        response = await self.get(**params)
        result: list[str] = []
        while True:
            assert response.status_code == 200, response.text
            page = response.json()
            result += [item["id"] for item in page["statements"]]
            if not page["more"]:
                return result
            response = await self.ask("GET", page["more"])


async def scoped_client(
    services: Services, partner: Partner, *granted: str, label: str = ""
) -> ScopedClient:
    database = services.database
    issued = await credentials.add_credential(
        database,
        await registry.get_partner(database, partner.name),
        kind="bearer",
        label=label,
        granted=frozenset(granted),
        expires_at=None,
    )
    return ScopedClient(partner, issued.key, issued.token)


# Scopes of requests


@dataclass(frozen=True)
class Call:
    """A request that requires one of `scopes`; an error names the first."""

    method: str
    path: str
    params: Json
    scopes: tuple[str, ...]
    content: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def calls() -> Iterator[Call]:
    write = (scopes.STATEMENTS_WRITE,)
    read = (scopes.STATEMENTS_READ, scopes.STATEMENTS_READ_MINE, scopes.ALL_READ)
    existing = (scopes.STATEMENTS_READ, scopes.PROFILE, scopes.ALL_READ)
    own = "/v1/partners/{partner}"
    for path in (STATEMENTS, f"{own}/statements", f"{own}/organizations/north/statements"):
        yield Call("POST", path, {}, write, statement())
        for method in ("GET", "HEAD"):
            yield Call(method, path, {}, read)
    yield Call("PUT", STATEMENTS, {"statementId": new_id()}, write, statement())
    for method in ("GET", "HEAD"):
        yield Call(method, "/xapi/agents", {"agent": json.dumps(AGENT)}, existing)
        yield Call(method, "/xapi/activities", {"activityId": ACTIVITY}, existing)
        yield Call(method, "/xapi/about", {}, tuple(scopes.SUPPORTED))
    event = {
        "content_id": "x",
        "user": "x@example.com",
        "status": "started",
        "event_date": "2026-01-01T00:00:00Z",
    }
    for path in (f"{own}/track", f"{own}/organizations/north/track"):
        yield Call("POST", path, {}, (scopes.TRACK_WRITE,), event)
    agent, activity = {"agent": json.dumps(AGENT)}, {"activityId": ACTIVITY}
    for path, params, scope in (
        ("/xapi/activities/state", {**activity, **agent, "stateId": "x"}, scopes.STATE),
        ("/xapi/agents/profile", {**agent, "profileId": "x"}, scopes.PROFILE),
        ("/xapi/activities/profile", {**activity, "profileId": "x"}, scopes.PROFILE),
    ):
        yield Call("POST", path, params, (scope,), {"a": 1})
        yield Call("PUT", path, params, (scope,), {"a": 1}, (("If-Match", "*"),))
        for method in ("GET", "HEAD"):
            yield Call(method, path, params, (scope, scopes.ALL_READ))
        yield Call("DELETE", path, params, (scope,))
        if scope == scopes.STATE:
            without_id = {name: params[name] for name in ("activityId", "agent")}
            yield Call("GET", path, without_id, (scope, scopes.ALL_READ))
            yield Call("DELETE", path, without_id, (scope,))


CALLS = list(calls())


@pytest.mark.parametrize("call", CALLS, ids=str)
async def test_request_without_its_scope_returns_403(
    partner: Partner, services: Services, call: Call
) -> None:
    everything = await scoped_client(services, partner, scopes.ALL)
    path = call.path.replace("{partner}", partner.name)
    for scope in scopes.SUPPORTED:
        if "stateId" in call.params or "profileId" in call.params:  # the document exists
            await everything.ask("POST", path, params=call.params, json={"b": 2})
        client = await scoped_client(services, partner, scope)
        response = await client.ask(
            call.method, path, params=call.params, json=call.content, headers=dict(call.headers)
        )
        if scope in (*call.scopes, scopes.ALL, scopes.ADMIN):
            assert response.status_code in (200, 204, 409), (scope, response.text)
            continue
        assert response.status_code == 403, scope
        challenge = response.headers["www-authenticate"]
        assert challenge == f'Bearer error="insufficient_scope", scope="{call.scopes[0]}"'
        if call.method != "HEAD":
            assert response.json()["code"] == "missing-scope"
            assert call.scopes[0] in response.json()["detail"]


async def test_request_refused_for_its_scope_changes_nothing(
    partner: Partner, services: Services
) -> None:
    reader = await scoped_client(services, partner, scopes.ALL_READ, scopes.DEFINE)
    everything = await scoped_client(services, partner, scopes.ALL)
    for call in CALLS:
        if call.content is not None or call.method == "DELETE":
            path = call.path.replace("{partner}", partner.name)
            response = await reader.ask(call.method, path, params=call.params, json=call.content)
            assert response.status_code == 403, call
    assert await everything.ids() == []


async def test_about_requires_no_scope(http: httpx.AsyncClient, partner: Partner) -> None:
    for headers in ({}, {"Authorization": "Basic nonsense"}, partner.headers):
        response = await http.get("/xapi/about", headers=headers)
        assert response.status_code == 200
        assert {"1.0.3", "2.0.0"} <= set(response.json()["version"])


@pytest.mark.parametrize(
    ("granted", "requested", "allowed"),
    [
        ({scopes.ALL}, "statements/read", {"GET"}),
        ({scopes.ALL}, "statements/write statements/read/mine", {"GET", "POST"}),
        ({scopes.ALL}, "api", {"GET", "POST"}),
        ({scopes.STATEMENTS_READ, scopes.STATEMENTS_WRITE}, "statements/write", {"POST"}),
        ({scopes.ALL_READ}, "", {"GET"}),
    ],
)
async def test_token_is_limited_to_its_requested_scopes(
    partner: Partner, services: Services, granted: set[str], requested: str, allowed: set[str]
) -> None:
    database = services.database
    issued = await credentials.add_credential(
        database,
        await registry.get_partner(database, partner.name),
        kind="client",
        label="",
        granted=frozenset(granted),
        expires_at=None,
    )
    response = await partner.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", **({"scope": requested} if requested else {})},
        auth=(issued.key, issued.secret),
    )
    client = ScopedClient(partner, issued.key, response.json()["access_token"])
    for method, content in (("GET", None), ("POST", statement())):
        response = await client.ask(method, STATEMENTS, json=content)
        assert (response.status_code == 200) == (method in allowed), (method, response.text)


# statements/read/mine


@dataclass
class Two:
    """Two clients that read their own statements only, and one that reads all."""

    mine: ScopedClient
    theirs: ScopedClient
    all: ScopedClient


@pytest.fixture
async def two(partner: Partner, services: Services) -> Two:
    own = (scopes.STATEMENTS_WRITE, scopes.STATEMENTS_READ_MINE)
    return Two(
        await scoped_client(services, partner, *own),
        await scoped_client(services, partner, *own),
        await scoped_client(services, partner, scopes.ALL_READ),
    )


async def test_list_with_read_mine_has_own_statements_only(two: Two) -> None:
    mine = await two.mine.post(*(statement() for _ in range(3)))
    theirs = await two.theirs.post(statement(), statement())
    assert sorted(await two.mine.ids()) == sorted(mine)
    assert sorted(await two.theirs.ids()) == sorted(theirs)
    assert sorted(await two.all.ids()) == sorted(mine + theirs)


@pytest.mark.parametrize(
    "params",
    [
        {"agent": json.dumps(AGENT)},
        {"agent": json.dumps(AGENT), "related_agents": "true"},
        {"activity": ACTIVITY, "related_activities": "true"},
        {"verb": "http://adlnet.gov/expapi/verbs/completed"},
        {"ascending": "true"},
        {"since": "2020-01-01T00:00:00Z", "limit": "2"},
        {"format": "canonical"},
    ],
)
async def test_filter_with_read_mine_returns_own_statements_only(two: Two, params: Json) -> None:
    mine = await two.mine.post(*(statement() for _ in range(3)))
    await two.theirs.post(*(statement() for _ in range(3)))
    assert sorted(await two.mine.ids(**params)) == sorted(mine)
    assert len(await two.all.ids(**params)) == 6


async def test_authority_filter_with_read_mine_returns_nothing_of_others(two: Two) -> None:
    """`related_agents` matches the authority."""
    await two.theirs.post(statement())
    home_page = two.mine.partner.home_page
    authority = {"account": {"homePage": home_page, "name": two.theirs.key}}
    params = {"agent": json.dumps(authority), "related_agents": "true"}
    assert await two.mine.ids(**params) == []
    assert len(await two.all.ids(**params)) == 1


async def test_cursor_of_another_client_returns_own_statements_only(two: Two) -> None:
    mine = await two.mine.post(*(statement() for _ in range(2)))
    theirs = await two.theirs.post(*(statement() for _ in range(4)))
    more = (await two.all.get(limit="1")).json()["more"]
    result = (await two.mine.ask("GET", more.replace("limit=1&", ""))).json()["statements"]
    assert {item["id"] for item in result} <= set(mine)
    assert not {item["id"] for item in result} & set(theirs)


async def test_sent_authority_does_not_make_a_statement_own(two: Two) -> None:
    home_page = two.mine.partner.home_page
    authority = {"account": {"homePage": home_page, "name": two.mine.key}}
    (sent,) = await two.theirs.post(statement(authority=authority))
    assert await two.mine.ids() == []
    assert await two.theirs.ids() == [sent]


async def test_statement_of_another_client_returns_404(two: Two) -> None:
    (sent,) = await two.mine.post(statement())
    for client, status in ((two.mine, 200), (two.all, 200), (two.theirs, 404)):
        for method in ("GET", "HEAD"):
            response = await client.ask(method, STATEMENTS, params={"statementId": sent})
            assert response.status_code == status
        assert (await client.get(voidedStatementId=sent)).status_code == 404


async def test_voided_statement_of_another_client_returns_404(two: Two) -> None:
    """Whichever client voided it."""
    (sent,) = await two.mine.post(statement())
    target = {"objectType": "StatementRef", "id": sent}
    (voiding,) = await two.theirs.post(statement(verb={"id": VOIDED}, object=target))
    for client, status in ((two.mine, 200), (two.all, 200), (two.theirs, 404)):
        assert (await client.get(voidedStatementId=sent)).status_code == status
        assert (await client.get(statementId=sent)).status_code == 404
    assert await two.mine.ids() == []
    assert await two.theirs.ids() == [voiding]


async def test_reference_to_a_statement_of_another_client_is_listed(two: Two) -> None:
    (target,) = await two.theirs.post(statement(verb={"id": "http://example.com/verbs/read"}))
    reference = {"objectType": "StatementRef", "id": target}
    (mine,) = await two.mine.post(statement(object=reference))
    assert await two.mine.ids(verb="http://example.com/verbs/read") == [mine]


async def test_conflict_with_a_statement_of_another_client_hides_the_differences(two: Two) -> None:
    (sent,) = await two.mine.post(statement(result={"response": "a secret"}))
    response = await two.theirs.ask("POST", STATEMENTS, json=statement(id=sent))
    assert response.status_code == 409
    assert "a secret" not in response.text


async def test_read_mine_applies_to_track_events_and_the_partner_interface(
    partner: Partner, services: Services, two: Two
) -> None:
    tracker = await scoped_client(
        services, partner, scopes.TRACK_WRITE, scopes.STATEMENTS_READ_MINE
    )
    event = {
        "content_id": "x",
        "user": "x@example.com",
        "status": "started",
        "event_date": "2026-01-01T00:00:00Z",
    }
    response = await tracker.ask("POST", partner.url("track"), json=event)
    assert response.status_code == 200, response.text
    await two.mine.post(statement())
    for client, count in ((tracker, 1), (two.mine, 1), (two.theirs, 0), (two.all, 2)):
        listed = await client.ask("GET", partner.url("statements"))
        assert len(listed.json()["statements"]) == count


_ROWS = """
insert into statement
    (partner_id, statement_id, sequence, verb_key, authority_key, digest, payload)
select $1, gen_random_uuid(), $2::bigint + (n * 1000000::bigint << 10), 1, n % 50 # $3::bigint,
    'x', 'x'
from generate_series(1, 5000) as n
"""


async def test_list_with_read_mine_uses_the_authority_index(
    partner: Partner, services: Services
) -> None:
    beginning = datetime(2026, 1, 1, tzinfo=UTC)
    async with services.database.lists.acquire() as connection:
        undone = connection.transaction()  # rolled back, so that other tests keep their plans
        await undone.start()
        try:
            await connection.execute(
                _ROWS,
                partner.partner_id,
                sequence.first_at(beginning),
                key_salt(partner.partner_id),
            )
            await connection.execute("analyze statement")
            for query in (
                StatementQuery(25),
                StatementQuery(25, ascending=True),
                StatementQuery(25, since=beginning + timedelta(hours=1)),
            ):
                selection = filters.build_filter(
                    query, watermark=beginning + timedelta(days=1), authority_key=7
                )
                sql, arguments = page_query.build_page_query(partner.partner_id, selection)
                text = await connection.fetchval(f"explain (format json) {sql}", *arguments)
                plan = list(nodes(json.loads(text)[0]["Plan"]))
                kinds = {node["Node Type"] for node in plan}
                assert "statement_by_authority" in [node.get("Index Name") for node in plan]
                assert "Seq Scan" not in kinds
        finally:
            await undone.rollback()


def nodes(plan: Json) -> Iterator[Json]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


# define


async def get_entity(client: ScopedClient, resource: str, **params: str) -> Json:
    response = await client.ask("GET", f"/xapi/{resource}", params=params)
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.mark.parametrize("interface", ["xapi", "partner"])
async def test_statement_without_define_scope_changes_no_definitions_and_names(
    partner: Partner, services: Services, interface: str
) -> None:
    writer = await scoped_client(services, partner, scopes.STATEMENTS_WRITE)
    definer = await scoped_client(services, partner, scopes.STATEMENTS_WRITE, scopes.DEFINE)
    reader = await scoped_client(services, partner, scopes.ALL_READ)
    url = STATEMENTS if interface == "xapi" else partner.url("statements")

    def sent(name: str) -> Json:
        return statement(
            id=new_id(),
            actor={**AGENT, "name": name},
            object={"id": ACTIVITY, "definition": {"name": {"en": name}}},
        )

    first = sent("First")
    assert (await writer.ask("POST", url, json=first)).status_code == 200
    assert await get_entity(reader, "activities", activityId=ACTIVITY) == {
        "objectType": "Activity",
        "id": ACTIVITY,
    }
    assert "name" not in await get_entity(reader, "agents", agent=json.dumps(AGENT))
    # The statement keeps its own definitions in every format.
    for form in ("exact", "canonical"):
        response = await reader.get(statementId=first["id"], format=form)
        assert response.json()["object"]["definition"]["name"] == {"en": "First"}
    # The same statement from a client with define is a duplicate.
    assert (await definer.ask("POST", url, json=first)).status_code in (200, 409)
    assert "definition" not in await get_entity(reader, "activities", activityId=ACTIVITY)
    assert (await definer.ask("POST", url, json=sent("Second"))).status_code == 200
    assert (await writer.ask("POST", url, json=sent("Third"))).status_code == 200
    activity = await get_entity(reader, "activities", activityId=ACTIVITY)
    assert activity["definition"]["name"] == {"en": "Second"}
    person = await get_entity(reader, "agents", agent=json.dumps(AGENT))
    assert person["name"] == ["Second"]
    # The canonical format has the merged definition, also for the client without define.
    response = await reader.get(statementId=first["id"], format="canonical")
    assert response.json()["object"]["definition"]["name"] == {"en": "Second"}


async def test_authority_name_is_the_label_of_the_credential(
    partner: Partner, services: Services
) -> None:
    sender = await scoped_client(services, partner, scopes.ALL, label="The learning portal")
    impostor = {"mbox": "mailto:impostor@example.com", "name": "Impostor"}
    await sender.post(statement(authority=impostor))
    authority = {"account": {"homePage": partner.home_page, "name": sender.key}}
    person = await get_entity(sender, "agents", agent=json.dumps(authority))
    assert person["name"] == ["The learning portal"]
    del impostor["name"]
    assert "name" not in await get_entity(sender, "agents", agent=json.dumps(impostor))
