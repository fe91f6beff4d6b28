"""Refusals over HTTP: list, pages, filters, visibility, and resubmission."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.errors import Conflict
from lrs.ledger.refusals import Origin
from lrs.pipes.identity import HEADER
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from tests.support.canvas import body, new_tool
from tests.support.files import SEEDS
from tests.support.ledger import counts, outcomes
from tests.support.partners import Partner, new_partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

INVALID = {**statement(), "verb": 1}
EVENT = json.loads((SEEDS / "percipio-track-event.json").read_bytes())


async def listed(partner: Partner, **params: Any) -> list[Json]:
    response = await partner.http.get(
        partner.url("refusals"), headers=partner.headers, params=params
    )
    assert response.status_code == 200, response.text
    result: list[Json] = response.json()["refusals"]
    return result


async def fetched(partner: Partner, refusal: Json) -> Json:
    response = await partner.http.get(
        partner.url(f"refusals/{refusal['id']}"), headers=partner.headers
    )
    assert response.status_code == 200, response.text
    result: Json = response.json()
    return result


async def resubmitted(partner: Partner, refusal: Json, corrected: Any = None) -> httpx.Response:
    content = b"" if corrected is None else json.dumps(corrected).encode()
    return await partner.http.post(
        partner.url(f"refusals/{refusal['id']}/resubmit"),
        headers={**partner.headers, **({"Content-Type": "application/json"} if content else {})},
        content=content,
    )


async def second_credential(services: Services, partner: Partner, *granted: str) -> Partner:
    """The same partner with another credential."""
    added = await registry.get_partner(services.database, partner.name)
    issued = await credentials.add_credential(
        services.database,
        added,
        kind="client",
        label="",
        granted=frozenset(granted),
        expires_at=None,
    )
    other = Partner(
        partner.http, partner.name, added.partner_id, added.home_page, issued.key, issued.secret
    )
    await other.authenticate()
    return other


async def test_refused_item_is_listed_at_once_and_read_with_its_text(partner: Partner) -> None:
    response = await partner.send([statement(), INVALID], headers={"X-Request-ID": "r-1"})
    (refusal,) = await listed(partner)
    assert refusal["problem"] == response.json()["results"][1]["problem"]
    assert (refusal["request_id"], refusal["index"]) == ("r-1", 1)
    assert refusal["credential"] == partner.key
    assert "item" not in refusal
    result = await fetched(partner, refusal)
    assert json.loads(result["item"]) == INVALID
    assert result["is_complete"]


async def test_pagination_returns_every_refusal_once(partner: Partner) -> None:
    for number in range(3):
        await partner.send([number] * 10)
    pages, url = [], f"{partner.url('refusals')}?limit=7&code=invalid-statement"
    while url:
        page = (await partner.http.get(url, headers=partner.headers)).json()
        pages.append(page["refusals"])
        url = page["more"]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    ids = [refusal["id"] for page in pages for refusal in page]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 30


async def test_filters_select_refusals(partner: Partner) -> None:
    await partner.send(INVALID, organization="north")
    await partner.xapi(1)
    (first,) = await listed(partner, code="invalid-statement", organization="north")
    assert await listed(partner, pointer="/verb") == [first]
    assert await listed(partner, source="statements", until=first["refused_at"]) == []
    assert await listed(partner, source="statements", since=first["refused_at"]) == [first]
    assert await listed(partner, credential="another") == []


@pytest.mark.parametrize(
    "params",
    [{"since": "yesterday"}, {"cursor": "x"}, {"source": "x"}, {"codes": "x"}, {"code": ""}],
)
async def test_invalid_filter_returns_400(partner: Partner, params: dict[str, str]) -> None:
    response = await partner.http.get(
        partner.url("refusals"), headers=partner.headers, params=params
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")


async def test_credential_without_read_scope_sees_its_own_refusals(
    services: Services, partner: Partner
) -> None:
    writer = await second_credential(services, partner, scopes.STATEMENTS_WRITE)
    await partner.send(INVALID)
    await writer.send(INVALID)
    (own,) = await listed(writer)
    assert own["credential"] == writer.key
    assert len(await listed(partner)) == 2
    assert await listed(writer, credential=partner.key) == [own]
    (foreign,) = await listed(partner, credential=partner.key)
    response = await writer.http.get(
        writer.url(f"refusals/{foreign['id']}"), headers=writer.headers
    )
    assert response.status_code == 404
    assert (await resubmitted(writer, foreign)).status_code == 404


async def test_another_partner_sees_no_refusal(partner: Partner, stranger: Partner) -> None:
    await partner.send(INVALID)
    (refusal,) = await listed(partner)
    assert await listed(stranger) == []
    response = await stranger.http.get(
        stranger.url(f"refusals/{refusal['id']}"), headers=stranger.headers
    )
    assert response.status_code == 404
    response = await stranger.http.get(partner.url("refusals"), headers=stranger.headers)
    assert response.status_code == 403


@pytest.mark.parametrize("name", ["x", "00000000-0000-4000-8000-000000000000", "%00"])
async def test_unknown_refusal_returns_404(partner: Partner, name: str) -> None:
    response = await partner.http.get(partner.url(f"refusals/{name}"), headers=partner.headers)
    assert (response.status_code, response.json()["code"]) == (404, "not-found")


async def test_corrected_statement_is_stored_with_its_organization(
    services: Services, partner: Partner
) -> None:
    await partner.send(INVALID, organization="north")
    (refusal,) = await listed(partner)
    corrected = statement(id=new_id())
    response = await resubmitted(partner, refusal, corrected)
    assert (response.status_code, response.json()) == (
        200,
        {"id": corrected["id"], "outcome": "stored"},
    )
    (stored,) = await partner.all()
    assert stored["id"] == corrected["id"]
    assert (await partner.get("north")).json()["statements"] == [stored]
    assert (await listed(partner))[0]["resubmitted_at"]
    again = await resubmitted(partner, refusal, corrected)
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")


async def test_unchanged_item_is_refused_again(partner: Partner) -> None:
    await partner.send(INVALID)
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal)
    assert (response.status_code, response.json()["code"]) == (400, "invalid-statement")
    assert [item["resubmitted_at"] for item in await listed(partner)] == [None, None]


async def test_item_beyond_a_quota_is_stored_unchanged_later(
    services: Services, partner: Partner
) -> None:
    limits = registry.LimitOverrides(max_statements_per_day=1)
    await registry.set_partner_limits(services.database, partner.name, limits)
    services.authenticator._caller_cache.clear()
    sent = statement(id=new_id())
    assert (await partner.send([sent, statement()])).status_code == 429
    refusal = (await listed(partner))[1]
    await registry.set_partner_limits(services.database, partner.name, registry.NO_OVERRIDES)
    services.authenticator._caller_cache.clear()
    response = await resubmitted(partner, refusal)
    assert (response.status_code, response.json()["id"]) == (200, sent["id"])


async def test_track_event_stays_a_track_event(services: Services, partner: Partner) -> None:
    await partner.send({**EVENT, "status": "unknown"}, resource="track")
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal, EVENT)
    assert response.json()["outcome"] == "stored"
    again = await partner.send(EVENT, resource="track")
    assert again.json()["code"] == "duplicate"


async def test_put_statement_keeps_the_requested_id(partner: Partner) -> None:
    requested = new_id()
    await partner.http.put(
        "/xapi/statements",
        params={"statementId": requested},
        json=INVALID,
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal, statement())
    assert response.json() == {"id": requested, "outcome": "stored"}


async def test_statement_of_a_pipe_keeps_its_source(services: Services, partner: Partner) -> None:
    from_a_pipe = {HEADER: "0" * 32}
    await partner.xapi(b"[{", **from_a_pipe)
    await partner.xapi(INVALID, **from_a_pipe)
    refusals = await listed(partner)
    assert [refusal["source"] for refusal in refusals] == ["forward"] * 2
    response = await resubmitted(partner, refusals[0], statement())
    assert response.json()["outcome"] == "stored"
    assert {count.key.source for count in await counts(services, partner)} == {"forward"}


async def test_refused_request_is_sent_again_as_a_batch(partner: Partner) -> None:
    await partner.send(b'[{"actor"')
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal, [statement(), INVALID])
    assert response.status_code == 207
    assert [item["outcome"] for item in response.json()["results"]] == ["stored", "invalid"]


async def test_array_instead_of_an_item_returns_400(partner: Partner) -> None:
    await partner.send(INVALID)
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal, [statement()])
    assert response.status_code == 400
    assert "one corrected item" in response.json()["detail"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"null", b"1"])
async def test_corrected_body_that_is_no_item_returns_400(partner: Partner, content: bytes) -> None:
    await partner.send(INVALID)
    (refusal,) = await listed(partner)
    response = await partner.http.post(
        partner.url(f"refusals/{refusal['id']}/resubmit"),
        headers={**partner.headers, "Content-Type": "application/json"},
        content=content,
    )
    assert response.status_code == 400


async def test_large_item_needs_a_body(partner: Partner) -> None:
    await partner.send(statement(context={"statement": "x" * 20_000}))
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal)
    assert response.status_code == 409
    assert "Only 16384 of" in response.json()["detail"]


async def test_item_without_text_needs_a_body(services: Services, partner: Partner) -> None:
    settings = PartnerSettings(keep_refused_items=False)
    await registry.set_partner_settings(services.database, partner.name, settings)
    services.authenticator._caller_cache.clear()
    await partner.send(INVALID)
    (refusal,) = await listed(partner)
    assert (await fetched(partner, refusal))["item"] is None
    assert (await resubmitted(partner, refusal)).status_code == 409
    assert (await resubmitted(partner, refusal, statement())).status_code == 200


async def test_resubmission_of_a_canvas_report_is_refused_with_the_reason(
    services: Services, partner: Partner
) -> None:
    tool = await new_tool(services, partner)
    await tool.send(body("not a duration"))
    (refusal,) = await listed(partner)
    response = await resubmitted(partner, refusal)
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert "only the tool can send it again" in response.json()["detail"]


async def test_resubmission_needs_the_scope_of_the_source(
    services: Services, partner: Partner
) -> None:
    reader = await second_credential(services, partner, scopes.STATEMENTS_READ)
    await partner.send(INVALID)
    (refusal,) = await listed(reader)
    response = await resubmitted(reader, refusal, statement())
    assert (response.status_code, response.json()["code"]) == (403, "missing-scope")


async def test_whoami_describes_the_caller(services: Services, partner: Partner) -> None:
    limits = registry.LimitOverrides(rate_limit="100/minute", max_statements_per_day=50)
    await registry.set_partner_limits(services.database, partner.name, limits)
    services.authenticator._caller_cache.clear()
    before = (await partner.http.get(partner.url("whoami"), headers=partner.headers)).json()
    assert (before["last_accepted_at"], before["last_refused_at"]) == (None, None)
    await partner.send([statement(), INVALID])
    response = await partner.http.get(partner.url("whoami"), headers=partner.headers)
    result = response.json()
    assert result["partner"]["name"] == partner.name
    assert (result["key"], result["label"], result["kind"]) == (partner.key, "tests", "client")
    assert scopes.STATEMENTS_WRITE in result["scopes"]
    assert (result["expires_at"], result["organizations"]) == (None, [])
    assert result["token_expires_at"] > result["server_time"]
    own = result["limits"]["partner"]
    assert own["rate"] == {"requests": 100, "seconds": 60, "remaining": own["rate"]["remaining"]}
    assert 90 <= own["rate"]["remaining"] < 100
    assert own["statements_per_day"]["limit"] == 50
    assert own["statements_per_day"]["remaining"] < 50
    assert result["endpoints"]["statements"].endswith(partner.url("statements"))
    assert result["last_accepted_at"] > before["server_time"]
    assert result["last_refused_at"] > before["server_time"]


async def test_whoami_lists_the_organizations_of_statements_and_imports(
    partner: Partner, stranger: Partner, connection: asyncpg.Connection
) -> None:
    for organization in ("north", "south", "north"):
        await partner.send(statement(), organization=organization)
    await stranger.send(statement(), organization="foreign")
    await connection.execute(
        "insert into learner_group (partner_id, name) values ($1, 'east'), ($1, 'north'), ($1, '')",
        partner.partner_id,
    )
    response = await partner.http.get(partner.url("whoami"), headers=partner.headers)
    assert response.json()["organizations"] == ["east", "north", "south"]


async def test_whoami_of_another_partner_returns_403(partner: Partner, stranger: Partner) -> None:
    response = await partner.http.get(stranger.url("whoami"), headers=partner.headers)
    assert response.status_code == 403


async def test_whoami_needs_no_scope(services: Services, http: httpx.AsyncClient) -> None:
    partner = await new_partner(services, http, frozenset({scopes.DEFINE}))
    response = await http.get(partner.url("whoami"), headers=partner.headers)
    assert (response.status_code, response.json()["scopes"]) == (200, ["define"])


async def test_resubmission_of_a_pulled_item_is_refused_with_the_reason(
    services: Services, partner: Partner
) -> None:
    origin = Origin(partner.partner_id, "pull", partner.key, "", None)
    services.ledger.refuse(origin, "conflict", Conflict("different"), b"{}", index=0)
    (refusal,) = await listed(partner)
    assert (await resubmitted(partner, refusal)).status_code == 409
    assert await outcomes(services, partner) == {"conflict": 1}
