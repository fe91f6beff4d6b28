"""Report tables: the vendor's columns and rules."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.reports import tables
from lrs.reports.table_model import Table
from lrs.reports.tables import REPORTS, TABLES
from tests.support.files import FIXTURES
from tests.support.partners import Partner
from tests.support.reports import DAY, NOON, Row, World

VENDOR: dict[str, list[str]] = json.loads((FIXTURES / "data-model.json").read_text())
"""Each table's columns in the vendor's document, which breaks off inside user_dim."""

RENAMED = {("course_dim", "xp"): "course_xp"}
"""Beside course_fact.xp, which the vendor's own query sums up, `xp` alone would be ambiguous."""

OURS = {
    "user_dim": ["id"],
    "user_team_bridge": ["user_id", "team_id"],
    "group_dim": ["group_id", "name", "title", "id"],
    "date_dim": [
        *("date_id", "date", "year", "quarter", "month", "month_name", "week", "week_start_date"),
        *("day", "day_of_week", "day_name", "is_weekend", "id"),
    ],
}
"""What the document names in its queries and references only."""

CONTENTS = {
    "content_dim",
    "content_fact",
    "learner_dim",
    "learner_identifier_dim",
    "learner_record",
    "uncounted",
}
"""Tables of all contents and learners, beside those of the document."""

TYPES = {
    "integer": "int4",
    "double": "float8",
    "text": "text",
    "boolean": "bool",
    "date": "date",
    "timestamp": "timestamptz",
}


def expected(table: str) -> list[str]:
    vendor = [RENAMED.get((table, column), column) for column in VENDOR.get(table, [])]
    return vendor + OURS.get(table, [])


def test_tables_match_the_vendor_model() -> None:
    assert {table.name for table in REPORTS} - CONTENTS == {*VENDOR, *OURS}
    assert len(REPORTS) == 29 + len(CONTENTS)


@pytest.mark.parametrize("table", REPORTS[:29], ids=lambda table: table.name)
def test_columns_match_the_vendor_model(table: Table) -> None:
    assert [column.name for column in table.columns] == expected(table.name)


@pytest.mark.parametrize("table", REPORTS, ids=lambda table: table.name)
async def test_view_has_the_documented_columns_and_types(services: Services, table: Table) -> None:
    async with services.database.readers.acquire() as connection:
        prepared = await connection.prepare(tables.select(table.name))
        actual = [(item.name, item.type.name) for item in prepared.get_attributes()]
        parameters = [item.name for item in prepared.get_parameters()]
    assert actual == [(item.name, TYPES[item.type]) for item in table.columns]
    assert parameters == ["int4"]


def test_daily_tables_have_a_date_id() -> None:
    daily = {table.name for table in TABLES.values() if table.daily}
    assert daily == {
        f"{kind}_fact"
        for kind in (
            "assessment",
            "exercise",
            "chapter",
            "course",
            "practice",
            "project",
            "content",
        )
    }
    for name in daily:
        assert "date_id" in {column.name for column in TABLES[name].columns}


@pytest.fixture
def world(services: Services, partner: Partner) -> World:
    return World(services.database, partner.partner_id)


async def rows(world: World, table: str) -> list[Row]:
    actual = await world.database.readers.fetch(tables.select(table), world.partner_id)
    return [dict(row) for row in actual]


async def values(world: World, table: str, *columns: str) -> list[Any]:
    """The sorted rows with these columns; plain values for a single column."""
    actual = sorted(
        (tuple(row[column] for column in columns) for row in await rows(world, table)), key=str
    )
    return [item[0] for item in actual] if len(columns) == 1 else actual


async def test_tables_contain_rows_of_the_partner_only(
    world: World, services: Services, stranger: Partner
) -> None:
    other = World(services.database, stranger.partner_id)
    for item in (world, other):
        person, course = await item.person(), await item.content("course", "Python")
        group, team = await item.group(), await item.team("red", person)
        await item.day(person, course)
        await item.event(person, await item.content("track", "Data"), "started")
        assert [group, team]
    for table in ("course_dim", "course_fact", "user_dim", "team_dim", "group_dim", "track_fact"):
        mine, theirs = await rows(world, table), await rows(other, table)
        assert mine
        assert not [row for row in mine if row in theirs and -1 not in row.values()]


