"""Aliases of content items: one record and one row of facts, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.reports import content_aliases
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from tests.support import projection_oracle as oracle
from tests.support.learning_history import (
    COURSES,
    EXERCISE,
    LESSON,
    PARTS,
    Author,
    expected_events,
    project_all,
)
from tests.support.partners import Partner
from tests.support.people_import import GROUP, import_rows, membership, user
from tests.support.projection import Json, rebuild, rows, send, tables, voiding
from tests.support.projection_rows import add_memberships, facts, with_positions
from tests.support.statements import new_id, statement

COURSE = "http://datacamp.com/course/123"
TRACKED = "course-123"
EVENT = {"user": "a@example.com", "content_id": TRACKED, "status": "completed",
         "event_date": "2026-05-08T15:00:00Z", "duration_spent": 600}  # fmt: skip


async def put(
    operator: Partner, content: str, aliases: Any, *, preview: bool = False
) -> httpx.Response:
    return await operator.http.put(
        operator.url(f"contents/{quote(content, safe='')}/aliases"),
        json=aliases,
        params={"preview": "true"} if preview else {},
        headers=operator.headers,
    )


def outcomes(answer: httpx.Response) -> list[tuple[str, int, int]]:
    assert answer.status_code == 200, answer.text
    return [
        (result["outcome"], result["events"], result["learners"])
        for result in answer.json()["results"]
    ]


@pytest.fixture
async def operator(operator: Partner, services: Services) -> Partner:
    """A partner with a course in two sources: one statement and one track event."""
    started = statement(
        id=new_id(),
        actor={"mbox": "mailto:a@example.com"},
        verb={"id": "https://activitystrea.ms/schema/1.0/start"},
        object={"id": COURSE, "definition": {"type": "http://datacamp.com/course"}},
        timestamp="2026-05-08T14:00:00Z",
    )
    await operator.send(started)
    await operator.send(EVENT, resource="track")
    await project_all(services, operator.partner_id)
    return operator


async def test_linked_courses_are_one_record_and_one_fact(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    before = await tables(connection, operator)
    assert len(before["learner_record"]) == 2
    assert outcomes(await put(operator, COURSE, [TRACKED])) == [("linked", 1, 1)]
    (record,) = await rows(connection, operator, "learner_record")
    assert (record["status"], record["milliseconds"]) == ("completed", 600_000)
    assert record["started_at"].isoformat() == "2026-05-08T14:00:00+00:00"
    (fact,) = await rows(connection, operator, "daily_fact")
    assert fact["time_spent"] == 600
    for table, count in (("course_fact", 1), ("course_dim", 2), ("content_dim", 1)):
        answer = await operator.http.get(
            operator.url(f"reports/{table}.json"), headers=operator.headers
        )
        assert len(answer.json()["rows"]) == count, table
    followed = await tables(connection, operator)
    await rebuild(services, operator)
    assert await tables(connection, operator) == followed


async def test_removed_alias_has_its_history_back(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    def without_times(rows_by_table: dict[str, list[Json]]) -> dict[str, list[Json]]:
        return {
            table: [{name: row[name] for name in row if name != "updated_at"} for row in some]
            for table, some in rows_by_table.items()
            if table not in ("deleted_record", "content_count")
        }

    before = without_times(await tables(connection, operator))
    await put(operator, COURSE, [TRACKED])
    assert outcomes(await put(operator, COURSE, {"aliases": []})) == [("unlinked", 1, 1)]
    assert without_times(await tables(connection, operator)) == before
    await rebuild(services, operator)
    assert without_times(await tables(connection, operator)) == before


async def test_preview_counts_moved_events_and_changes_nothing(
    operator: Partner, connection: asyncpg.Connection
) -> None:
    before = await tables(connection, operator)
    answer = await put(operator, COURSE, [TRACKED, "course-9"], preview=True)
    assert outcomes(answer) == [("linked", 1, 1), ("linked", 0, 0)]
    assert answer.json()["preview"] is True
    assert await tables(connection, operator) == before


async def test_later_events_of_an_alias_count_for_its_content(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await put(operator, COURSE, [TRACKED])
    await operator.send(
        {**EVENT, "event_date": "2026-05-09T15:00:00Z", "duration_spent": 900}, resource="track"
    )
    await project_all(services, operator.partner_id)
    (record,) = await rows(connection, operator, "learner_record")
    assert record["milliseconds"] == 900_000
    assert outcomes(await put(operator, COURSE, [TRACKED])) == [("unchanged", 0, 0)]


async def test_voided_statement_about_an_alias_leaves_no_event(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    alias = "http://example.com/courses/a"
    sent = statement(id=new_id(), object={"id": alias})
    await operator.send(sent)
    await project_all(services, operator.partner_id)
    await put(operator, COURSE, [alias])
    assert len(await rows(connection, operator, "learning_event")) == 3
    await operator.send(voiding(sent))
    await project_all(services, operator.partner_id)
    assert len(await rows(connection, operator, "learning_event")) == 2


async def test_chapters_of_an_alias_belong_to_its_content(
    operator: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    alias, chapter = "http://example.com/courses/a", "http://example.com/chapters/a"

    async def send_chapter(minutes: int) -> None:
        sent = statement(
            id=new_id(),
            actor={"mbox": "mailto:a@example.com"},
            object={
                "id": chapter,
                "definition": {"type": "http://datacamp.com/course-chapter"},
            },
            context={"contextActivities": {"parent": [{"id": alias}]}},
            result={"duration": f"PT{minutes}M"},
            timestamp="2026-05-08T16:00:00Z",
        )
        await operator.send(sent)
        await project_all(services, operator.partner_id)

    async def course_seconds() -> list[float]:
        answer = await operator.http.get(
            operator.url("reports/course_fact.json"), headers=operator.headers
        )
        return sorted(row["time_spent"] or 0 for row in answer.json()["rows"])

    await send_chapter(1)
    assert await course_seconds() == [0, 60, 600]
    await put(operator, COURSE, [alias, TRACKED])
    assert await course_seconds() == [660]
    await send_chapter(2)
    assert await course_seconds() == [780]
    followed = await tables(connection, operator)
    await rebuild(services, operator)
    assert await tables(connection, operator) == followed
    await put(operator, COURSE, [TRACKED])
    assert await course_seconds() == [180, 600]


async def test_aliases_of_an_alias_move_along(operator: Partner) -> None:
    await put(operator, "course-1", ["course-2"])
    await put(operator, COURSE, ["course-1"])
    answer = await operator.http.get(
        operator.url("contents/course-2/aliases"), headers=operator.headers
    )
    assert answer.json()["activity_id"] == COURSE
    assert len(answer.json()["aliases"]) == 2


async def test_alias_moves_from_one_content_to_another(
    operator: Partner, connection: asyncpg.Connection
) -> None:
    await put(operator, COURSE, [TRACKED])
    assert outcomes(await put(operator, "course-5", [TRACKED])) == [("linked", 1, 1)]
    assert len(await rows(connection, operator, "learner_record")) == 2


@pytest.mark.parametrize("alias", [COURSE, f" {COURSE}"])
async def test_alias_of_itself_is_refused(operator: Partner, alias: str) -> None:
    answer = await put(operator, COURSE, [alias])
    assert answer.status_code == 409
    assert COURSE in answer.json()["detail"]


async def test_content_of_an_alias_is_refused_as_its_alias(operator: Partner) -> None:
    await put(operator, COURSE, [TRACKED])
    assert (await put(operator, TRACKED, [COURSE])).status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"alias": []}, "/alias"),
        ({}, "/aliases"),
        ("course-1", ""),
        ([7], "/0"),
        ({"aliases": ["ok", " "]}, "/aliases/1"),
        (["\0"], "/0"),
        ([3000 * "x"], "/0"),
    ],
)
async def test_invalid_aliases_are_refused(operator: Partner, body: Any, pointer: str) -> None:
    answer = await put(operator, COURSE, body)
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_unknown_report_id_is_not_found(operator: Partner) -> None:
    assert (await put(operator, "id:2147483647", [TRACKED])).status_code == 404
    assert (await put(operator, COURSE, ["id:2147483647"])).status_code == 404


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/csv", "Content;Alias;note\nhttp://datacamp.com/course/123;course-123;x\n"),
        ("application/json", f'[{{"content": "{COURSE}", "alias": "{TRACKED}"}}]'),
    ],
)
async def test_map_links_content_items(operator: Partner, media_type: str, body: str) -> None:
    headers = {**operator.headers, "Content-Type": media_type}
    url = operator.url("contents/aliases")
    answer = await operator.http.post(url, content=body, headers=headers)
    assert outcomes(answer) == [("linked", 1, 1)]


@pytest.mark.parametrize(
    ("media_type", "body", "detail"),
    [
        ("text/csv", "content,name\na,b\n", "alias"),
        ("text/csv", "content,alias\na,\n", "line 2, alias"),
        ("application/json", '{"content": "a"}', "array"),
        ("application/json", '[{"content": "a"}]', "row 0, alias"),
        ("application/json", "[7]", "row 0, row"),
    ],
)
async def test_invalid_map_is_refused(
    operator: Partner, media_type: str, body: str, detail: str
) -> None:
    headers = {**operator.headers, "Content-Type": media_type}
    url = operator.url("contents/aliases")
    answer = await operator.http.post(url, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-import")
    assert detail in answer.json()["detail"]


async def test_commands_link_and_unlink(
    operator: Partner, run: Callable[..., Result], tmp_path: Path
) -> None:
    named = tmp_path / "aliases.csv"
    named.write_text(f"content,alias\n{COURSE},{TRACKED}\n")
    arguments = ("content", "link", operator.name, "--map", str(named))
    preview = await asyncio.to_thread(run, *arguments, "--preview")
    assert preview.stderr == "1 alias: 1 event would move\n"
    linked = await asyncio.to_thread(run, "content", "link", operator.name, COURSE, TRACKED)
    assert linked.stdout.split("\t")[0] == "linked"
    listed = await asyncio.to_thread(run, "content", "list", operator.name)
    assert "alias of" in listed.stdout
    unlinked = await asyncio.to_thread(run, "content", "unlink", operator.name, TRACKED)
    assert unlinked.stdout.split("\t")[0] == "unlinked"
    refused = await asyncio.to_thread(run, "content", "link", operator.name)
    assert refused.exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
async def test_any_history_with_changes_of_the_operator_matches_the_oracle(
    operator: Partner, services: Services, connection: asyncpg.Connection, seed: int
) -> None:
    """Linked, merged, imported and unlinked while statements arrive, in a time zone."""
    zone = "Asia/Kolkata"
    settings = PartnerSettings(time_zone=zone)
    await connection.execute("delete from statement where partner_id = $1", operator.partner_id)
    await rebuild(services, operator)
    await registry.set_partner_settings(services.database, operator.name, settings)
    author = Author(seed, operator.home_page)
    memberships, history = author.memberships(), author.history(160)
    await add_memberships(services, operator, memberships)
    tracked = f"{operator.home_page}/contents/ext%20101"
    steps: list[dict[str, list[str]]] = [
        {COURSES[1]: [tracked, LESSON]},
        {COURSES[0]: [tracked]},
        {COURSES[0]: [tracked, EXERCISE]},
    ]
    for step in steps:
        await send(operator, history[:50])
        del history[:50]
        await project_all(services, operator.partner_id, 20)
        await content_aliases.link(
            services.partner_lock, operator.partner_id, operator.home_page, step
        )
    merged = await operator.http.post(
        operator.url("learners/eve%40example.com/merge"),
        json={"into": "kim@example.com"},
        headers=operator.headers,
    )
    assert merged.status_code == 200, merged.text
    await import_rows(
        operator,
        user("kim", email="kim@example.com"),
        GROUP,
        membership("kim", "2026-05-05", "2026-05-08", organization="north"),
    )
    await content_aliases.unlink(
        services.partner_lock, operator.partner_id, operator.home_page, [LESSON]
    )
    await send(operator, history)
    await project_all(services, operator.partner_id)
    author = Author(seed, operator.home_page)
    author.memberships()
    expected = await with_positions(connection, operator, expected_events(author.history(160)))
    until = date(2026, 5, 8)
    memberships.append(oracle.Membership("kim", "north", date(2026, 5, 5), until))
    rules = oracle.Rules(
        memberships,
        ZoneInfo(zone),
        courses={name: PARTS[name] for name in PARTS if name != EXERCISE},
        learners={"eve": "kim"},
        contents={tracked: COURSES[0], EXERCISE: COURSES[0]},
    )
    for table, keys, rows_of in (
        ("learner_record", ("organization",), oracle.records),
        ("daily_fact", ("day",), oracle.days),
        ("content_day", ("organization", "day"), oracle.content_days),
    ):
        actual = await facts(connection, operator, table, *keys, learners=rules.learners)
        assert actual == rows_of(expected, rules), table
    followed = await tables(connection, operator)
    await rebuild(services, operator)
    assert await tables(connection, operator) == followed
