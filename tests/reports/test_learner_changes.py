"""Merge, detachment, rename, deletion and restoration of learners."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import pytest

from lrs.api.services import Services
from tests.support.learner_changes import (
    assert_rebuild_changes_nothing,
    change,
    listed,
    records,
    request,
)
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.people_import import (
    ADA,
    COURSE,
    GROUP,
    TEAM,
    Json,
    complete_content,
    identifier,
    import_rows,
    membership,
    post,
    user,
)
from tests.support.statements import statement

BEN = "ben@example.com"


def account(name: str) -> Json:
    return {"account": {"homePage": "https://www.datacamp.com", "name": name}}


async def test_merged_learner_has_events_memberships_and_assignments_of_both(
    services: Services, operator: Partner
) -> None:
    await complete_content(
        services, operator, one={"mbox": f"mailto:{ADA}"}, two={"mbox": f"mailto:{BEN}"}
    )
    course = {"assignment_type": "course", "assignee_type": "user", "content": COURSE}
    await import_rows(
        operator,
        user("ada", email=ADA, first_name="Ada"),
        user("ben", email=BEN, last_name="Babbage"),
        GROUP,
        TEAM,
        membership("ada", "2025-01-01", "2025-02-01", organization="north"),
        membership("ben", "2025-01-15", organization="north"),
        membership("ben", "2025-01-15", team="analytics"),
        {"type": "assignment", "assignment": "a", "assignee": "ben", **course},
    )
    done = await change(operator, "ben", "merge", {"into": "ada"})
    assert [done["events"], done["records"], done["memberships"], done["assignments"]] == [
        1,
        1,
        2,
        1,
    ]
    assert (done["learner"]["user"], done["into"]["user"]) == ("ben", "ada")
    assert await records(operator, "ada") == {"one", "two"}
    assert await records(operator, BEN) == {"one", "two"}
    assert await records(operator, "ben") is None
    periods = await services.database.readers.fetch(
        "select from_day::text, to_day from group_membership where partner_id = $1",
        operator.partner_id,
    )
    assert [tuple(row) for row in periods] == [("2025-01-01", None)]
    (learner,) = await listed(operator)
    assert (learner["name"], learner["email"]) == ("Ada Babbage", ADA)
    assert {item["value"] for item in learner["identifiers"]} == {ADA, BEN}
    await complete_content(services, operator, three={"mbox": f"mailto:{BEN}"})
    assert await records(operator, "ada") == {"one", "two", "three"}
    await assert_rebuild_changes_nothing(services, operator)


async def test_merge_into_unmatched_learner_keeps_the_user(
    services: Services, operator: Partner
) -> None:
    await complete_content(services, operator, one=account("x"))
    await import_rows(operator, user("ada", email=ADA))
    (unmatched,) = await listed(operator, imported="false")
    await change(operator, "ada", "merge", {"into": f"id:{unmatched['user_id']}"})
    assert await records(operator, "ada") == {"one"}
    (left,) = await listed(operator)
    assert left["user_id"] == unmatched["user_id"]


async def test_detached_identifier_is_a_learner_with_its_events(
    services: Services, operator: Partner
) -> None:
    await complete_content(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account("ada"))
    home = {"home_page": "https://www.datacamp.com"}
    await import_rows(operator, user("ada", email=ADA), identifier("ada", "account", "ada", **home))
    body = {"identifier": "ada", **home}
    done = await change(operator, "ada", "detach", body)
    assert (done["events"], done["into"]["user"]) == (1, None)
    assert await records(operator, "ada") == {"one"}
    assert await records(operator, f"id:{done['into']['user_id']}") == {"two"}
    await assert_rebuild_changes_nothing(services, operator)
    done = await change(operator, "ada", "detach", {"identifier": ADA.upper()})
    assert done["into"]["email"] == ADA
    assert (await records(operator, "ada"), await records(operator, ADA)) == (set(), {"one"})
    for missing in (body, {"identifier": "nobody"}):
        refusal = await request(operator, "ada", "detach", missing)
        assert (refusal.status_code, refusal.json()["code"]) == (400, "invalid-parameter")
    refusal = await request(operator, ADA, "detach", {"identifier": ADA})
    assert "has no other identifier" in refusal.json()["detail"]


async def test_detached_address_includes_its_sha1sum(services: Services, operator: Partner) -> None:
    address = {"mbox": f"mailto:{ADA}"}
    digest = {"mbox_sha1sum": sha1(f"mailto:{ADA}".encode()).hexdigest()}
    await complete_content(services, operator, one=address, two=digest)
    refusal = await request(operator, ADA, "detach", {"identifier": ADA})
    assert "has no other identifier" in refusal.json()["detail"]
    await import_rows(operator, user("ada", email=ADA), user("ben", email=BEN))
    await change(operator, "ada", "merge", {"into": "ben"})
    done = await change(operator, "ben", "detach", {"identifier": ADA})
    assert (done["identifiers"], done["events"]) == (1, 2)
    (ben,) = await listed(operator, imported="true")
    assert [item["value"] for item in ben["identifiers"]] == [BEN]
    assert (await records(operator, "ben"), await records(operator, ADA)) == (set(), {"one", "two"})
    await complete_content(services, operator, three=digest)
    assert await records(operator, ADA) == {"one", "two", "three"}
    await assert_rebuild_changes_nothing(services, operator)


async def test_rename_replaces_the_former_name(services: Services, operator: Partner) -> None:
    await import_rows(operator, user("ada", email=ADA), user("ben"))
    body = {"user": "emp_9", "first_name": "Ada", "last_name": "Lovelace"}
    done = await change(operator, "ada", "rename", body)
    assert (done["learner"]["user"], done["learner"]["name"]) == ("emp_9", "Ada Lovelace")
    assert (await records(operator, "ada"), await records(operator, "emp_9")) == (None, set())
    refusal = await request(operator, "emp_9", "rename", {"user": "ben"})
    assert (refusal.status_code, refusal.json()["code"]) == (409, "conflict")
    for invalid in ({}, {"user": ""}, {"user": " a"}, {"user": "a" * 256}, {"user": "a\0"}):
        refusal = await request(operator, "emp_9", "rename", invalid)
        assert (refusal.status_code, refusal.json()["code"]) == (400, "invalid-parameter")
    # A learner whom no import matched becomes a user.
    await complete_content(services, operator, one=account("x"))
    (unmatched,) = await listed(operator, imported="false")
    await change(operator, f"id:{unmatched['user_id']}", "rename", {"user": "cyd"})
    assert await records(operator, "cyd") == {"one"}


async def test_deleted_learner_stays_out_of_reports_until_restored(
    services: Services, operator: Partner
) -> None:
    await complete_content(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account("x"))
    await import_rows(
        operator,
        user("ada", email=ADA, first_name="Ada"),
        GROUP,
        membership("ada", "2020-01-01", organization="north"),
    )
    done = await change(operator, "ada")
    assert (done["events"], done["records"], done["memberships"]) == (1, 1, 1)
    assert await records(operator, ADA) is None
    assert (await request(operator, "ada")).status_code == 404
    named = {"mbox": f"mailto:{ADA}", "name": "Ada Lovelace"}
    await complete_content(services, operator, three=named)
    assert await records(operator, ADA) is None
    await assert_rebuild_changes_nothing(services, operator)
    (deleted,) = await listed(operator, deleted="true")
    assert (deleted["user"], deleted["name"], deleted["email"]) == (None, None, None)
    assert len(await listed(operator)) == 1
    dimension = await operator.http.get(operator.url("reports/user_dim"), headers=operator.headers)
    assert len(dimension.json()["rows"]) == 1
    assert not await services.database.readers.fetch(
        "select name from identifier where partner_id = $1 and name is not null",
        operator.partner_id,
    )
    hidden = await services.database.readers.fetch(
        "select reason from statement_without_event where partner_id = $1", operator.partner_id
    )
    assert [row["reason"] for row in hidden] == ["deleted learner"] * 2
    # An import does not bring the learner back,
    refusal = await post(operator, [user("ada", email=ADA)], merge="true")
    assert f"the deleted learner id:{deleted['user_id']}" in refusal.json()["detail"]
    # a restoration does.
    done = await change(operator, ADA, "restore")
    assert done["events"] == 2
    assert await records(operator, ADA) == {"one", "three"}
    assert (await request(operator, ADA, "restore")).status_code == 409
    await assert_rebuild_changes_nothing(services, operator)
    await import_rows(operator, user("ada", email=ADA))
    assert await records(operator, "ada") == {"one", "three"}


async def test_unmatched_learners_are_listed_by_page(services: Services, operator: Partner) -> None:
    await complete_content(
        services,
        operator,
        one={"mbox": f"mailto:{ADA}", "name": "Ada L."},
        two=account("x"),
        three={"mbox": f"mailto:{BEN}"},
    )
    await import_rows(operator, user("ben", email=BEN))
    response = await operator.http.get(
        operator.url("learners"), headers=operator.headers, params={"imported": "false", "limit": 1}
    )
    (first,) = response.json()["learners"]
    response = await operator.http.get(response.json()["more"], headers=operator.headers)
    (second,) = response.json()["learners"]
    assert response.json()["more"] == ""
    by_name = {first["name"]: first, second["name"]: second}
    assert by_name["Ada L."]["identifiers"] == [{"kind": "mbox", "value": ADA, "imported": False}]
    assert by_name["x"]["identifiers"][0]["home_page"] == "https://www.datacamp.com"
    assert (by_name["x"]["records"], by_name["x"]["user"]) == (1, None)
    assert [item["user"] for item in await listed(operator, imported="true")] == ["ben"]


async def test_invalid_change_names_the_cause(operator: Partner, partner: Partner) -> None:
    await import_rows(operator, user("ada", email=ADA))
    cases: list[tuple[tuple[Any, ...], int, str]] = [
        (("ada", "merge", {"into": "nobody"}), 404, "not-found"),
        (("nobody", "merge", {"into": "ada"}), 404, "not-found"),
        (("ada", "merge", {"into": ADA}), 400, "invalid-parameter"),
        (("ada", "merge", {}), 400, "invalid-parameter"),
        (("ada", "merge", []), 400, "invalid-parameter"),
        (("ada", "merge", {"into": "a\0"}), 400, "invalid-parameter"),
        (("ada", "detach", {"identifier": 1}), 400, "invalid-parameter"),
        (("ada%00", "restore"), 404, "not-found"),
        (("ada", "restore", {"a": 1}), 413, "too-large"),
    ]
    for args, status, code in cases:
        response = await request(operator, *args)
        assert (response.status_code, response.json()["code"]) == (status, code), args
    response = await operator.http.get(
        operator.url("learners"), headers=operator.headers, params={"cursor": "x"}
    )
    assert response.status_code == 400
    assert (await request(partner, "ada")).status_code == 403


@pytest.mark.parametrize("other", ["ada@example.com", "ADA@example.com"])
async def test_change_is_isolated_by_partner(
    services: Services, operator: Partner, partner: Partner, other: str
) -> None:
    await complete_content(services, partner, one={"mbox": f"mailto:{other}"})
    await import_rows(operator, user("ada", email=ADA))
    await change(operator, "ada")
    sent = statement(actor={"mbox": f"mailto:{other}"}, object={"id": COURSE})
    assert (await partner.send(sent)).status_code == 200
    await project_all(services, partner.partner_id)
    count = await services.database.readers.fetchval(
        "select count(*) from learning_event where partner_id = $1", partner.partner_id
    )
    assert count == 2