# Content items and facts


async def test_fact_is_one_learner_content_item_and_day(world: World) -> None:
    person = await world.person()
    course = await world.content("course", "Python", technology="Python", topic="Programming")
    await world.day(person, course, time_spent=90.5, xp=100.0, started_at=NOON)
    await world.day(person, course, DAY + timedelta(days=1), completed_at=NOON)
    first, second = sorted(await rows(world, "course_fact"), key=lambda row: row["date_id"])
    assert first == {
        "user_id": person,
        "course_id": course,
        "date_id": 20260508,
        "started_at": NOON,
        "completed_at": None,
        "time_spent": 90.5,
        "xp": 100.0,
    }
    assert (second["date_id"], second["time_spent"], second["xp"]) == (20260509, None, None)


@pytest.mark.parametrize("kind", ["exercise", "chapter", "course"])
async def test_deleted_content_item_has_id_minus_one(world: World, kind: str) -> None:
    person = await world.person()
    gone = await world.content(kind, "Gone", deleted_at=NOON)
    existing = await world.content(kind, "Here")
    for content in (gone, existing):
        await world.day(person, content, xp=1.0)
    assert await values(world, f"{kind}_fact", f"{kind}_id") == [-1, existing]
    actual = {row[f"{kind}_id"]: row for row in await rows(world, f"{kind}_dim")}
    assert set(actual) == {-1, existing}
    assert (actual[-1]["id"], actual[-1]["title"]) == (-1, f"deleted {kind}")


async def test_exercise_has_its_chapter_and_course(world: World) -> None:
    course = await world.content(
        "course", "Python", technology="Python", xp=4000, launched_date="2024-02-29", slug="py"
    )
    chapter = await world.content("chapter", "Hello", course, xp=900, nb_exercises=11)
    exercise = await world.content("exercise", "Print", chapter, exercise_type="Video", number=3)
    loose = await world.content("exercise", "Loose", course)
    actual = {row["exercise_id"]: row for row in await rows(world, "exercise_dim")}
    assert actual[exercise] | {"course_description": None} == {
        "exercise_id": exercise,
        "title": "Print",
        "type": "Video",
        "number": 3,
        "xp": None,
        "technology": "Python",
        "topic": None,
        "course_title": "Python",
        "course_slug": "py",
        "course_xp": 4000.0,
        "course_description": None,
        "course_short_description": None,
        "course_launched_date": date(2024, 2, 29),
        "chapter_title": "Hello",
        "chapter_slug": None,
        "chapter_xp": 900.0,
        "chapter_nb_exercises": 11,
        "id": exercise,
    }
    assert (actual[loose]["chapter_title"], actual[loose]["course_title"]) == (None, "Python")
    (fact,) = [row for row in await rows(world, "chapter_dim") if row["chapter_id"] == chapter]
    assert (fact["course_title"], fact["technology"], fact["xp"]) == ("Python", "Python", 900.0)


SCORES = {
    69.9: "Novice",
    70: "Intermediate Lower",
    99.9: "Intermediate Lower",
    100: "Intermediate",
    130: "Intermediate Upper",
    160: "Intermediate Upper",
    160.1: "Advanced",
    None: None,
}


@pytest.mark.parametrize("score", SCORES)
async def test_score_determines_the_score_group(world: World, score: float | None) -> None:
    assessment = await world.content("assessment", "Python")
    await world.day(await world.person(), assessment, raw_score=score, percentile=40.0)
    assert await values(world, "assessment_fact", "score_group", "percentile") == [
        (SCORES[score], 40.0)
    ]


