"""The list of all learner records of a partner: filters, pages, files, increments."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.reports.record_list import RECORDS
from tests.support.learner_records import NOON, content, learner, record
from tests.support.learning_history import mailbox, project_all
from tests.support.openapi import validator
from tests.support.partners import Partner
from tests.support.projection import voiding
from tests.support.report_downloads import parquet
from tests.support.statements import new_id, statement

Json = dict[str, Any]

COURSE, VIDEO = "http://example.com/courses/1", "http://example.com/videos/1"


async def ask(
    partner: Partner, path: str = "records", within: str | None = None, **params: Any
) -> httpx.Response:
    headers = {**partner.headers, "Accept-Encoding": "identity"}
    response = await partner.http.get(partner.url(path, within), params=params, headers=headers)
    assert response.status_code == 200, response.text
    return response


async def pages(partner: Partner, path: str = "records", **params: Any) -> list[httpx.Response]:
    """All pages, following the Link header."""
    result = [await ask(partner, path, **params)]
    while link := result[-1].headers.get("link"):
        result.append(await partner.http.get(link[1 : link.index(">")], headers=partner.headers))
    return result


def keys(rows: list[Json]) -> list[tuple[str, str, str | None]]:
    return [(row["user"], row["activity_id"], row["organization"]) for row in rows]


@pytest.fixture
async def five(services: Services, partner: Partner) -> Partner:
    """Records of two learners, two content items and two organizations."""
    ada = await learner(services, partner, mailbox("ada"), external_id="ada", first_name="Ada")
    ben = await learner(services, partner, mailbox("ben"), external_id="ben")
    course = await content(services, partner, COURSE, type="course", title="Course")
    video = await content(services, partner, VIDEO, type="course", defined_type="video")
    rows: list[tuple[int, int, str, Json]] = [
        (ada, course, "", {"status": "completed", "success": True, "completed_at": NOON}),
        (ada, course, "north", {"last_activity_at": NOON - timedelta(days=2)}),
        (ada, video, "north", {"status": "not_started", "milliseconds": 1500}),
        (ben, course, "north", {"status": "completed", "success": False}),
        (ben, video, "", {"last_activity_at": NOON + timedelta(days=2)}),
    ]
    for number, (person, item, organization, columns) in enumerate(rows):
        times = {"updated_at": NOON + timedelta(seconds=100 - number)}
        await record(services, partner, person, item, organization=organization, **times | columns)
    return partner


EVERYTHING = [
    ("ada", COURSE, None),
    ("ada", COURSE, "north"),
    ("ada", VIDEO, "north"),
    ("ben", COURSE, "north"),
    ("ben", VIDEO, None),
]


async def test_list_has_all_members_of_each_record(five: Partner) -> None:
    body = (await ask(five)).json()
    assert keys(body["records"]) == EVERYTHING
    validator({"$ref": "#/components/schemas/RecordList"}).validate(body)
    first = body["records"][0]
    assert list(first) == [column.name for column in RECORDS.columns]
    assert (first["name"], first["email"], first["title"]) == ("Ada", "ada@example.com", "Course")
    assert (first["success"], first["completed_at"]) == (True, "2026-05-08T12:00:00.000000Z")
    assert body["records"][2]["time_spent"] == 1.5
    assert (body["more"], body["uncounted"]) == ("", 0)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "completed"}, [0, 3]),
        ({"success": "false"}, [3]),
        ({"type": "video"}, [2, 4]),
        ({"type": "course"}, [0, 1, 2, 3, 4]),
        ({"learner": "ada@example.com"}, [0, 1, 2]),
        ({"learner": "ben", "content": VIDEO}, [4]),
        ({"learner": "nobody"}, []),
        ({"content": "nothing"}, []),
        ({"content": COURSE, "organization": "north"}, [1, 3]),
        ({"organization": ""}, [0, 4]),
        ({"since": "2026-05-08T12:00:00Z"}, [4]),
        ({"until": "2026-05-07T12:00:00Z"}, [1]),
        ({"updated_since": "2026-05-08T12:01:37Z"}, [2, 1, 0]),
    ],
)
async def test_filters_select_records(
    five: Partner, params: dict[str, str], expected: list[int]
) -> None:
    """In any format and page by page; increments are in the order of their changes."""
    wanted = [EVERYTHING[number] for number in expected]
    if params == {"updated_since": "2026-05-08T12:01:37Z"}:
        wanted = [EVERYTHING[number] for number in (2, 1, 0)]
    assert keys((await ask(five, **params)).json()["records"]) == wanted
    one_by_one = [page.json()["records"] for page in await pages(five, limit=1, **params)]
    assert keys([row for page in one_by_one for row in page]) == wanted
    lines = (await ask(five, "records.ndjson", **params)).text.splitlines()
    assert sorted(map(str, keys(list(map(json.loads, lines))))) == sorted(map(str, wanted))


async def test_organization_in_the_path_limits_the_list(five: Partner) -> None:
    body = (await ask(five, within="north")).json()
    assert [row["organization"] for row in body["records"]] == 3 * ["north"]
    response = await five.http.get(
        five.url("records", "north"), params={"organization": "x"}, headers=five.headers
    )
    assert response.status_code == 400


async def test_files_have_the_rows_of_the_list(five: Partner) -> None:
    """In any order."""
    rows = (await ask(five)).json()["records"]
    table = await ask(five, "records.parquet")
    assert sorted(
        row["updated_at"].isoformat(timespec="microseconds") for row in parquet(table)
    ) == (sorted(row["updated_at"].replace("Z", "+00:00") for row in rows))
    assert sorted(map(str, keys(parquet(table)))) == sorted(map(str, keys(rows)))
    assert table.headers["content-disposition"] == 'attachment; filename="records.parquet"'
    text = (await ask(five, "records.csv")).text
    in_csv = list(csv.DictReader(io.StringIO(text)))
    successes = {True: "true", False: "false", None: ""}
    assert sorted((row["user"], row["success"]) for row in in_csv) == sorted(
        (row["user"], successes[row["success"]]) for row in rows
    )
    by_media_type = await five.http.get(
        five.url("records"), headers={**five.headers, "Accept": "text/csv"}
    )
    assert sorted(by_media_type.text.splitlines()) == sorted(text.splitlines())


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "parquet"])
async def test_file_with_a_limit_is_a_page(five: Partner, suffix: str) -> None:
    files = await pages(five, f"records.{suffix}", limit=2)
    assert len(files) == 3
    assert len({file.headers["lrs-updated-through"] for file in files}) == 1
    rows: list[Json] = []
    for file in files:
        if suffix == "parquet":
            rows += parquet(file)
        elif suffix == "csv":
            rows += csv.DictReader(io.StringIO(file.text))
        else:
            rows += map(json.loads, file.text.splitlines())
    expected = [(user, activity, None) for user, activity, _ in EVERYTHING]
    assert [(row["user"], row["activity_id"], None) for row in rows] == expected


async def test_compressed_file_and_head_request(five: Partner) -> None:
    packed = await ask(five, "records.csv", compress="gzip")
    assert packed.headers["content-type"] == "application/gzip"
    head = await five.http.head(five.url("records.csv"), headers=five.headers)
    assert (head.status_code, head.content) == (200, b"")


# Increments


async def test_increments_have_changed_and_deleted_records_once(
    services: Services, partner: Partner
) -> None:
    first, second = statement(id=new_id()), statement(id=new_id(), actor=mailbox("ada"))
    for item in (first, second):
        await partner.send(item)
    await project_all(services, partner.partner_id)
    whole = (await ask(partner)).json()
    assert len(whole["records"]) == 2
    since = whole["updated_through"]
    assert (await ask(partner, updated_since=since)).json()["records"] == []
    await partner.send([voiding(first), statement(actor=mailbox("ben"))])
    await project_all(services, partner.partner_id)
    for path in ("records", "records.ndjson"):
        changed = [
            row
            for page in await pages(partner, path, updated_since=since, limit=1)
            for row in (
                page.json()["records"] if path == "records" else [json.loads(page.text or "null")]
            )
        ]
        assert {row["email"]: row["status"] for row in changed} == {
            "learner@example.com": "deleted",
            "ben@example.com": "completed",
        }
    assert len((await ask(partner, updated_since=since, status="completed")).json()["records"]) == 1
    through = (await ask(partner, updated_since=since)).json()["updated_through"]
    assert (await ask(partner, updated_since=through)).json()["records"] == []


async def test_change_during_the_reading_of_pages_is_in_the_next_increment(
    services: Services, five: Partner
) -> None:
    first = (await ask(five, limit=2)).json()
    await services.database.writers.execute(
        "update learner_record set updated_at = now(), status = 'completed' where partner_id = $1",
        five.partner_id,
    )
    (second,) = [
        await five.http.get(first["more"], headers=five.headers),
    ]
    through = second.json()["updated_through"]
    assert through == first["updated_through"]
    again = (await ask(five, updated_since=through)).json()["records"]
    assert sorted(map(str, keys(again))) == sorted(map(str, EVERYTHING))


# Errors


@pytest.mark.parametrize(
    "params",
    [
        {"status": "deleted"},
        {"updated_since": "yesterday"},
        {"cursor": "x"},
        {"cursor": "WzEsMl0"},
        {"limit": "-1"},
        {"raw": "true"},
        {"learner": ""},
        {"user": "ada"},
    ],
    ids=lambda params: "-".join(params),
)
async def test_invalid_parameter_is_refused(partner: Partner, params: dict[str, str]) -> None:
    response = await partner.http.get(
        partner.url("records"), params=params, headers=partner.headers
    )
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == next(iter(params))


@pytest.mark.parametrize(
    "key",
    [
        ["0001-01-01T00:00:00+14:00", None, 1, 2, ""],
        ["2026-05-08T12:00:00", None, 1, 2, ""],
        ["2026-05-08T12:00:00Z", None, 2**31, 2, ""],
        ["2026-05-08T12:00:00Z", None, -1, 2, ""],
        ["2026-05-08T12:00:00Z", None, 1, 2, "\0"],
        ["2026-05-08T12:00:00Z", None, 1, 2, 3],
        ["2026-05-08T12:00:00Z", "2026-05-08T12:00:00Z", 1, 2, ""],
        ["9999-12-31T23:59:59.999999-14:00", None, 1, 2, ""],
        [],
    ],
    ids=str,
)
async def test_forged_cursor_is_refused(partner: Partner, key: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
    for suffix in ("", ".csv"):
        response = await partner.http.get(
            partner.url(f"records{suffix}"), params={"cursor": cursor}, headers=partner.headers
        )
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == "cursor"


async def test_records_of_another_partner_return_403(partner: Partner, stranger: Partner) -> None:
    for suffix in ("", ".csv", ".ndjson", ".parquet"):
        url = stranger.url(f"records{suffix}")
        assert (await partner.http.get(url, headers=partner.headers)).status_code == 403
