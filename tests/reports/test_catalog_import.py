"""Catalog import: outcomes, refusals, and what the report tables have."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from lrs.api.services import Services
from lrs.catalog.rows import KINDS, ROWS
from lrs.resources import schema
from tests.support.learner_changes import assert_rebuild_changes_nothing
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.people_import import ADA
from tests.support.statements import statement

Json = dict[str, Any]

EXAMPLES = [schema(f"catalog/{kind}")["examples"][0] for kind in KINDS]
COURSE, CHAPTER, EXERCISE = (item["content"] for item in EXAMPLES[:3])
TRACK, CERTIFICATION = "http://datacamp.com/track/2", "http://datacamp.com/certification/3"


async def post(
    operator: Partner, body: str | list[Json], media_type: str = "", **params: Any
) -> httpx.Response:
    content = json.dumps(body) if isinstance(body, list) else body
    kind = media_type or ("text/csv" if isinstance(body, str) else "application/json")
    return await operator.http.post(
        operator.url("contents/imports"),
        params=params,
        headers=operator.headers | {"Content-Type": kind},
        content=content.encode(),
    )


async def imported(operator: Partner, *rows: Json, **params: str) -> Json:
    response = await post(operator, list(rows), **params)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def table(operator: Partner, name: str) -> list[Json]:
    response = await operator.http.get(operator.url(f"reports/{name}"), headers=operator.headers)
    assert response.status_code == 200, response.text
    return [row for row in response.json()["rows"] if -1 not in row.values()]


async def one(operator: Partner, name: str) -> Json:
    (row,) = await table(operator, name)
    return row


async def work(services: Services, operator: Partner, *sent: Json) -> None:
    for item in sent:
        response = await operator.send(statement(actor={"mbox": f"mailto:{ADA}"}, **item))
        assert response.status_code == 200, response.text
    await project_all(services, operator.partner_id)


async def test_import_is_idempotent_and_previewed(operator: Partner) -> None:
    expected = await imported(operator, *EXAMPLES, preview="true")
    assert expected["summary"] == {"received": len(EXAMPLES), "added": len(EXAMPLES)}
    done = await imported(operator, *EXAMPLES)
    assert done["results"] == expected["results"]
    again = await imported(operator, *EXAMPLES)
    assert again["summary"] == {"received": len(EXAMPLES), "unchanged": len(EXAMPLES)}
    changed = EXAMPLES[0] | {"title": "Python, again", "slug": None}
    response = await imported(operator, changed)
    assert response["results"][0]["changes"] == ["title", "slug"]
    assert (await one(operator, "course_dim"))["title"] == "Python, again"
    assert (await one(operator, "course_dim"))["technology"] == "Python"


async def test_tables_have_content_items_without_events(
    services: Services, operator: Partner
) -> None:
    await imported(operator, *EXAMPLES)
    course = await one(operator, "course_dim")
    assert (course["title"], course["course_xp"], course["nb_hours_needed"]) == (
        "Introduction to Python",
        4500,
        4,
    )
    assert (course["topic"], course["launched_date"]) == ("Programming", "2025-01-15")
    chapter = await one(operator, "chapter_dim")
    assert (chapter["course_title"], chapter["nb_exercises"]) == (course["title"], 1)
    exercise = await one(operator, "exercise_dim")
    assert (exercise["type"], exercise["number"], exercise["chapter_title"]) == (
        "NormalExercise",
        1,
        "Python Basics",
    )
    assert (exercise["course_slug"], exercise["chapter_nb_exercises"]) == ("intro-to-python", 1)
    assert (await one(operator, "practice_dim"))["status"] == "LIVE"
    assert (await one(operator, "project_dim"))["is_certification"] is True
    assert (await one(operator, "certification_dim"))["certification_version"] == "2"
    workspace, group = await one(operator, "workspace_dim"), await one(operator, "group_dim")
    assert (workspace["owner_type"], workspace["group_id"]) == ("group", group["group_id"])
    track = await one(operator, "track_dim")
    assert (track["version_number"], track["is_current_version"]) == (2, True)
    assert (track["nb_courses"], track["nb_projects"], track["category"]) == (1, 0, "Career")
    part = await one(operator, "track_content_dim")
    assert (part["content_title"], part["position"]) == (course["title"], 1)
    assert part["track_version_id"] == track["track_version_id"] != track["track_id"]
    await assert_rebuild_changes_nothing(services, operator)
    assert await one(operator, "course_dim") == course


async def test_catalog_takes_precedence_over_statements(
    services: Services, operator: Partner
) -> None:
    definition = {
        "type": "http://adlnet.gov/expapi/activities/course",
        "name": {"en": "Sent title"},
        "extensions": {"http://datacamp.com/slug": "sent-slug"},
    }
    lesson = {"object": {"id": COURSE, "definition": definition}}
    await work(services, operator, lesson)
    await imported(operator, {"type": "course", "content": COURSE, "title": "Title", "xp": 5})
    await work(services, operator, lesson)
    course = await one(operator, "course_dim")
    assert (course["title"], course["slug"], course["course_xp"]) == ("Title", "sent-slug", 5)
    await assert_rebuild_changes_nothing(services, operator)
    await imported(operator, {"type": "course", "content": COURSE, "title": None})
    assert (await one(operator, "course_dim"))["title"] == "Sent title"
    # Another type moves the facts to another table.
    await imported(operator, {"type": "practice", "content": COURSE})
    assert (await table(operator, "course_fact"), len(await table(operator, "practice_fact"))) == (
        [],
        1,
    )
    await assert_rebuild_changes_nothing(services, operator)


async def test_parts_of_the_catalog_count_to_their_course(
    services: Services, operator: Partner
) -> None:
    await work(services, operator, {"object": {"id": EXERCISE}, "result": {"duration": "PT90S"}})
    await imported(operator, *EXAMPLES[:3])
    fact = await one(operator, "course_fact")
    assert fact["time_spent"] == 90
    await assert_rebuild_changes_nothing(services, operator)
    # Without its parent the chapter is no part.
    await imported(operator, {"type": "chapter", "content": CHAPTER, "course": None})
    assert await table(operator, "course_fact") == []
    await assert_rebuild_changes_nothing(services, operator)


async def test_version_of_a_track_is_that_of_the_enrolment(
    services: Services, operator: Partner
) -> None:
    versions = [
        {"published_live_at": "2025-01-01T00:00:00Z", "archived_at": "2026-01-01T00:00:00Z"},
        {"published_live_at": "2026-01-01T00:00:00Z", "title": "Second"},
    ]
    contents = [{"type": "course", "content": f"c{number}"} for number in range(3)]
    await imported(
        operator,
        {"type": "track", "content": TRACK, "title": "Track"},
        *contents,
        *(
            {"type": "track_version", "track": TRACK, "version_number": number, **version}
            for number, version in enumerate(versions, start=1)
        ),
        *(
            {"type": "track_content", "track": TRACK, "version_number": number, "content": content}
            for number, content in [(1, "c0"), (1, "c1"), (2, "c1"), (2, "c2")]
        ),
    )
    rows = sorted(await table(operator, "track_dim"), key=lambda row: int(row["version_number"]))
    dimension = {row["version_number"]: row for row in rows}
    assert [(row["title"], row["nb_courses"]) for row in dimension.values()] == [
        ("Track", 2),
        ("Second", 2),
    ]
    assert [row["is_current_version"] for row in dimension.values()] == [False, True]
    await work(services, operator, {"object": {"id": TRACK}, "timestamp": "2025-06-01T12:00:00Z"})
    fact = await one(operator, "track_fact")
    assert fact["track_version_id"] == dimension[1]["track_version_id"]
    assert len(await table(operator, "track_content_fact")) == 2
    await imported(
        operator,
        {"type": "track_content", "track": TRACK, "version_number": 1, "content": "c0",
         "removed": True},
    )  # fmt: skip
    assert len(await table(operator, "track_content_fact")) == 1
    await imported(
        operator, {"type": "track_version", "track": TRACK, "version_number": 1, "removed": True}
    )
    fact = await one(operator, "track_fact")
    assert fact["track_version_id"] == dimension[2]["track_version_id"]


async def test_stages_of_a_certification_fill_its_facts(
    services: Services, operator: Partner
) -> None:
    exams = ["exam1", "exam2"]
    stage = {"type": "assessment", "certification": CERTIFICATION}
    await imported(
        operator,
        {"type": "certification", "content": CERTIFICATION, "valid_days": 30},
        *({**stage, "content": exam, "stage": "exam"} for exam in exams),
        {**stage, "content": "timed", "stage": "assessment"},
    )
    registration = "00000000-0000-4000-8000-000000000001"

    def event(verb: str, content: str, at: str) -> Json:
        home = f"{operator.home_page}/contents/" if ":" not in content else ""
        return {
            "verb": {"id": f"http://adlnet.gov/expapi/verbs/{verb}"},
            "object": {"id": f"{home}{content}"},
            "context": {"registration": registration},
            "timestamp": at,
        }

    await work(
        services,
        operator,
        event("registered", CERTIFICATION, "2026-01-01T00:00:00Z"),
        event("passed", "exam1", "2026-01-02T00:00:00Z"),
    )
    attempt = await one(operator, "certification_fact")
    assert attempt["expired_at"] == "2026-01-31T00:00:00.000000Z"
    assert (attempt["is_passed_exams"], attempt["is_passed_assessments"]) == (False, False)
    assert (attempt["is_passed_challenges"], attempt["case_study_ready_at"]) == (None, None)
    await work(
        services,
        operator,
        event("passed", "exam2", "2026-01-03T00:00:00Z"),
        event("passed", "timed", "2026-01-04T00:00:00Z"),
    )
    attempt = await one(operator, "certification_fact")
    assert (attempt["is_passed_exams"], attempt["is_passed_assessments"]) == (True, True)
    assert attempt["case_study_ready_at"] == "2026-01-03T00:00:00.000000Z"
    assert attempt["assessments_passed_at"] == "2026-01-04T00:00:00.000000Z"


async def test_assignment_has_the_title_of_the_catalog(operator: Partner) -> None:
    await imported(operator, EXAMPLES[0])
    rows = [
        {"type": "user", "user": "ada"},
        {"type": "assignment", "assignment": "a", "assignment_type": "course",
         "assignee_type": "user", "assignee": "ada", "content": COURSE},
    ]  # fmt: skip
    response = await operator.http.post(
        operator.url("people/imports"), json=rows, headers=operator.headers
    )
    assert response.status_code == 200
    assert (await one(operator, "assignment_dim"))["assignment_title"] == "Introduction to Python"


async def test_row_about_an_alias_is_about_its_content_item(
    services: Services, operator: Partner
) -> None:
    alias = f"{operator.home_page}/contents/course-123"
    await work(services, operator, {"object": {"id": COURSE}}, {"object": {"id": alias}})
    response = await operator.http.put(
        operator.url(f"contents/{quote(COURSE, safe='')}/aliases"),
        json=["course-123"],
        headers=operator.headers,
    )
    assert response.status_code == 200, response.text
    course = {"type": "course", "content": "course-123", "title": "Title"}
    chapter = {"type": "chapter", "content": CHAPTER, "course": "course-123"}
    await imported(operator, course, chapter)
    assert (await one(operator, "course_dim"))["title"] == "Title"
    assert (await one(operator, "chapter_dim"))["course_title"] == "Title"
    again = await imported(operator, {**course, "content": COURSE}, chapter)
    assert again["summary"] == {"received": 2, "unchanged": 2}
    await assert_rebuild_changes_nothing(services, operator)


async def test_table_ndjson_and_array_are_the_same(operator: Partner) -> None:
    csv = "Kind;URL;Name;Hours;Live\ncourse;course-1;Zoë;4,5;15.01.2025\n".replace("4,5", "4.5")
    options = {
        "map": ["type=Kind", "content=URL", "title=Name", "nb_hours_needed=Hours",
                "launched_date=Live"],
        "dates": "dd.mm.yyyy",
    }  # fmt: skip
    response = await post(operator, csv, **options)
    assert response.status_code == 200, response.text
    assert response.json()["summary"] == {"received": 1, "added": 1}
    row = {"type": "course", "content": "course-1", "title": "Zoë", "nb_hours_needed": 4.5,
           "launched_date": "2025-01-15"}  # fmt: skip
    lines = f"\n{json.dumps(row)}\n\n"
    for response in (
        await post(operator, lines, "application/x-ndjson"),
        await post(operator, [row]),
    ):
        assert response.json()["summary"] == {"received": 1, "unchanged": 1}, response.text
    assert (await post(operator, lines, "text/plain")).status_code == 400
    response = await post(operator, '{"type": "course"}\n{', "application/x-ndjson")
    assert response.json()["detail"].startswith("Line 2: ")


@pytest.mark.parametrize(
    ("rows", "index", "pointer", "detail"),
    [
        ([{"type": "robot", "content": "x"}], 0, "/type", "expected course, chapter, exercise,"),
        ([{"type": "course"}], 0, "", 'the member "content" is missing'),
        ([{"type": "course", "content": "x", "xp": -1}], 0, "/xp", "expected a number from 0"),
        ([{"type": "course", "content": "x", "XP": 1}], 0, "/XP", '"XP" is not a member of Course'),
        (
            [{"type": "course", "content": "x", "launched_date": "2026-02-30"}],
            0, "/launched_date", "",
        ),
        (
            [{"type": "chapter", "content": "x", "course": "nothing"}],
            0, "/course", 'expected a stored course or one of this import, found "nothing"',
        ),
        (
            [{"type": "practice", "content": "p"}, {"type": "chapter", "content": "x",
             "course": "p"}],
            1, "/course", "expected a stored course",
        ),
        (
            [{"type": "course", "content": "x", "title": "a"},
             {"type": "course", "content": "x", "title": "b"}],
            1, "/title", "expected the same value as in row 0",
        ),
        (
            [{"type": "course", "content": "x"}, {"type": "practice", "content": "x"}],
            1, "/type", "expected the same value as in row 0",
        ),
        (
            [{"type": "track", "content": "t"}, {"type": "course", "content": "c"},
             {"type": "track_content", "track": "t", "content": "c", "version_number": 1}],
            2, "/version_number", "expected a stored version or one of this import, found 1",
        ),
        (
            [{"type": "track", "content": "t"}, {"type": "course", "content": "c"},
             {"type": "track_version", "track": "t", "version_number": 1},
             {"type": "track_content", "track": "t", "content": "c"}],
            3, "/version_number", "expected a version, because the track has versions",
        ),
        (
            [{"type": "assessment", "content": "a", "stage": "final"}],
            0, "/stage", "expected exam, case_study,",
        ),
        (["x"], 0, "", "expected a row (an object)"),
    ],
)  # fmt: skip
async def test_invalid_row_is_refused(
    operator: Partner, rows: list[Any], index: int, pointer: str, detail: str
) -> None:
    response = await post(operator, rows)
    assert (response.status_code, response.json()["code"]) == (400, "invalid-import"), response.text
    (result,) = response.json()["results"]
    assert result["index"] == index
    assert result["errors"][0]["pointer"] == pointer
    assert result["errors"][0]["detail"].startswith(detail)
    response = await post(operator, rows, preview="true")
    assert response.json()["results"][index] == result
    assert await table(operator, "course_dim") == []


async def test_import_without_admin_scope_returns_403(partner: Partner) -> None:
    assert (await post(partner, [])).status_code == 403


def test_example_of_every_kind_is_valid() -> None:
    assert [row.violations for row in ROWS.json_rows(EXAMPLES)] == [()] * len(KINDS)