async def test_week_starts_on_monday(world: World) -> None:
    actual = {row["date"]: row for row in await rows(world, "date_dim")}
    assert (min(actual), max(actual)) == (date(1970, 1, 1), date(2099, 12, 31))
    assert actual[DAY] == {
        "date_id": 20260508,
        "date": DAY,
        "year": 2026,
        "quarter": 2,
        "month": 5,
        "month_name": "May",
        "week": 19,
        "week_start_date": date(2026, 5, 4),
        "day": 8,
        "day_of_week": 5,
        "day_name": "Friday",
        "is_weekend": False,
        "id": 20260508,
    }
    assert actual[date(2027, 1, 3)]["week_start_date"] == date(2026, 12, 28)
    assert actual[date(2027, 1, 3)]["is_weekend"]


# People


async def test_team_bridge_contains_current_teams_only(world: World) -> None:
    today = datetime.now(UTC).date()
    person = await world.person(email="a@example.com")
    now, past, future = [await world.team(slug) for slug in ("now", "past", "future")]
    await world.member("team", now, person, today - timedelta(days=9), today - timedelta(days=5))
    await world.member("team", now, person, today)
    await world.member("team", past, person, today - timedelta(days=9), today)
    await world.member("team", future, person, today + timedelta(days=1))
    assert await values(world, "user_team_bridge", "user_id", "team_id") == [(person, now)]
    assert await values(world, "user_dim", "user_id", "email", "id") == [
        (person, "a@example.com", person)
    ]


# Tables made from events


@pytest.mark.parametrize(
    ("organization", "visible_days"), [("north", [DAY]), ("south", []), ("", [DAY])]
)
async def test_events_outside_the_membership_are_hidden(
    world: World, organization: str, visible_days: list[date]
) -> None:
    """The day on which a learner leaves is outside."""
    north, _ = await world.group("north"), await world.group("south")
    person, workspace = await world.person(), await world.content("workspace", "Notes")
    await world.member("group", north, person, DAY, DAY + timedelta(days=1))
    for days in (-1, 0, 1):
        at = NOON + timedelta(days=days)
        await world.event(person, workspace, "viewed", at, organization=organization)
    assert await values(world, "workspace_visit_fact", "visited_at") == visible_days


async def test_learner_without_group_is_visible_on_all_days(world: World) -> None:
    person, workspace = await world.person(), await world.content("workspace", "Notes")
    for days in (0, 1):
        await world.event(person, workspace, "viewed", NOON + timedelta(days=days))
    assert len(await rows(world, "workspace_visit_fact")) == 2


async def test_workspace_fact_counts_its_events(world: World) -> None:
    group = await world.group("north")
    author, reader = await world.person(), await world.person()
    workspace = await world.content("workspace", "Notes", technology="R", nb_megabytes=1.5)
    unseen = await world.content("workspace", "Unseen")
    events = [
        (author, "created", 0),
        (author, "edited", 1),
        (reader, "viewed", 2),
        (author, "publish_failed", 3),
        (author, "published", 4),
        (reader, "viewed", 5),
        (reader, "viewed", 6),
        (author, "viewed", 7),
        (reader, "upvoted", 8),
        (reader, "shared", 9),
        (author, "integrated", 10),
    ]
    for person, kind, minute in events:
        at, spent = NOON + timedelta(minutes=minute), 1500 if kind == "viewed" else None
        await world.event(person, workspace, kind, at, organization="north", milliseconds=spent)
    (fact,) = await rows(world, "workspace_fact")
    assert (fact["creator_id"], fact["group_id"], fact["nb_megabytes"]) == (author, group, 1.5)
    assert (fact["nb_attempts_to_publish"], fact["nb_times_published_successfully"]) == (2, 1)
    assert (fact["nb_upvotes"], fact["nb_shares"]) == (1, 1)
    assert fact["created_at"] == NOON
    assert fact["updated_at"] == fact["first_integration_added_at"] == NOON + timedelta(minutes=10)
    assert fact["last_published_at"] == NOON + timedelta(minutes=4)
    assert await values(world, "workspace_visit_fact", "visitor_id", "nb_seconds") == sorted(
        [(author, 1.5), (reader, 4.5)], key=str
    )
    assert await values(world, "publication_fact", "viewer_type", "nb_viewers", "nb_seconds") == [
        ("creator", 1, 1.5),
        ("viewer", 1, 3.0),
    ]
    assert await values(world, "workspace_dim", "workspace_id", "technology", "group_id") == sorted(
        [(workspace, "R", group), (unseen, None, None)], key=str
    )


