"""Learner records by learner and by content item."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs import cursors
from lrs.api.services import Services
from lrs.reports import learner_records
from lrs.reports import record_query as queries
from tests.support.learner_records import NOON, content, learner, record
from tests.support.partners import Partner
from tests.support.statements import statement

Json = dict[str, Any]

MBOX = {"mbox": "mailto:ada@example.com"}
COURSE = "http://datacamp.com/course/123"


async def ask(partner: Partner, path: str, **params: Any) -> httpx.Response:
    return await partner.http.get(partner.url(path), params=params, headers=partner.headers)


async def of_learner(partner: Partner, name: str, **params: Any) -> Json:
    response = await ask(partner, f"learners/{quote(name, safe='')}/records", **params)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def of_content(partner: Partner, name: str, **params: Any) -> Json:
    response = await ask(partner, f"contents/{quote(name, safe='')}/records", **params)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_record_has_all_members(services: Services, partner: Partner) -> None:
    ada = await learner(services, partner, MBOX, external_id="emp_1", email="ada@example.com")
    course = await content(services, partner, COURSE, type="course", title="Python")
    await record(
        services,
        partner,
        ada,
        course,
        organization="north",
        status="completed",
        success=True,
        progress=100.0,
        started_at=NOON - timedelta(days=1),
        completed_at=NOON,
        milliseconds=90_500,
        best_score=90.0,
        last_score=80.5,
        best_raw_score=45.0,
        last_raw_score=40.25,
        attempts=2,
        source="track",
    )
    expected = {
        "user_id": ada,
        "user": "emp_1",
        "name": "ada@example.com",
        "email": "ada@example.com",
        "content_id": course,
        "activity_id": COURSE,
        "title": "Python",
        "type": "course",
        "organization": "north",
        "status": "completed",
        "success": True,
        "progress": 100.0,
        "started_at": "2026-05-07T12:00:00.000000Z",
        "last_activity_at": "2026-05-08T12:00:00.000000Z",
        "completed_at": "2026-05-08T12:00:00.000000Z",
        "time_spent": 90.5,
        "best_score": 90.0,
        "last_score": 80.5,
        "best_raw_score": 45.0,
        "last_raw_score": 40.25,
        "attempts": 2,
        "source": "track",
    }
    theirs = await of_learner(partner, "emp_1")
    assert theirs["records"] == [expected]
    address = "ada@example.com"
    assert theirs["learner"] == {
        "user_id": ada, "user": "emp_1", "name": address, "email": address
    }  # fmt: skip
    its = await of_content(partner, COURSE)
    assert its["records"] == [expected]
    assert its["content"] == {
        "content_id": course,
        "activity_id": COURSE,
        "title": "Python",
        "type": "course",
    }


async def test_learner_without_records_has_an_empty_list(
    services: Services, partner: Partner
) -> None:
    await learner(services, partner, MBOX)
    await content(services, partner, COURSE)
    assert (await of_learner(partner, "ada@example.com"))["records"] == []
    assert (await of_content(partner, COURSE))["records"] == []


# Identifiers


async def test_learner_is_selected_by_any_identifier(services: Services, partner: Partner) -> None:
    agents: list[Json] = [
        MBOX,
        {"mbox_sha1sum": "6b5ad1a4b6e5c3d44a0d5b5e2e0f0b0c1a2b3c4d"},
        {"openid": "https://openid.example/ada"},
        {"account": {"homePage": partner.home_page, "name": "a user of track events"}},
        {"account": {"homePage": "https://www.datacamp.com", "name": "emp/001"}},
    ]
    ada = await learner(services, partner, *agents, external_id="the operator's own")
    for name in (
        "the operator's own",
        "ada@example.com",
        "mailto:ada@example.com",
        "6B5AD1A4b6e5c3d44a0d5b5e2e0f0b0c1a2b3c4d",
        "https://openid.example/ada",
        "a user of track events",
        "emp/001",
        str(ada),
        f"id:{ada}",
    ):
        assert (await of_learner(partner, name))["learner"]["user_id"] == ada, name


async def test_ambiguous_name_is_resolved_by_precedence(
    services: Services, partner: Partner
) -> None:
    """In order: the external id, an identifier, an account name of one person only, an id."""
    by_id = await learner(services, partner)
    number = str(by_id)
    assert (await of_learner(partner, number))["learner"]["user_id"] == by_id

    async def added(*agents: Json, **columns: Any) -> None:
        person_id = await learner(services, partner, *agents, **columns)
        assert (await of_learner(partner, number))["learner"]["user_id"] == person_id

    await added({"account": {"homePage": "https://one.example", "name": number}})
    await added({"account": {"homePage": partner.home_page, "name": number}})
    await added(external_id=number)
    assert (await of_learner(partner, f"id:{number}"))["learner"]["user_id"] == by_id


async def test_account_name_of_two_learners_returns_404(
    services: Services, partner: Partner
) -> None:
    for home_page in ("https://one.example", "https://two.example"):
        await learner(services, partner, {"account": {"homePage": home_page, "name": "both"}})
    response = await ask(partner, "learners/both/records")
    assert response.status_code == 404


async def test_content_item_is_selected_by_any_identifier(
    services: Services, partner: Partner
) -> None:
    by_iri = await content(services, partner, COURSE)
    by_track = await content(services, partner, f"{partner.home_page}/contents/ext%2F101%20a")
    for name, content_id in (
        (COURSE, by_iri),
        (f"id:{by_iri}", by_iri),
        (str(by_iri), by_iri),
        ("ext/101 a", by_track),
        (f"{partner.home_page}/contents/ext%2F101%20a", by_track),
    ):
        assert (await of_content(partner, name))["content"]["content_id"] == content_id, name


@pytest.mark.parametrize(
    "path",
    [
        "learners/nobody/records",
        "learners/nobody@example.com/records.csv",
        "learners/id:0/records",
        "learners/99999999999/records",
        "learners/a%00b/records",
        "contents/http%3A%2F%2Fexample.com%2Fnone/records",
        "contents/id:2147483647/records.csv",
        "organizations/north/contents/%00/records",
    ],
)
async def test_unknown_learner_or_content_item_returns_404(partner: Partner, path: str) -> None:
    response = await ask(partner, path)
    assert response.status_code == 404
    assert response.json()["code"] == "not-found"


async def test_learner_records_are_isolated_by_partner(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    ada = await learner(services, stranger, MBOX, external_id="emp_1")
    course = await content(services, stranger, COURSE)
    await record(services, stranger, ada, course)
    for name in ("emp_1", "ada@example.com", f"id:{ada}"):
        assert (await ask(partner, f"learners/{name}/records")).status_code == 404
    assert (await ask(partner, f"contents/id:{course}/records")).status_code == 404
    response = await partner.http.get(
        stranger.url("learners/emp_1/records"), headers=partner.headers
    )
    assert response.status_code == 403


# Filters and pagination


@pytest.fixture
async def busy(services: Services, partner: Partner) -> None:
    """A learner with records of seven items in three organizations."""
    ada = await learner(services, partner, MBOX, external_id="ada")
    for number in range(7):
        kind = "course" if number % 2 else None
        item = await content(services, partner, f"{COURSE}/{number}", type=kind)
        for organization in ("", "north", "süd/1"):
            await record(
                services,
                partner,
                ada,
                item,
                organization=organization,
                status=queries.STATUSES[number % 3],
                success=(None, True, False)[number % 3],
                last_activity_at=NOON + timedelta(hours=number),
            )


def numbers(page: Json) -> set[int]:
    return {int(item["activity_id"].rpartition("/")[2]) for item in page["records"]}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {0, 1, 2, 3, 4, 5, 6}),
        ({"status": "completed"}, {2, 5}),
        ({"success": "true"}, {1, 4}),
        ({"success": "false"}, {2, 5}),
        ({"type": "course"}, {1, 3, 5}),
        ({"since": "2026-05-08T14:00:00Z"}, {3, 4, 5, 6}),
        ({"until": "2026-05-08T14:00:00Z"}, {0, 1, 2}),
        ({"status": "completed", "type": "course"}, {5}),
        ({"type": "nothing"}, set()),
    ],
)
async def test_filter_selects_records(
    partner: Partner, busy: None, params: Json, expected: set[int]
) -> None:
    page = await of_learner(partner, "ada", **params)
    assert numbers(page) == expected
    assert len(page["records"]) == 3 * len(expected)
    of_five = await of_content(partner, f"{COURSE}/5", **params)
    assert len(of_five["records"]) == (3 if 5 in expected else 0)


async def test_organization_path_selects_its_records(partner: Partner, busy: None) -> None:
    for requested, organization in (
        ("", None),
        ("north", "north"),
        ("süd/1", "süd/1"),
        ("west", ()),
    ):
        page = await of_learner(partner, "ada", organization=requested)
        assert {item["organization"] for item in page["records"]} == ({organization} - {()})
    within = f"organizations/{quote('süd/1', safe='')}"
    for path in ("learners/ada", f"contents/{quote(COURSE, safe='')}%2F3"):
        response = await ask(partner, f"{within}/{path}/records")
        assert {item["organization"] for item in response.json()["records"]} == {"süd/1"}
        response = await ask(partner, f"{within}/{path}/records", organization="north")
        assert response.status_code == 400


@pytest.mark.parametrize("limit", [1, 2, 20, 21, 22])
@pytest.mark.parametrize("suffix", ["", ".csv"])
async def test_pagination_returns_each_record_once(
    partner: Partner, busy: None, limit: int, suffix: str
) -> None:
    actual = []
    response = await ask(
        partner, f"learners/ada/records{suffix}", limit=limit, until="2030-01-01T00:00:00Z"
    )
    while True:
        assert response.status_code == 200, response.text
        rows = rows_of(response)
        assert len(rows) <= limit
        actual += rows
        if "next" not in response.links:
            break
        if not suffix:
            assert response.json()["more"] == response.links["next"]["url"]
        response = await partner.http.get(response.links["next"]["url"], headers=partner.headers)
    positions = [(str(item["content_id"]), item["organization"]) for item in actual]
    assert len(set(positions)) == len(positions) == 21


def rows_of(response: httpx.Response) -> list[Json]:
    if response.headers["content-type"].startswith("text/csv"):
        return list(csv.DictReader(io.StringIO(response.text)))
    return list(response.json()["records"])


async def test_pagination_of_a_content_item(services: Services, partner: Partner) -> None:
    item = await content(services, partner, COURSE)
    for number in range(5):
        someone = await learner(services, partner, external_id=f"emp_{number}")
        for organization in ("", "north"):
            await record(services, partner, someone, item, organization=organization)
    page = await of_content(partner, COURSE, limit=3)
    actual = page["records"]
    while page["more"]:
        page = (await partner.http.get(page["more"], headers=partner.headers)).json()
        actual += page["records"]
    assert [(entry["organization"], entry["user"]) for entry in actual] == [
        (organization, f"emp_{number}") for organization in (None, "north") for number in range(5)
    ]


@given(
    st.integers(0, 2**31 - 1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=255),
)
def test_pagination_cursor_round_trips(number: int, organization: str) -> None:
    text = cursors.encode((number, organization))
    assert queries.parse([("cursor", text)], page_size=10).after == (number, organization)


@pytest.mark.parametrize(
    ("params", "name", "expected"),
    [
        ({"status": "done"}, "status", "must be not_started or in_progress or completed"),
        ({"success": "yes"}, "success", "must be true or false"),
        ({"since": "yesterday"}, "since", "must be an ISO 8601 timestamp with an offset"),
        ({"limit": "-1"}, "limit", "must be a non-negative integer"),
        ({"cursor": "x"}, "cursor", "must be the cursor of a `more` URL"),
        ({"cursor": "Wy0xLCJ4Il0"}, "cursor", "must be the cursor of a `more` URL"),
        ({"organization": "a\nb"}, "organization", "must be at most 255 printable characters"),
        ({"Status": "completed"}, "Status", "is not a parameter of this resource"),
    ],
)
async def test_invalid_parameter_is_reported(
    partner: Partner, params: Json, name: str, expected: str
) -> None:
    response = await ask(partner, "learners/ada/records", **params)
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["pointer"] == name
    assert error["detail"].startswith(expected)


# Formats


@pytest.mark.parametrize("accept", ["text/csv", "text/csv;q=0.9, */*;q=0.1", None])
async def test_csv_has_the_same_values_as_json(
    services: Services, partner: Partner, accept: str | None
) -> None:
    ada = await learner(services, partner, external_id='A "quoted", name\nof two lines')
    item = await content(services, partner, COURSE, title="Ünïcode; and, commas")
    await record(services, partner, ada, item, success=False, milliseconds=1)
    await record(services, partner, ada, item, organization="north")
    path = f"learners/id:{ada}/records"
    response = await partner.http.get(
        partner.url(path if accept else f"{path}.csv"),
        headers=partner.headers | ({"Accept": accept} if accept else {}),
    )
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = rows_of(response)
    expected = [
        {name: cell(value) for name, value in entry.items()}
        for entry in (await of_learner(partner, f"id:{ada}"))["records"]
    ]
    assert tuple(rows[0]) == learner_records.COLUMNS
    assert rows == expected


def cell(value: Any) -> str:
    """A value as a CSV cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


async def test_response_has_consistent_through_time_and_lag(
    services: Services, partner: Partner
) -> None:
    await learner(services, partner, external_id="ada")
    response = await ask(partner, "learners/ada/records")
    assert (
        response.json()["consistent_through"] == response.headers["Lrs-Reports-Consistent-Through"]
    )
    assert response.json()["lag_seconds"] == 0
    assert (await partner.send(statement())).status_code == 200
    stored = (await partner.all())[0]["stored"]
    response = await ask(partner, "learners/ada/records")
    assert response.headers["Lrs-Reports-Consistent-Through"] < stored
    assert response.json()["lag_seconds"] > 0
    response = await ask(partner, "learners/ada/records.csv")
    assert response.headers["Lrs-Reports-Consistent-Through"] < stored


async def test_records_without_scope_return_403(partner: Partner) -> None:
    await partner.authenticate(scope="statements/write")
    response = await ask(partner, "learners/ada/records")
    assert (response.status_code, response.json()["code"]) == (403, "missing-scope")
