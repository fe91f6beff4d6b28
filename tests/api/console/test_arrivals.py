"""Denied requests and refused items: shown with the cause, corrected and sent again."""

from __future__ import annotations

import html
import json
import re

import httpx

from lrs.admin.attempt_advice import describe
from lrs.api.services import Services
from lrs.pipes.identity import HEADER
from lrs.store import pipes as store
from lrs.store.attempts import AttemptCount
from tests.api.console.conftest import Client, Filled
from tests.support.learner_records import NOON
from tests.support.ledger import kept
from tests.support.partners import Partner
from tests.support.pipes import pull_invalid
from tests.support.statements import XAPI, statement


async def test_refused_item_is_corrected_and_sent_again(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path = f"/console/partners/{filled.partner.name}/refusals"
    assert "invalid-statement" in (await owner.get(path)).text
    page = (await owner.get(f"{path}/{filled.refusal_id}")).text
    assert "/actor/mbox" in page
    (text,) = re.findall("<textarea[^>]*>([^<]*)</textarea>", page)
    item = json.loads(html.unescape(text))
    response = await owner.post(f"{path}/{filled.refusal_id}/resubmit", data={"item": text[:-5]})
    assert (response.status_code, 'role="alert"' in response.text) == (400, True)
    item["actor"]["mbox"] = "mailto:ada@hidden.example"
    form = {"item": json.dumps(item, indent=2)}
    response = await owner.post(f"{path}/{filled.refusal_id}/resubmit", data=form)
    assert response.status_code == 200
    assert "Sent again: stored" in response.text
    (statement_id,) = re.findall("/statements/([0-9a-f-]{36})", response.text)
    assert (await filled.partner.get(statementId=statement_id)).status_code == 200


async def test_refused_item_of_a_pull_is_corrected_and_shown_with_its_origin(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await pull_invalid(services, partner)
    (refusal,) = await kept(services, partner)
    path = f"/console/partners/{partner.name}/refusals/{refusal.refusal_id}"
    page = (await owner.get(path)).text
    assert f'href="/console/partners/{partner.name}/pipes/history">pipe history</a>' in page
    (text,) = re.findall("<textarea[^>]*>([^<]*)</textarea>", page)
    item = json.loads(html.unescape(text))
    form = {"item": json.dumps(item, indent=2)}
    response = await owner.post(f"{path}/resubmit", data=form)
    assert (response.status_code, "/actor/mbox" in response.text) == (400, True)
    item["actor"]["mbox"] = "mailto:ada@hidden.example"
    form = {"item": json.dumps(item, indent=2)}
    response = await owner.post(f"{path}/resubmit", data=form)
    assert "Sent again: stored" in response.text
    page = (await owner.get(f"/console/partners/{partner.name}/statements/{item['id']}")).text
    assert "lrs@source.example" in page
    assert "2026-01-01" in page


async def test_statement_of_a_forwarding_pipe_is_corrected_and_shows_how_it_arrived(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await partner.xapi({**statement(), "verb": 1}, **{HEADER: "0" * 32})
    await services.ledger.write()
    (refusal,) = await kept(services, partner)
    path = f"/console/partners/{partner.name}/refusals/{refusal.refusal_id}"
    assert "<textarea" in (await owner.get(path)).text
    response = await owner.post(f"{path}/resubmit", data={"item": json.dumps(statement())})
    (statement_id,) = re.findall("/statements/([0-9a-f-]{36})", response.text)
    page = (await owner.get(f"/console/partners/{partner.name}/statements/{statement_id}")).text
    assert "a pipe of another LRS" in page


async def test_refused_item_of_a_removed_pipe_is_not_sent_again(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await pull_invalid(services, partner)
    (refusal,) = await kept(services, partner)
    path = f"/console/partners/{partner.name}/refusals/{refusal.refusal_id}"
    await store.remove(services.database, partner.partner_id, "history")
    response = await owner.post(f"{path}/resubmit", data={"item": "{}"})
    assert (response.status_code, "was removed" in response.text) == (409, True)


async def test_refusal_is_dropped(owner: httpx.AsyncClient, filled: Filled) -> None:
    path = f"/console/partners/{filled.partner.name}/refusals"
    response = await owner.post(f"{path}/{filled.refusal_id}/drop", data={})
    assert response.headers["location"] == path
    assert (await owner.get(f"{path}/{filled.refusal_id}")).status_code == 404


async def test_viewer_changes_nothing(client: Client, filled: Filled) -> None:
    viewer = await client("viewer")
    own = f"/console/partners/{filled.partner.name}"
    for path in (f"refusals/{filled.refusal_id}/resubmit", f"refusals/{filled.refusal_id}/drop"):
        assert (await viewer.post(f"{own}/{path}", data={"item": "{}"})).status_code == 403
    assert (await viewer.post(f"{own}/connect", data={})).status_code == 403


async def test_form_of_another_origin_changes_nothing(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    path = f"/console/partners/{filled.partner.name}/refusals/{filled.refusal_id}/drop"
    response = await owner.post(path, data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403


async def test_wrong_url_is_on_the_page_with_the_right_one(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await services.ledger.write()  # attempts of other tests count for the limit of the address
    await partner.http.get(f"/v1/partner/{partner.name}/statements", headers=XAPI | partner.headers)
    await services.ledger.write()
    page = (await owner.get(f"/console/partners/{partner.name}/connect")).text
    assert f"There is nothing at /v1/partner/{partner.name}/statements." in page
    assert f"/v1/partners/{partner.name}/statements is meant" in page


async def test_test_credential_works_and_ends(owner: httpx.AsyncClient, partner: Partner) -> None:
    response = await owner.post(f"/console/partners/{partner.name}/connect", data={})
    key, secret = re.findall("<dd><code>([^<]+)</code></dd>", response.text)[:2]
    form = {"grant_type": "client_credentials"}
    token = await partner.http.post("/oauth2/token", data=form, auth=(key, secret))
    headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
    assert (await partner.http.get(partner.url("whoami"), headers=headers)).status_code == 200
    checked = await partner.http.post(
        partner.url("statements"), params={"validate": "true"}, json=statement(), headers=headers
    )
    assert checked.status_code == 200
    credential = (await owner.get(f"/v1/admin/partners/{partner.name}/credentials/{key}")).json()
    assert credential["label"] == "connection test"
    assert credential["expires_at"] is not None


def test_attempts_have_a_cause_and_an_advice() -> None:
    cases = {
        (401, "unauthorized", None): "names no key",
        (401, "unauthorized", "k1"): "The key k1 was refused",
        (403, "missing-scope", "k1"): "lacks a scope",
        (403, "partner-disabled", "k1"): "is disabled",
        (401, "token-expired", "k1"): "has expired",
        (403, "forbidden", "k1"): "has no access",
        (404, "not-found", None): "There is nothing at /x",
        (429, "too-many-requests", None): "why",
    }
    for (status, code, key), expected in cases.items():
        attempt = AttemptCount(
            1, b"", status, code, "why", "GET", "/x", key, "127.0.0.1", "r", 1, NOON, NOON
        )
        described = describe(attempt, "https://lrs.example", "acme")
        assert expected in described.cause
        assert described.advice
