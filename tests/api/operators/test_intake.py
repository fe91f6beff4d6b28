"""What arrives, over the admin API: overview, refusals, attempts, outcomes."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from lrs.api.services import Services
from tests.api.operators.conftest import Admin
from tests.support.ledger import write_ledger
from tests.support.partners import Partner
from tests.support.statements import statement

INVALID = {"actor": {"mbox": "mailto:ada@example.com"}, "verb": {"id": "completed"}}


def url(partner: Partner, path: str) -> str:
    return f"/v1/admin/partners/{partner.name}/{path}"


async def one_refusal(client: httpx.AsyncClient, partner: Partner) -> dict[str, Any]:
    answer = await client.get(url(partner, "refusals"))
    assert answer.status_code == 200, answer.text
    (refusal,) = answer.json()["refusals"]
    return dict(refusal)


async def test_corrected_refusal_is_stored_and_audited(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    assert (await partner.send(INVALID)).status_code == 400
    refusal = await one_refusal(owner, partner)
    assert (refusal["code"], refusal["credential"]) == ("invalid-statement", partner.key)
    mine = url(partner, f"refusals/{refusal['id']}")
    detail = (await owner.get(mine)).json()
    assert '"completed"' in detail["item"]
    assert len(detail["problem"]["errors"]) > 1
    assert (await owner.post(f"{mine}/resubmit")).status_code == 400
    corrected = await owner.post(f"{mine}/resubmit", json=statement())
    assert (corrected.status_code, corrected.json()["outcome"]) == (200, "stored")
    assert len((await partner.get()).json()["statements"]) == 1
    assert (await owner.delete(mine)).status_code == 204
    assert (await owner.get(mine)).status_code == 404
    entries = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    assert {entry["action"] for entry in entries["entries"]} == {
        "refusal.drop", "refusal.resubmit", "refusal.view",
    }  # fmt: skip


async def test_refusals_are_filtered_and_paged(owner: httpx.AsyncClient, partner: Partner) -> None:
    for _ in range(3):
        await partner.send(INVALID)
    ids, page = [], url(partner, "refusals?limit=2&code=invalid-statement")
    while page:
        answer = (await owner.get(page)).json()
        ids += [item["id"] for item in answer["refusals"]]
        page = answer["more"]
    assert len(set(ids)) == 3
    none = await owner.get(url(partner, "refusals"), params={"code": "too-large"})
    assert none.json() == {"refusals": [], "more": ""}
    for query in ("source=x", "since=x", "cursor=x", "unknown=x"):
        assert (await owner.get(url(partner, f"refusals?{query}"))).status_code == 400
    assert (await owner.get(url(partner, "refusals/reasons"))).status_code == 200


async def test_viewer_sees_reasons_but_no_values(admin: Admin, partner: Partner) -> None:
    await partner.send({**INVALID, "actor": {"mbox": "ada@example.com"}})
    viewer = await admin("viewer")
    refusal = await one_refusal(viewer, partner)
    response = await viewer.get(url(partner, f"refusals/{refusal['id']}"))
    assert response.json()["item"] is None
    assert {error["detail"] for error in response.json()["problem"]["errors"]} == {"hidden"}
    assert "ada@example.com" not in response.text
    assert (await viewer.delete(url(partner, f"refusals/{refusal['id']}"))).status_code == 403


async def test_overview_attempts_and_outcomes_of_a_partner(
    owner: httpx.AsyncClient, admin: Admin, services: Services, partner: Partner
) -> None:
    await partner.send(statement())
    viewer = await admin("viewer", [partner.name])
    (row,) = (await viewer.get("/v1/admin/overview")).json()["partners"]
    assert (row["partner"], len(row["stored"])) == (partner.name, 24)
    assert row["last_accepted_at"]
    assert (await viewer.get("/v1/admin/attempts")).status_code == 403
    assert (await owner.get("/v1/admin/attempts")).status_code == 200
    assert (await viewer.get(url(partner, "attempts"))).json()["more"] == ""
    answer = (await viewer.get(url(partner, "outcomes"))).json()
    assert {item["outcome"] for item in answer["outcomes"]} <= {"stored"}
    again = await viewer.get(url(partner, "outcomes"), params={"after": answer["through"]})
    assert again.status_code == 200


async def test_item_of_a_disabled_partner_is_not_sent_again(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    await partner.send({**statement(), "actor": {"mbox": "jo@example.com"}})
    base = f"/v1/admin/partners/{partner.name}"
    (refusal,) = (await owner.get(f"{base}/refusals")).json()["refusals"]
    await owner.post(f"{base}/disable", json={"reason": "contract ended"})
    resubmit = f"{base}/refusals/{refusal['id']}/resubmit"
    answer = await owner.post(resubmit, json=statement())
    assert (answer.status_code, "contract ended" in answer.text) == (409, True)
    await owner.post(f"{base}/enable")
    assert (await owner.post(resubmit, json=statement())).status_code == 200


async def test_outcomes_are_filtered(owner: httpx.AsyncClient, partner: Partner) -> None:
    await partner.send({**statement(), "actor": {"mbox": "jo@example.com"}})
    await partner.send(statement(), organization="north")
    await owner.get(url(partner, "refusals"))  # writes those of this worker
    for _ in range(100):  # until the watermark has passed
        if len((await owner.get(url(partner, "outcomes"))).json()["outcomes"]) == 2:
            break
        await asyncio.sleep(0.1)
    cases = {
        ("outcome", "stored"): ["stored"],
        ("outcome", "refused"): ["invalid"],
        ("organization", "north"): ["stored"],
        ("credential", partner.key): ["invalid", "stored"],
        ("code", "invalid-statement"): ["invalid"],
        ("source", "track"): [],
    }
    for (name, value), expected in cases.items():
        answer = await owner.get(url(partner, "outcomes"), params={name: value})
        found = [item["outcome"] for item in answer.json()["outcomes"]]
        assert found == expected, (name, answer.text)


async def test_overview_says_why_nothing_arrives(
    owner: httpx.AsyncClient, services: Services, partner: Partner, stranger: Partner
) -> None:
    async def verdict(of: Partner) -> tuple[str, str]:
        answer = await owner.get("/v1/admin/overview", params={"partner": of.name})
        (item,) = answer.json()["partners"]
        return item["verdict"], item["why"]

    assert (await verdict(partner))[0] == "nothing"
    await partner.http.get(f"/v1/partner/{partner.name}/statements", headers=partner.headers)
    await services.ledger.write()
    assert await verdict(partner) == ("denied", "404 not-found")
    await partner.send([{**statement(), "actor": {"mbox": "jo@example.com"}}] * 2)
    await services.ledger.write()
    assert await verdict(partner) == ("refused", "invalid-statement at /actor/mbox")
    await partner.send([statement() for _ in range(3)])
    await write_ledger(services)
    assert await verdict(partner) == ("arriving", "")
    await owner.post(f"/v1/admin/partners/{partner.name}/disable", json={"reason": "ended"})
    assert await verdict(partner) == ("disabled", "ended")
    assert (await verdict(stranger))[0] == "nothing"


async def test_overview_is_paged_and_partners_with_a_firing_alarm_come_first(
    admin: Admin, services: Services, partner: Partner, stranger: Partner
) -> None:
    first, last = sorted((partner, stranger), key=lambda item: item.name)
    viewer = await admin("viewer", [partner.name, stranger.name])

    async def pages() -> list[list[str]]:
        found, path = [], "/v1/admin/overview?limit=1"
        while path:
            answer = (await viewer.get(path)).json()
            found.append([item["partner"] for item in answer["partners"]])
            path = answer["more"]
        return found

    assert await pages() == [[first.name], [last.name]]
    await services.database.writers.execute(
        "insert into alarm (since, partner_id, firing, kind, details) "
        """values (now(), $1, true, 'silence', '{"text": "Nothing for 3 h."}')""",
        last.partner_id,
    )
    assert await pages() == [[last.name], [first.name]]
    page = await viewer.get("/console?limit=1")
    assert f'href="/console/partners/{last.name}"' in page.text
    assert f'href="/console/partners/{first.name}"' not in page.text
    assert 'rel="next" href="/console?' in page.text


async def test_overview_of_a_partner_that_is_not_seen_returns_404(
    admin: Admin, partner: Partner, stranger: Partner
) -> None:
    viewer = await admin("viewer", [partner.name])
    for name in (stranger.name, "none"):
        answer = await viewer.get("/v1/admin/overview", params={"partner": name})
        assert answer.status_code == 404