async def test_certification_attempt_starts_at_its_registration(world: World) -> None:
    person = await world.person()
    certification = await world.content("certification", "Analyst", version="2")
    exam = await world.content("assessment", "Exam", certification)
    study = await world.content("project", "Study", certification)
    await world.content("assessment", "Other")
    events = [
        (certification, "registered", None),
        (exam, "started", None),
        (exam, "completed", False),
        (certification, "registered", None),
        (exam, "completed", True),
        (study, "completed", None),
        (certification, "completed", None),
    ]
    moments = [NOON + timedelta(days=number) for number in range(len(events))]
    for at, (content, kind, success) in zip(moments, events, strict=True):
        await world.event(person, content, kind, at, success=success)
    first, second = sorted(await rows(world, "certification_fact"), key=lambda row: str(row))
    assert first["user_certification_id"] == f"{person}-{certification}-1"
    assert (first["registered_at"], first["first_exam_started_at"]) == (moments[0], moments[1])
    assert (first["first_exam_completed_at"], first["exam_last_passed_at"]) == (moments[2], None)
    assert first["certificate_granted_at"] is None
    assert (second["registered_at"], second["exam_last_passed_at"]) == (moments[3], moments[4])
    assert second["first_case_study_submitted_at"] == moments[5]
    assert second["certificate_granted_at"] == moments[6]
    assert await values(world, "certification_dim", "certification_name") == ["Analyst"]


async def test_track_has_its_content_items(world: World) -> None:
    group, person = await world.group(""), await world.person()
    track = await world.content("track", "Analyst", technology="SQL", version_number=2)
    course, project = await world.content("course", "SQL"), await world.content("project", "Sales")
    for position, content in enumerate((course, project)):
        await world.insert("track_content", track_id=track, content_id=content, position=position)
    await world.event(person, track, "registered")
    await world.day(person, course, xp=10.0, time_spent=1.0)
    await world.day(person, course, DAY + timedelta(days=1), xp=5.0, time_spent=2.0)
    (row,) = await rows(world, "track_dim")
    assert (row["track_version_id"], row["track_id"], row["version_number"]) == (track, track, 2)
    assert (row["nb_courses"], row["nb_projects"], row["is_custom"]) == (
        1,
        1,
        None,
    )
    (fact,) = await rows(world, "track_fact")
    assert (fact["group_id"], fact["date_id"], fact["started_at"]) == (group, 20260508, NOON)
    assert (fact["completed_at"], fact["is_currently_active"]) == (None, True)
    assert await values(world, "track_content_fact", "content_id", "xp", "nb_seconds") == [
        (f"course-{course}", 15.0, 3.0),
        (f"project-{project}", None, None),
    ]
    await world.event(person, track, "completed", NOON + timedelta(days=3))
    (fact,) = await rows(world, "track_fact")
    assert (fact["completed_at"], fact["is_currently_active"]) == (NOON + timedelta(days=3), False)
    assert await values(world, "track_content_dim", "content_id", "position") == [
        (f"course-{course}", 0),
        (f"project-{project}", 1),
    ]


# Assignments


SOON = datetime.now(UTC) + timedelta(days=30)


async def assign(world: World, to: str, assignee: int, content: int | None, **values: Any) -> int:
    fact = {
        "external_id": "first",
        "type": "course",
        "status": "active",
        "created_at": NOON,
        "xp": None,
    }
    fact |= {"group_id": await world.group("somewhere"), "assignee_type": to}
    fact |= {"assignee_id": assignee, "content_id": content}
    return (await world.insert("assignment", **fact | values))["assignment_id"]


