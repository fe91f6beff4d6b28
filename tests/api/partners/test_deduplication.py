"""Duplicates, conflicts and derived ids."""

from __future__ import annotations

import json
from uuid import UUID

from tests.support.partner_statements import NOON, SEEDS, outcomes, pointers
from tests.support.partners import Partner
from tests.support.statements import new_id, statement


async def test_repeated_statement_returns_409_duplicate(partner: Partner) -> None:
    sent = statement(id=new_id())
    await partner.send(sent)
    (before,) = await partner.all()
    response = await partner.send(sent)
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["code"], problem["id"]) == ("duplicate", sent["id"])
    assert "errors" not in problem
    assert await partner.all() == [before]


async def test_different_statement_with_a_stored_id_returns_409_conflict_with_paths(
    partner: Partner,
) -> None:
    sent = statement(id=new_id(), result={"score": {"scaled": 0.5}, "success": True})
    await partner.send(sent)
    (before,) = await partner.all()
    other = {
        **sent,
        "verb": {"id": "http://adlnet.gov/expapi/verbs/failed"},
        "result": {"score": {"scaled": 0.4}, "success": True},
    }
    response = await partner.send(other)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (409, "statement-conflict")
    assert pointers(problem) == ["/result/score/scaled", "/verb/id"]
    assert await partner.all() == [before]


async def test_batch_of_stored_statements_returns_409_with_each_outcome(partner: Partner) -> None:
    sent = [statement(id=new_id()) for _ in range(2)]
    await partner.send(sent)
    sent[1]["object"] = {"id": "http://example.com/course/2"}
    response = await partner.send(sent)
    assert response.status_code == 409
    assert outcomes(response) == ["duplicate", "conflict"]
    assert response.json()["summary"] == {"received": 2, "conflict": 1, "duplicate": 1}
    assert pointers(response.json()["results"][1]["problem"]) == ["/object/id"]


async def test_first_of_repeated_ids_in_a_batch_is_stored(partner: Partner) -> None:
    first, other = statement(id=new_id()), {"id": "http://example.com/course/other"}
    response = await partner.send([first, {**first, "object": other}, first])
    assert response.status_code == 207
    assert outcomes(response) == ["stored", "conflict", "duplicate"]
    (result,) = await partner.all()
    assert result["object"] == first["object"]


async def test_statement_id_is_case_insensitive(partner: Partner) -> None:
    sent = statement(id=new_id())
    assert (await partner.send(sent)).status_code == 200
    response = await partner.send({**sent, "id": sent["id"].upper()})
    assert (response.status_code, response.json()["code"]) == (409, "duplicate")
    assert (await partner.get(statementId=sent["id"].upper())).status_code == 200


async def test_statement_with_timestamp_and_without_id_is_idempotent(partner: Partner) -> None:
    sent = json.loads(SEEDS["datacamp-completed-course-email"])
    first = await partner.send(sent)
    assert first.status_code == 200
    again = await partner.send(sent)
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")
    assert again.json()["id"] == first.json()[0]
    assert UUID(first.json()[0]).version == 5
    assert len(await partner.all()) == 1


async def test_equal_instant_in_another_spelling_is_a_duplicate(partner: Partner) -> None:
    assert (await partner.send(statement(timestamp=NOON))).status_code == 200
    for written in ("2026-05-08T14:00:00+02:00", "2026-05-08T12:00:00.000Z"):
        response = await partner.send(statement(timestamp=written))
        assert (response.status_code, response.json()["code"]) == (409, "duplicate")
    another = await partner.send(statement(timestamp="2026-05-08T12:00:00.001Z"))
    assert another.status_code == 200


async def test_same_statement_of_two_organizations_is_stored_twice(partner: Partner) -> None:
    for organization in (None, "acme", "zenith"):
        response = await partner.send(statement(timestamp=NOON), organization=organization)
        assert response.status_code == 200
    assert len(await partner.all()) == 3


async def test_statement_without_id_and_timestamp_is_always_new(partner: Partner) -> None:
    ids = [(await partner.send(statement())).json()[0] for _ in range(2)]
    assert [UUID(item).version for item in ids] == [4, 4]
    assert len(await partner.all()) == 2
