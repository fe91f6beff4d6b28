"""Learners, statements and contents over the admin API; masked identities."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from tests.api.operators.conftest import Admin
from tests.support.learner_records import content, learner, record
from tests.support.partners import Partner
from tests.support.statements import statement

ADA = {"mbox": "mailto:ada.lovelace@example.com", "name": "Ada Lovelace"}
ACCOUNT = {"account": {"homePage": "https://hr.example", "name": "emp-1815"}}


def url(partner: Partner, path: str) -> str:
    return f"/v1/admin/partners/{partner.name}/{path}"


@pytest.fixture
async def ada(services: Services, partner: Partner) -> int:
    """A learner with two identifiers, a statement with each, and a record."""
    person_id = await learner(
        services, partner, ADA, ACCOUNT, first_name="Ada", last_name="Lovelace"
    )
    course = await content(services, partner, "https://x.example/course", title="Notes")
    await record(services, partner, person_id, course)
    for actor in (ADA, ACCOUNT):
        sent = await partner.send({**statement(), "actor": actor})
        assert sent.status_code == 200, sent.text
    return person_id


@pytest.mark.parametrize("search", ["lovel", "LOVELACE", "1815", "ada.love", "Ada Lo"])
async def test_search_matches_part_of_name_or_identifier(
    owner: httpx.AsyncClient, partner: Partner, ada: int, search: str
) -> None:
    response = await owner.get(url(partner, "learners"), params={"search": search})
    assert [item["person_id"] for item in response.json()["learners"]] == [ada]


@pytest.mark.parametrize("search", ["%", "_", "\\", "nobody"])
async def test_search_without_match_returns_an_empty_list(
    owner: httpx.AsyncClient, partner: Partner, ada: int, search: str
) -> None:
    response = await owner.get(url(partner, "learners"), params={"search": search})
    assert response.json() == {"learners": [], "more": ""}


@pytest.mark.parametrize("agent", [ADA, ACCOUNT, {"mbox": "mailto:Ada.Lovelace@example.com"}])
async def test_agent_finds_its_learner_and_the_look_is_audited(
    owner: httpx.AsyncClient, partner: Partner, ada: int, agent: dict[str, Any]
) -> None:
    response = await owner.get(url(partner, "learners"), params={"agent": json.dumps(agent)})
    assert [item["person_id"] for item in response.json()["learners"]] == [ada]
    (entry,) = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()[
        "entries"
    ]
    assert (entry["action"], entry["after"]["learners"]) == ("learner.search", [ada])


async def test_agent_without_learner_of_the_partner_returns_an_empty_list(
    owner: httpx.AsyncClient, partner: Partner, stranger: Partner, ada: int
) -> None:
    agent = {"agent": json.dumps(ADA)}
    assert (await owner.get(url(stranger, "learners"), params=agent)).json()["learners"] == []
    await owner.post(url(partner, f"learners/{ada}/delete"))
    assert (await owner.get(url(partner, "learners"), params=agent)).json()["learners"] == []


@pytest.mark.parametrize("query", [{"agent": "ada"}, {"agent": json.dumps(ADA), "search": "ada"}])
async def test_invalid_look_up_by_agent_returns_400(
    owner: httpx.AsyncClient, partner: Partner, query: dict[str, str]
) -> None:
    assert (await owner.get(url(partner, "learners"), params=query)).status_code == 400


async def test_learner_has_all_identifiers_records_and_statements(
    owner: httpx.AsyncClient, partner: Partner, ada: int
) -> None:
    mine = url(partner, f"learners/{ada}")
    view = (await owner.get(mine)).json()
    assert view["learner"]["name"] == "Ada Lovelace"
    assert {item["identity"].split(" ")[0] for item in view["identifiers"]} == {"mbox", "account"}
    records = (await owner.get(f"{mine}/records")).json()
    assert [item["title"] for item in records["records"]] == ["Notes"]
    found, page = [], f"{mine}/statements?limit=1"
    while page:
        response = (await owner.get(page)).json()
        found += [item["statement"]["actor"] for item in response["statements"]]
        page = response["more"]
    assert [sorted(actor.keys() - {"objectType"}) for actor in found] == [
        ["account"], ["mbox", "name"],
    ]  # fmt: skip


async def test_views_of_a_learner_are_audited(
    owner: httpx.AsyncClient, partner: Partner, ada: int
) -> None:
    mine = url(partner, f"learners/{ada}")
    for path in (mine, f"{mine}/records", f"{mine}/statements", url(partner, "learners")):
        assert (await owner.get(path)).status_code == 200
    entries = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    assert [(entry["action"], entry["object"]) for entry in entries["entries"]] == [
        ("learner.search", f"partner/{partner.name}"),
        ("learner.view-statements", f"learner/{ada}"),
        ("learner.view-records", f"learner/{ada}"),
        ("learner.view", f"learner/{ada}"),
    ]


async def test_viewer_sees_no_identity(admin: Admin, partner: Partner, ada: int) -> None:
    viewer = await admin("viewer")
    statement_id = (await partner.get()).json()["statements"][0]["id"]
    for path in (
        "learners",
        f"learners/{ada}",
        f"learners/{ada}/records",
        f"learners/{ada}/statements",
        "statements",
        f"statements?statementId={statement_id}",
    ):
        response = await viewer.get(url(partner, path))
        assert response.status_code == 200, response.text
        for secret in ("Lovelace", "lovelace", "emp-1815", "hr.example"):
            assert secret not in response.text, path
    for path in (
        "learners?search=ada",
        'learners?agent={"mbox":"mailto:ada.lovelace@example.com"}',
        'statements?agent={"mbox":"mailto:a@b.example"}',
    ):
        assert (await viewer.get(url(partner, path))).status_code == 403


async def test_pseudonym_is_the_same_in_every_statement(
    admin: Admin, partner: Partner, stranger: Partner
) -> None:
    nested: dict[str, Any] = {
        "actor": {"objectType": "Group", "member": [ADA], "name": "Ada's group"},
        "verb": statement()["verb"],
        "object": {
            "objectType": "SubStatement",
            "actor": ADA,
            "verb": statement()["verb"],
            "object": {"objectType": "Agent", **ADA},
        },
        "context": {
            "instructor": ADA,
            "team": {"objectType": "Group", **ACCOUNT},
            "extensions": {"https://x.example/mail": "ada.lovelace@example.com"},
        },
        "result": {"response": "My name is Ada Lovelace", "success": True},
    }
    viewer = await admin("viewer")
    seen = []
    for tenant in (partner, stranger):
        assert (await tenant.send(nested)).status_code == 200
        response = await viewer.get(url(tenant, "statements"))
        assert "ovelace" not in response.text
        assert "emp-1815" not in response.text
        (found,) = response.json()["statements"]
        assert found["result"] == {"success": True}
        names = {
            found["actor"]["member"][0]["account"]["name"],
            found["object"]["actor"]["account"]["name"],
            found["object"]["object"]["account"]["name"],
            found["context"]["instructor"]["account"]["name"],
        }
        assert len(names) == 1
        seen.append(names)
    assert seen[0] != seen[1]


async def test_statement_query_takes_the_parameters_of_xapi(
    owner: httpx.AsyncClient, partner: Partner, ada: int
) -> None:
    statements = url(partner, "statements")
    agent = '{"mbox":"mailto:ada.lovelace@example.com"}'
    found = (await owner.get(statements, params={"agent": agent})).json()["statements"]
    assert [item["actor"]["mbox"] for item in found] == [ADA["mbox"]]
    page = (await owner.get(statements, params={"limit": 1})).json()
    assert page["more"].startswith(statements)
    assert len((await owner.get(page["more"])).json()["statements"]) == 1
    of_credential = url(partner, f"credentials/{partner.key}/statements")
    assert len((await owner.get(of_credential)).json()["statements"]) == 2
    of_organization = url(partner, "organizations/none/statements")
    assert (await owner.get(of_organization)).json()["statements"] == []
    assert (await owner.get(statements, params={"verb": "x"})).status_code == 400


async def test_content_item_is_deleted_and_restored(
    owner: httpx.AsyncClient, partner: Partner, ada: int
) -> None:
    (item,) = (await owner.get(url(partner, "contents"))).json()["contents"]
    mine = url(partner, f"contents/id:{item['content_id']}")
    assert (await owner.post(f"{mine}/delete")).json()["deleted"] is True
    deleted = await owner.get(url(partner, "contents"), params={"deleted": True})
    assert len(deleted.json()["contents"]) == 1
    assert (await owner.post(f"{mine}/restore")).json()["deleted"] is False
    assert (await owner.post(url(partner, "contents/none/delete"))).status_code == 404


async def test_system_has_versions_and_no_secret(owner: httpx.AsyncClient, admin: Admin) -> None:
    response = await owner.get("/v1/admin/system")
    assert response.status_code == 200, response.text
    content = response.json()
    assert content["schema_version"] > 0
    assert content["database_bytes"] > 0
    assert content["settings"]["secret_key"] == content["settings"]["database_url"] == "…"
    assert "only the tests know" not in response.text
    assert content["settings"]["port"] == 8080