@pytest.mark.parametrize(
    ("due_at", "completed_at", "status"),
    [
        (NOON, NOON, "completed"),
        (NOON, NOON + timedelta(seconds=1), "late"),
        (None, NOON, "completed"),
        (NOON, None, "missed"),
        (SOON, None, "in_progress"),
        (None, None, "in_progress"),
    ],
)
async def test_assignment_status_follows_due_date_and_completion(
    world: World, due_at: datetime | None, completed_at: datetime | None, status: str
) -> None:
    person, course = await world.person(), await world.content("course", "Python")
    await assign(world, "user", person, course, due_at=due_at)
    if completed_at:
        await world.event(person, course, "completed", completed_at)
    assert await values(
        world, "assignment_fact", "user_id", "completion_status", "is_completed", "completed_at"
    ) == [(person, status, completed_at is not None, completed_at)]


@pytest.mark.parametrize(
    ("organization", "day", "counts"),
    [
        ("north", DAY, True),
        ("", DAY, True),
        ("south", DAY, False),
        ("north", DAY + timedelta(days=1), False),
        ("", DAY + timedelta(days=1), False),
    ],
    ids=["its own", "none", "another", "its own after membership", "none after membership"],
)
@pytest.mark.parametrize("kind", ["course", "xp"])
async def test_assignment_counts_events_of_its_organization_on_days_of_membership(
    world: World, organization: str, day: date, counts: bool, kind: str
) -> None:
    person, course = await world.person(), await world.content("course", "Python")
    groups = [await world.group("north"), await world.group("south")]
    await world.member("group", groups[0], person, to_day=DAY + timedelta(days=1))
    await world.member("group", groups[1], person)
    await assign(world, "user", person, course, type=kind, xp=10, group_id=groups[0])
    at = datetime.combine(day, NOON.timetz())
    event = {"organization": organization, "day": day, "xp": 10}
    await world.event(person, course, "completed", at, **event)
    assert await values(world, "assignment_fact", "is_completed") == [counts]


async def test_assignment_of_the_partner_counts_events_of_all_organizations(world: World) -> None:
    person, course = await world.person(), await world.content("course", "Python")
    await assign(world, "user", person, course, group_id=await world.group())
    await world.event(person, course, "completed", organization="north")
    assert await values(world, "assignment_fact", "is_completed") == [True]


async def test_team_assignment_applies_to_members_on_the_day(world: World) -> None:
    course = await world.content("course", "Python")
    stays, left, late = [await world.person() for _ in range(3)]
    team = await world.team("red", stays)
    await world.member("team", team, left, DAY - timedelta(days=9), DAY)
    await world.member("team", team, late, DAY + timedelta(days=1))
    await assign(world, "team", team, course, due_at=NOON)
    assert await values(world, "assignment_fact", "user_id") == [stays]


async def test_group_assignment_applies_to_members_and_to_learners_without_group(
    world: World,
) -> None:
    course = await world.content("course", "Python")
    group, other = await world.group("north"), await world.group("south")
    member, elsewhere, free = [await world.person() for _ in range(3)]
    await world.member("group", group, member)
    await world.member("group", other, elsewhere)
    for person in (elsewhere, free):
        await world.record(person, course, organization="north")
    await assign(world, "group", group, course)
    assert await values(world, "assignment_fact", "user_id") == sorted([member, free], key=str)


async def test_assignment_of_experience_points(world: World) -> None:
    person, course = await world.person(), await world.content("course", "Python")
    await assign(world, "user", person, None, type="xp", xp=150)
    for days, xp in ((-1, 1000), (1, 100), (2, 50), (3, 100)):
        await world.event(person, course, "progressed", NOON + timedelta(days=days), xp=xp)
    assert await values(world, "assignment_fact", "completion_status", "completed_at") == [
        ("completed", NOON + timedelta(days=2))
    ]
    assert await values(world, "assignment_dim", "assignment_xp", "assignment_title") == [
        (150.0, None)
    ]
