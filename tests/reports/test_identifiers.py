"""People import: identifiers merge learners."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.projection import rebuild
from lrs.projection.vocabulary import load_vocabulary
from tests.support.learning_history import project_all
from tests.support.partners import Partner, new_partner
from tests.support.people_import import (
    ADA,
    COURSE,
    GROUP,
    Json,
    complete_content,
    identifier,
    import_rows,
    membership,
    outcomes,
    post,
    preview,
    user,
)
from tests.support.statements import statement


async def records(operator: Partner, name: str) -> set[str] | None:
    """The content items of a learner's records; None for an unknown learner."""
    response = await operator.http.get(
        operator.url(f"learners/{name}/records"), headers=operator.headers
    )
    if response.status_code == 404:
        return None
    return {item["activity_id"].rpartition("/")[2] for item in response.json()["records"]}


def account(name: str, home_page: str = "https://www.datacamp.com") -> Json:
    return {"account": {"homePage": home_page, "name": name}}


async def id_of(operator: Partner, name: str) -> int:
    response = await operator.http.get(
        operator.url(f"learners/{name}/records"), headers=operator.headers
    )
    return int(response.json()["learner"]["user_id"])


async def test_identifiers_of_one_user_merge_into_one_learner(
    services: Services, operator: Partner
) -> None:
    await complete_content(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account("ada"),
               three=account("7f0c", operator.home_page))  # fmt: skip
    person_ids = [await id_of(operator, name) for name in (ADA, "ada", "7f0c")]
    await import_rows(
        operator,
        user("emp_1", email=ADA),
        identifier("emp_1", "account", "ada", home_page="https://www.datacamp.com"),
        identifier("emp_1", "track", "7f0c"),
    )
    for name in ("emp_1", ADA, "ada", "7f0c"):
        assert await records(operator, name) == {"one", "two", "three"}
    # Reports keep the lowest person id.
    assert await id_of(operator, "emp_1") == min(person_ids)
    left = await services.database.readers.fetchval(
        "select count(*) from person where partner_id = $1", operator.partner_id
    )
    assert left == 1


async def test_reassigned_identifier_moves_its_records(
    services: Services, operator: Partner
) -> None:
    await complete_content(services, operator, one={"mbox": f"mailto:{ADA}"}, two=account("shared"))
    shared = {"home_page": "https://www.datacamp.com"}
    await import_rows(
        operator, user("ada", email=ADA), identifier("ada", "account", "shared", **shared)
    )
    assert await records(operator, "ada") == {"one", "two"}
    rows = user("ben"), identifier("ben", "account", "shared", **shared)
    refusal = await preview(operator, *rows)
    assert [item["outcome"] for item in refusal] == ["added", "refused"]
    assert refusal[1]["moved_events"] == 1
    assert refusal[1]["errors"][0]["detail"] == (
        'expected an identifier of no other learner, found that of "ada"; '
        "a merge moves it with its events"
    )
    assert (await post(operator, list(rows))).status_code == 400
    expected = await preview(operator, *rows, merge="true")
    response = await import_rows(operator, *rows, merge="true")
    assert response["results"] == expected
    assert outcomes(response) == ["added", "changed"]
    assert [item["moved_events"] for item in expected] == [0, 1]
    assert await records(operator, "ada") == {"one"}
    assert await records(operator, "ben") == {"two"}
    await complete_content(services, operator, three=account("shared"))
    assert await records(operator, "ben") == {"two", "three"}


async def test_email_assignment_includes_its_sha1sum(services: Services, operator: Partner) -> None:
    digest = sha1(f"mailto:{ADA}".encode()).hexdigest()
    await complete_content(services, operator, one={"mbox_sha1sum": digest})
    await import_rows(operator, user("ada", email=ADA))
    assert await records(operator, "ada") == {"one"}
    # It moves with the address,
    await import_rows(operator, user("ada", email=None), user("ben", email=ADA), merge="true")
    assert (await records(operator, "ada"), await records(operator, "ben")) == (set(), {"one"})
    # unless an import assigns it separately.
    await import_rows(operator, identifier("ada", "mbox_sha1sum", digest.upper()), merge="true")
    await import_rows(operator, user("ben", email=ADA))
    assert (await records(operator, "ada"), await records(operator, "ben")) == ({"one"}, set())


async def test_people_are_isolated_by_partner(
    services: Services, operator: Partner, http: httpx.AsyncClient
) -> None:
    other = await new_partner(services, http, frozenset({scopes.ADMIN}))
    await import_rows(operator, user("ada", email=ADA))
    assert await records(other, "ada") is None
    response = await operator.http.post(
        other.url("people/imports"), json=[], headers=operator.headers
    )
    assert response.status_code == 403


async def test_import_without_admin_scope_returns_403(partner: Partner) -> None:
    response = await post(partner, [])
    assert (response.status_code, response.json()["code"]) == (403, "missing-scope")


async def report_rows(services: Services, operator: Partner) -> list[list[Any]]:
    """All records and facts, by the names of users and content items."""
    actual = []
    for table, columns in (
        ("learner_record", "organization, status, last_activity_at, attempts"),
        ("daily_fact", "day, started_at, completed_at"),
    ):
        rows_found = await services.database.readers.fetch(
            f"select person.external_id, activity_id, {columns} from {table}"
            " join person using (partner_id, person_id)"
            " join content_item using (partner_id, content_id)"
            " where partner_id = $1 order by 1, 2, 3",
            operator.partner_id,
        )
        actual.append([tuple(row) for row in rows_found])
    return actual


@pytest.mark.slow
async def test_import_time_does_not_change_the_reports(
    services: Services, http: httpx.AsyncClient
) -> None:
    """Before, between or after the statements; a rebuild gives the same."""
    digest = sha1(f"mailto:{ADA}".encode()).hexdigest()
    actors = [{"mbox": f"mailto:{ADA}"}, {"mbox_sha1sum": digest}, account("ada"), account("ben")]
    statements = [
        statement(actor=actor, timestamp=f"2026-01-0{day}T12:00:00Z", object={"id": COURSE})
        for day, actor in enumerate(actors * 2, start=1)
    ]
    home = {"home_page": "https://www.datacamp.com"}
    people = [
        GROUP,
        user("ada", email=ADA),
        user("ben"),
        identifier("ada", "account", "ada", **home),
        identifier("ben", "account", "ben", **home),
        membership("ada", "2026-01-02", "2026-01-06", organization="north"),
    ]
    expected = None
    for position in range(0, len(statements) + 1, 2):
        operator = await new_partner(services, http, frozenset({scopes.ADMIN}))
        for number, sent in enumerate([*statements, None]):
            if number == position:
                await project_all(services, operator.partner_id)
                await import_rows(operator, *people)
            if sent:
                assert (await operator.send(sent, organization="north")).status_code == 200
        await project_all(services, operator.partner_id)
        actual = await report_rows(services, operator)
        expected = expected or actual
        assert actual == expected
        await rebuild.rebuild_partner(services.database, operator.partner_id, load_vocabulary())
        assert await report_rows(services, operator) == expected
    assert len(expected[0]) == 2
    assert [row[0] for row in expected[1]] == ["ada"] * 3 + ["ben"] * 2
