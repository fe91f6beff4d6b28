"""Rules of records and facts: starts, enrolments, scores, retakes, order, days, organizations."""

from __future__ import annotations

from datetime import date
from typing import Any

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.store import partner_settings, registry
from tests.support.learning_history import COURSES, VERBS, project_all
from tests.support.partners import Partner
from tests.support.people_import import GROUP, import_rows, membership, user
from tests.support.projection import Json, one_record, rebuild, rows, tables
from tests.support.statements import new_id, statement

ADA = "ada@example.com"
DATED = "2026-05-08T{}:00:00Z"
ASSESSMENT = {"id": "http://datacamp.com/assessment/1"}
CHAPTER: Json = {
    "id": "http://datacamp.com/course-chapter/1",
    "definition": {"type": "http://datacamp.com/course-chapter"},
}


def did(kind: str, hour: int = 12, **members: Any) -> Json:
    defaults = {
        "id": new_id(),
        "actor": {"mbox": f"mailto:{ADA}"},
        "verb": {"id": VERBS[kind]},
        "object": {"id": COURSES[0], "definition": {"type": "http://datacamp.com/course"}},
        "timestamp": DATED.format(f"{hour:02}"),
    }
    return statement(**defaults | members)


def tracked(status: str, date_: str, seconds: int, **members: Any) -> Json:
    event = {"content_id": COURSES[0], "user": ADA, "status": status, "event_date": date_}
    return {**event, "duration_spent": seconds, **members}


async def project(services: Services, partner: Partner, *sent: Json, **where: Any) -> None:
    """Each item in a request of its own, so that the order of storage is that of the arguments."""
    for item in sent:
        response = await partner.send(item, **where)
        assert response.status_code == 200, response.text
    await project_all(services, partner.partner_id)


async def change_settings(services: Services, partner: Partner, **changes: object) -> None:
    changed = partner_settings.change(partner_settings.DEFAULTS, changes)
    await registry.set_partner_settings(services.database, partner.name, changed)


async def report(partner: Partner, table: str) -> list[Json]:
    response = await partner.http.get(partner.url(f"reports/{table}.json"), headers=partner.headers)
    assert response.status_code == 200, response.text
    return list(response.json()["rows"])


