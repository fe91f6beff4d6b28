"""Learners are linked, detached, deleted and restored by operators, with a preview."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from tests.api.operators.conftest import Admin
from tests.support.learner_records import content, learner, record
from tests.support.partners import Partner
from tests.support.statements import XAPI

ADA = {"mbox": "mailto:ada@example.com"}
EMPLOYEE = {"account": {"homePage": "https://hr.example", "name": "emp-1815"}}


def url(partner: Partner, person_id: int, path: str = "") -> str:
    return f"/v1/admin/partners/{partner.name}/learners/{person_id}{path}"


async def identities(owner: httpx.AsyncClient, partner: Partner, person_id: int) -> set[str]:
    view = (await owner.get(url(partner, person_id))).json()
    return {item["identity"] for item in view["identifiers"]}


async def change(
    owner: httpx.AsyncClient, partner: Partner, person_id: int, name: str, **body: Any
) -> dict[str, Any]:
    answer = await owner.post(url(partner, person_id, f"/{name}"), json=body)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


async def test_linked_identifier_merges_the_learner_who_has_it(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    ada, other = [await learner(services, partner, agent) for agent in (ADA, EMPLOYEE)]
    course = await content(services, partner, "https://x.example/course")
    await record(services, partner, other, course)
    body = {"identifier": "emp-1815", "home_page": "https://hr.example"}
    preview = await change(owner, partner, ada, "link", **body, preview=True)
    expected = {"person_id": other, "into": ada, "identifiers": 1, "records": 1, "preview": True}
    assert preview | expected == preview
    assert len(await identities(owner, partner, ada)) == 1
    await change(owner, partner, ada, "link", **body)
    assert await identities(owner, partner, ada) == {
        "mbox mailto:ada@example.com",
        "account https://hr.example emp-1815",
    }
    assert (await owner.get(url(partner, other))).status_code == 404
    again = await owner.post(url(partner, ada, "/link"), json=body)
    assert (again.status_code, "already" in again.text) == (400, True)
    audit = (await owner.get("/v1/admin/audit", params={"action": "learner.link"})).json()
    assert audit["entries"][0]["after"]["into"] == ada


async def test_unknown_identifier_counts_for_the_learner_from_now_on(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    ada = await learner(services, partner, ADA)
    await change(owner, partner, ada, "link", identifier="ada.lovelace@example.com")
    assert "mbox mailto:ada.lovelace@example.com" in await identities(owner, partner, ada)


async def test_detached_identifier_becomes_a_learner(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    ada = await learner(services, partner, ADA, EMPLOYEE)
    body = {"identifier": "emp-1815", "home_page": "https://hr.example"}
    done = await change(owner, partner, ada, "detach", **body)
    assert await identities(owner, partner, ada) == {"mbox mailto:ada@example.com"}
    assert await identities(owner, partner, done["into"]) == {"account https://hr.example emp-1815"}


@pytest.mark.parametrize("person_id", [0, 2**31 - 1, 2**31, 3_000_000_000, 10**30])
async def test_unknown_person_id_is_not_found(
    owner: httpx.AsyncClient, partner: Partner, person_id: int
) -> None:
    body = {"identifier": "emp-1815", "home_page": "https://hr.example"}
    changes = {"delete": {}, "restore": {}, "link": body, "detach": body}
    responses = [await owner.get(url(partner, person_id))]
    for name, sent in changes.items():
        responses.append(await owner.post(url(partner, person_id, f"/{name}"), json=sent))
    assert {response.status_code for response in responses} == {404}


async def test_deleted_learner_is_listed_and_restored(
    owner: httpx.AsyncClient, admin: Admin, services: Services, partner: Partner
) -> None:
    ada = await learner(services, partner, ADA)
    await change(owner, partner, ada, "delete")
    assert (await owner.get(url(partner, ada))).status_code == 404
    linked = await owner.post(
        url(partner, await learner(services, partner, EMPLOYEE), "/link"),
        json={"identifier": "ada@example.com"},
    )
    assert linked.status_code == 409
    deleted_learners = f"/v1/admin/partners/{partner.name}/deleted-learners"
    (listed,) = (await owner.get(deleted_learners)).json()["learners"]
    assert (listed["person_id"], listed["identities"]) == (ada, ["mbox mailto:ada@example.com"])
    viewer = await admin("viewer")
    (masked,) = (await viewer.get(deleted_learners)).json()["learners"]
    assert (masked["person_id"], "ada" in str(masked)) == (ada, False)
    await change(owner, partner, ada, "restore")
    assert (await owner.get(deleted_learners)).json()["learners"] == []
    assert (await owner.get(url(partner, ada))).status_code == 200
    assert (await owner.post(url(partner, ada, "/restore"))).status_code == 409


@pytest.mark.parametrize(
    "body",
    [{}, {"identifier": ""}, {"identifier": "a\0b"}, {"identifier": "x" * 1001},
     {"identifier": 7}, {"identifier": "a", "home_page": ""}],
)  # fmt: skip
async def test_invalid_identifier_is_refused(
    owner: httpx.AsyncClient, services: Services, partner: Partner, body: dict[str, Any]
) -> None:
    ada = await learner(services, partner, ADA)
    for name in ("link", "detach"):
        answer = await owner.post(url(partner, ada, f"/{name}"), json=body)
        assert answer.status_code == 400, answer.text


async def test_look_at_a_learner_is_one_audit_entry(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    ada = await learner(services, partner, ADA)
    assert (await owner.get(f"/console/partners/{partner.name}/learners/{ada}")).status_code == 200
    audit = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    assert [entry["action"] for entry in audit["entries"]] == ["learner.view"]


async def test_documents_of_all_identifiers_are_listed(
    owner: httpx.AsyncClient, admin: Admin, services: Services, partner: Partner
) -> None:
    ada = await learner(services, partner, ADA, EMPLOYEE)
    stranger = await learner(services, partner, {"mbox": "mailto:jo@example.com"})
    put: dict[str, Any] = {"headers": XAPI, "auth": (partner.key, partner.secret)}
    for agent, name in ((ADA, "bookmark"), (EMPLOYEE, "notes")):
        query = {"activityId": "https://x.example/a", "agent": json.dumps(agent), "stateId": name}
        await partner.http.put("/xapi/activities/state", params=query, json={"page": 7}, **put)
    query = {"agent": json.dumps(ADA), "profileId": "preferences"}
    put["headers"] = {**XAPI, "Content-Type": "application/octet-stream", "If-None-Match": "*"}
    sent = await partner.http.put("/xapi/agents/profile", params=query, content=b"\xff\x00", **put)
    assert sent.status_code == 204, sent.text
    documents = (await owner.get(url(partner, ada))).json()["documents"]
    assert {item["document_id"] for item in documents} == {"bookmark", "notes", "preferences"}
    contents = {}
    for item in documents:
        path = f"/documents/{item['document_key']}"
        contents[item["document_id"]] = (await owner.get(url(partner, ada, path))).json()["content"]
        assert (await owner.get(url(partner, stranger, path))).status_code == 404
        assert (await (await admin("viewer")).get(url(partner, ada, path))).status_code == 403
    assert contents == {"bookmark": '{"page":7}', "notes": '{"page":7}', "preferences": None}
    masked = (await (await admin("viewer")).get(url(partner, ada))).json()["documents"]
    assert {item["document_id"] for item in masked} == {""}
    assert (await owner.get(url(partner, ada, "/documents/none"))).status_code == 404


@pytest.mark.parametrize("name", ["link", "detach", "delete", "restore"])
async def test_viewer_and_operator_of_another_partner_change_no_learner(
    admin: Admin, services: Services, partner: Partner, stranger: Partner, name: str
) -> None:
    ada = await learner(services, partner, ADA)
    body = {"identifier": "ada@example.com"} if name in ("link", "detach") else {}
    viewer, other = await admin("viewer"), await admin("operator", [stranger.name])
    assert (await viewer.post(url(partner, ada, f"/{name}"), json=body)).status_code == 403
    assert (await other.post(url(partner, ada, f"/{name}"), json=body)).status_code == 404
