"""Statements are voided and samples checked by operators."""

from __future__ import annotations

import httpx
import pytest

from lrs.api.services import Services
from lrs.store import intake
from tests.api.operators.conftest import Admin
from tests.support.partners import Partner
from tests.support.statements import JSON, new_id, statement

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


def url(partner: Partner, path: str) -> str:
    return f"/v1/admin/partners/{partner.name}/{path}"


async def stored(partner: Partner) -> str:
    statement_id = new_id()
    assert (await partner.send(statement(id=statement_id))).status_code == 200
    return statement_id


async def test_voided_statement_is_not_returned_and_the_voiding_one_names_operators(
    owner: httpx.AsyncClient, partner: Partner, services: Services
) -> None:
    statement_id = await stored(partner)
    path = url(partner, f"statements/{statement_id}/void")
    answer = await owner.post(path, json={"reason": "sent by mistake"})
    assert (answer.status_code, answer.json()["statement_id"]) == (201, statement_id)
    assert (await partner.get(statementId=statement_id)).status_code == 404
    assert (await partner.get(voidedStatementId=statement_id)).status_code == 200
    voiding = (await partner.get(statementId=answer.json()["voiding_statement_id"])).json()
    assert (voiding["verb"]["id"], voiding["object"]["id"]) == (VOIDED, statement_id)
    account = {"homePage": partner.home_page, "name": "(operators)"}
    assert voiding["authority"]["account"] == voiding["actor"]["account"] == account
    audit = (await owner.get("/v1/admin/audit", params={"action": "statement.void"})).json()
    assert audit["entries"][0]["after"]["reason"] == "sent by mistake"
    assert audit["entries"][0]["object"] == f"statement/{statement_id}"
    names = await intake.load_names(services.database.readers, partner.partner_id)
    assert "(operators)" in names.values()


async def test_statement_that_cannot_be_voided_is_refused(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    statement_id = await stored(partner)
    path = url(partner, f"statements/{statement_id}/void")
    voiding = (await owner.post(path)).json()["voiding_statement_id"]
    cases = {
        path: 409,
        url(partner, f"statements/{voiding}/void"): 409,
        url(partner, f"statements/{new_id()}/void"): 404,
        url(partner, "statements/none/void"): 404,
    }
    for target, status in cases.items():
        assert (await owner.post(target)).status_code == status, target
    other = url(partner, f"statements/{await stored(partner)}/void")
    assert (await owner.post(other, json={"reason": "x" * 256})).status_code == 400
    await owner.post(url(partner, "disable"), json={"reason": "contract ended"})
    assert (await owner.post(other)).status_code == 409


async def test_viewer_and_operator_of_another_partner_void_nothing(
    admin: Admin, partner: Partner, stranger: Partner
) -> None:
    path = url(partner, f"statements/{await stored(partner)}/void")
    assert (await (await admin("viewer")).post(path)).status_code == 403
    assert (await (await admin("operator", [stranger.name])).post(path)).status_code == 404
    assert (await (await admin("operator", [stranger.name])).post(
        url(partner, "dry-run"), json=statement())).status_code == 404  # fmt: skip


async def test_checked_sample_is_not_stored(owner: httpx.AsyncClient, partner: Partner) -> None:
    statement_id = new_id()
    wrong = {**statement(), "actor": {"mbox": "jo@example.com"}}
    answer = await owner.post(url(partner, "dry-run"), json=[statement(id=statement_id), wrong])
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["results"]
    assert (first["outcome"], second["outcome"]) == ("stored", "invalid")
    assert second["problem"]["errors"][0]["pointer"] == "/actor/mbox"
    assert (await partner.get(statementId=statement_id)).status_code == 404
    assert (await owner.get(url(partner, "refusals"))).json()["refusals"] == []
    event = {"user": "jo"}
    answer = await owner.post(url(partner, "dry-run"), params={"form": "track"}, json=event)
    assert answer.json()["results"][0]["outcome"] == "invalid"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1,", b"nul\0"])
async def test_sample_that_is_not_json_is_refused(
    owner: httpx.AsyncClient, partner: Partner, body: bytes
) -> None:
    answer = await owner.post(url(partner, "dry-run"), content=body, headers=JSON)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert answer.json()["results"][0]["outcome"] == "invalid"
    page = f"/console/partners/{partner.name}/connect/check"
    shown = await owner.post(page, data={"item": body.decode("latin-1")})
    assert shown.status_code in (200, 400)