async def test_started_at_is_the_first_work_on_all_days(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    later = {"timestamp": "2026-05-10T12:00:00Z"}
    await project(
        services, partner, did("started", **later), did("completed", 9), did("worked", **later)
    )
    record = await one_record(connection, partner)
    assert record is not None
    assert record["started_at"] == record["completed_at"]
    facts = await rows(connection, partner, "daily_fact")
    assert [fact["started_at"] for fact in facts] == 2 * [record["started_at"]]


async def test_enrolment_makes_a_record_and_no_fact(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await project(services, partner, did("registered"))
    record = await one_record(connection, partner)
    assert record is not None
    assert (record["status"], record["started_at"], record["attempts"]) == ("not_started", None, 0)
    assert await rows(connection, partner, "daily_fact") == []


async def test_enrolment_with_a_measure_makes_a_fact(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await project(services, partner, did("registered", result={"duration": "PT1M"}))
    (fact,) = await rows(connection, partner, "daily_fact")
    assert (fact["time_spent"], fact["started_at"]) == (60, None)


@pytest.mark.parametrize(
    ("target", "scores"),
    [({"id": COURSES[0]}, (70.0, 70.0)), (ASSESSMENT, (140.0, 70.0))],
    ids=["course", "assessment"],
)
async def test_scores_are_in_percent_but_for_assessments(
    partner: Partner, services: Services, target: Json, scores: tuple[float, float]
) -> None:
    kind = f"http://datacamp.com/{target['id'].split('/')[3]}"
    sent = {**target, "definition": {"type": kind}}
    await project(
        services,
        partner,
        did("completed", 9, object=sent, result={"score": {"raw": 140, "min": 0, "max": 200}}),
        did("completed", 10, object=sent, result={"score": {"scaled": 0.7}}),
    )
    (record,) = await report(partner, "learner_record")
    assert (record["best_score"], record["last_score"]) == scores
    assert (record["best_raw_score"], record["last_raw_score"]) == (140.0, 70.0)
    if target == ASSESSMENT:
        (fact,) = await report(partner, "assessment_fact")
        assert (fact["score"], fact["score_group"]) == (70.0, "Intermediate Lower")


@pytest.mark.parametrize(
    ("totals", "seconds", "attempts"),
    [
        ([("started", 0), ("in_progress", 600), ("completed", 900)], 900, 1),
        ([("completed", 900), ("in_progress", 100), ("completed", 400)], 1300, 2),
        ([("started", 0), ("completed", 900), ("started", 0), ("completed", 400)], 1300, 2),
        ([("in_progress", 900), ("started", 100), ("in_progress", 300)], 1200, 1),
        ([("in_progress", 900), ("in_progress", 100), ("in_progress", 1000)], 1000, 1),
        ([("completed", 900), ("in_progress", 100), ("in_progress", 50)], 1000, 2),
        ([("completed", 900), ("completed", 900), ("completed", 1000)], 1000, 1),
    ],
    ids=["one", "after completion", "started again", "start", "noise", "noise within", "equal"],
)
async def test_totals_that_restart_count_as_another_attempt(
    partner: Partner,
    services: Services,
    connection: asyncpg.Connection,
    totals: list[tuple[str, int]],
    seconds: int,
    attempts: int,
) -> None:
    sent = [
        tracked(status, DATED.format(f"{hour:02}"), total)
        for hour, (status, total) in enumerate(totals)
    ]
    await project(services, partner, *reversed(sent), resource="track")
    record = await one_record(connection, partner)
    assert record is not None
    assert (record["milliseconds"], record["attempts"]) == (1000 * seconds, attempts)
    (fact,) = await rows(connection, partner, "daily_fact")
    assert fact["time_spent"] == seconds


async def test_highest_of_several_track_events_with_the_same_time_counts(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    day = DATED.format("00")
    await project(
        services,
        partner,
        tracked("in_progress", day, 600, completion_percentage=80),
        tracked("started", day, 60, completion_percentage=10),
        resource="track",
    )
    record = await one_record(connection, partner)
    assert record is not None
    assert (record["progress"], record["milliseconds"]) == (80.0, 600_000)


async def test_last_stored_statement_counts_of_those_with_the_same_time(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """Whatever their ids."""
    for ids in (("f", "0"), ("0", "f")):
        for digit, score in zip(ids, (10, 90), strict=True):
            await project(
                services,
                partner,
                did("worked", id=digit + new_id()[1:], result={"score": {"raw": score}}),
            )
        record = await one_record(connection, partner)
        assert record is not None
        assert record["last_score"] == 90


async def test_days_are_in_the_time_zone_of_the_partner(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await change_settings(services, partner, time_zone="Europe/Berlin")
    await project(services, partner, did("worked", 23))
    assert [row["day"] for row in await rows(connection, partner, "daily_fact")] == [
        date(2026, 5, 9)
    ]
    for table in ("course_fact", "content_fact"):
        assert [row["date_id"] for row in await report(partner, table)] == [20260509]
    await change_settings(services, partner)
    await rebuild(services, partner)
    assert [row["day"] for row in await rows(connection, partner, "daily_fact")] == [
        date(2026, 5, 8)
    ]


# Organizations


async def test_statement_without_organization_belongs_to_that_of_the_membership(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await project(services, operator, did("started", 9), organization="north")
    await project(services, operator, did("completed", 10))
    assert len(await rows(connection, operator, "learner_record")) == 2
    joined = membership("ada", "2026-01-01", organization="north")
    await import_rows(operator, user("ada", email=ADA), joined)
    record = await one_record(connection, operator)
    assert record is not None
    assert (record["organization"], record["status"]) == ("north", "completed")
    await project(services, operator, did("worked", 11))
    assert len(await rows(connection, operator, "learner_record")) == 1
    followed = await tables(connection, operator)
    await rebuild(services, operator)
    assert await tables(connection, operator) == followed
    await import_rows(operator, joined | {"to": joined["from"]})
    assert len(await rows(connection, operator, "learner_record")) == 2


async def test_organization_of_the_day_decides_between_several(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await import_rows(
        operator,
        user("ada", email=ADA),
        *({"type": "group", "organization": name} for name in ("north", "south")),
        membership("ada", "2026-01-01", "2026-05-01", organization="north"),
        membership("ada", "2026-05-01", organization="south"),
    )
    dates = ("2026-04-30T12:00:00Z", "2026-05-01T12:00:00Z")
    await project(services, operator, *(did("worked", timestamp=item) for item in dates))
    organizations = [
        row["organization"] for row in await rows(connection, operator, "learner_record")
    ]
    assert sorted(organizations) == ["north", "south"]


async def test_setting_leaves_statements_without_organization(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await change_settings(services, operator, organization_from_memberships="false")
    joined = membership("ada", "2026-01-01", organization="north")
    await import_rows(operator, user("ada", email=ADA), GROUP, joined)
    await project(services, operator, did("worked"))
    record = await one_record(connection, operator)
    assert record is not None
    assert record["organization"] == ""


# Courses and their parts


def on_chapter(minutes: int, **members: Any) -> Json:
    within = {"contextActivities": {"parent": [{"id": COURSES[0]}]}}
    return did(
        "completed",
        9,
        object=CHAPTER,
        context=within,
        result={"duration": f"PT{minutes}M", "extensions": {"http://datacamp.com/xp": minutes}},
        **members,
    )


async def test_work_on_parts_counts_once_for_the_course(
    partner: Partner, services: Services
) -> None:
    exercise = {"id": "http://example.com/exercises/1"}
    within = {"contextActivities": {"parent": [{"id": CHAPTER["id"]}]}}
    await project(
        services,
        partner,
        did("started", 10, result={"duration": "PT1M"}),
        on_chapter(2),
        did("worked", object=exercise, context=within, result={"duration": "PT4M"}),
        on_chapter(8, timestamp="2026-05-09T12:00:00Z"),
    )
    facts = {row["date_id"]: row for row in await report(partner, "course_fact")}
    assert {day: (row["time_spent"], row["xp"]) for day, row in facts.items()} == {
        20260508: (420, 2),
        20260509: (480, 8),
    }
    assert {row["started_at"][:19] for row in facts.values()} == {"2026-05-08T09:00:00"}
    assert {row["completed_at"] for row in facts.values()} == {None}
    spent = [row["time_spent"] for row in await report(partner, "content_fact")]
    assert sum(item or 0 for item in spent) == 900


async def test_unit_of_cmi5_counts_for_the_course_in_its_grouping(
    partner: Partner, services: Services
) -> None:
    course = {"id": COURSES[0], "definition": {"type": "http://datacamp.com/course"}}
    session = {
        "category": [{"id": "https://w3id.org/xapi/cmi5/context/categories/cmi5"}],
        "grouping": [{"id": "http://example.com/publisher"}, course],
    }
    terminated = {"id": "http://adlnet.gov/expapi/verbs/terminated"}
    sent = did(
        "worked",
        verb=terminated,
        object={"id": "http://example.com/units/1"},
        context={"contextActivities": session},
        result={"duration": "PT5M"},
    )
    await project(services, partner, sent)
    (fact,) = await report(partner, "course_fact")
    assert fact["time_spent"] == 300


async def test_setting_leaves_parts_out_of_the_course(partner: Partner, services: Services) -> None:
    await change_settings(services, partner, roll_up="false")
    await project(services, partner, did("started", result={"duration": "PT1M"}), on_chapter(2))
    assert [row["time_spent"] for row in await report(partner, "course_fact")] == [60]
    await change_settings(services, partner)
    await rebuild(services, partner)
    assert [row["time_spent"] for row in await report(partner, "course_fact")] == [180]


async def test_course_counts_parts_from_before_their_parent_was_stated(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await project(services, partner, did("started"), did("worked", object=CHAPTER, result={
        "duration": "PT5M"}))  # fmt: skip
    assert [row["time_spent"] for row in await report(partner, "course_fact")] == [None]
    await project(services, partner, on_chapter(1))
    assert [row["time_spent"] for row in await report(partner, "course_fact")] == [360]
    followed = await tables(connection, partner)
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed


async def test_mutual_parents_count_separately(partner: Partner, services: Services) -> None:
    for one, other in (("a", "b"), ("b", "a"), ("c", "c")):
        within = {"contextActivities": {"parent": [{"id": f"http://example.com/{other}"}]}}
        sent = did(
            "worked",
            object={"id": f"http://example.com/{one}"},
            context=within,
            result={"duration": "PT1M"},
        )
        await project(services, partner, sent)
    assert [row["time_spent"] for row in await report(partner, "course_fact")] == [60, 60, 60]


async def test_part_of_several_contexts_keeps_its_first_parent(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """Unless its definition has another one."""

    async def course_seconds() -> dict[str, float]:
        titles = {row["course_id"]: row["title"] for row in await report(partner, "course_dim")}
        facts = await report(partner, "course_fact")
        return {titles[row["course_id"]]: row["time_spent"] for row in facts}

    for course in (COURSES[0], COURSES[1], COURSES[0], COURSES[1]):
        within = {"contextActivities": {"parent": [{"id": course}]}}
        await project(services, partner, on_chapter(1) | {"context": within})
    assert await course_seconds() == {"1": 240}
    definition = CHAPTER["definition"] | {
        "extensions": {"http://datacamp.com/parentId": COURSES[1]}
    }
    sent = on_chapter(1) | {"object": {**CHAPTER, "definition": definition}}
    await project(services, partner, sent, on_chapter(1))
    assert await course_seconds() == {"2": 360}
    followed = await tables(connection, partner)
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed
