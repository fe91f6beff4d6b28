"""Vendor examples end to end: statements and track events to report tables."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from click.testing import Result

from lrs.api.services import Services
from tests.support.canvas import body, new_tool
from tests.support.files import FIXTURES
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.reports import SNIPPET, VENDOR_QUERY, evaluated

SEEDS = sorted((FIXTURES / "seeds").glob("datacamp-*.json"))

PEOPLE = """\
type,user,email,kind,value,home_page,team,name,from,content
user,emp_001,learner@example.com
identifier,emp_001,,account,emp_001,https://www.datacamp.com
identifier,emp_001,,account,42,{home_page}
user,john,john.doe@company.com
team,,,,,,analytics,Analytics
membership,emp_001,,,,,analytics,,2024-01-01
membership,john,,,,,analytics,,2024-01-01
"""

TRACKED = [
    ("completed", "2024-05-13T14:25:00Z", 100, 1200),
    ("started", "2024-05-12T10:00:00Z", 0, 0),
    ("in_progress", "2024-05-12T14:25:00Z", 50, 600),
    ("completed", "2024-05-13T14:25:00Z", 100, 1200),
]
"""Status, time, percent and the seconds so far; out of order, and one of them again."""


def track_events() -> list[dict[str, Any]]:
    names = ("status", "event_date", "completion_percentage", "duration_spent")
    same = {"content_id": "ext-101-cloud-basics", "user": "john.doe@company.com"}
    return [same | dict(zip(names, values, strict=True)) for values in TRACKED]


@pytest.fixture
async def vendor_partner(
    services: Services, partner: Partner, run: Callable[..., Result], tmp_path: Any
) -> Partner:
    """The partner, after everything is sent, imported and projected."""
    assert len(SEEDS) == 9
    for seed in SEEDS:
        assert (await partner.send(seed.read_bytes())).status_code == 200
    assert (await partner.send(track_events(), resource="track")).status_code == 207
    tool = await new_tool(services, partner)
    for duration in ("PT3M0S", "PT20M"):
        report = body(duration, timestamp="2026-05-09T08:00:00Z")
        assert (await tool.send(report)).status_code == 200
    table = tmp_path / "people.csv"
    await project_all(services, partner.partner_id)
    table.write_text(PEOPLE.format(home_page=(await learner_home(partner))))
    imported = await asyncio.to_thread(run, "people", "import", partner.name, str(table))
    assert imported.exit_code == 0, imported.output
    await project_all(services, partner.partner_id)
    return partner


async def learner_home(partner: Partner) -> str:
    """The account homePage of learners of Canvas launches."""
    actual = [item["actor"] for item in await partner.all() if "account" in item["actor"]]
    (home,) = {item["account"]["homePage"] for item in actual if item["account"]["name"] == "42"}
    return str(home)


async def table(partner: Partner, name: str) -> list[dict[str, str]]:
    response = await partner.http.get(partner.url(f"reports/{name}.csv"), headers=partner.headers)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text)))


async def test_facts_of_all_sources_are_in_one_table(vendor_partner: Partner) -> None:
    """The courses of DataCamp, Percipio and Canvas, by learner and day."""
    titles = {row["course_id"]: row["title"] for row in await table(vendor_partner, "course_dim")}
    names = {row["user_id"]: row["email"] for row in await table(vendor_partner, "user_dim")}
    facts = [
        (names[row["user_id"]], titles[row["course_id"]], row["time_spent"], row["completed_at"])
        for row in await table(vendor_partner, "course_fact")
    ]
    done = ("2026-05-08T14:44:01.267000Z", "2024-05-13T14:25:00.000000Z")
    assert ("learner@example.com", "Introduction to Python", "", done[0]) in facts
    assert ("john.doe@company.com", "ext-101-cloud-basics", "600", "") in facts
    assert ("john.doe@company.com", "ext-101-cloud-basics", "600", done[1]) in facts
    assert ("learner@example.com", "9", "1380", "") in facts
    assert len(facts) == 4
    days = {row["date_id"] for row in await table(vendor_partner, "course_fact")}
    assert days == {"20240512", "20240513", "20260508", "20260509"}
    (course,) = [
        row for row in await table(vendor_partner, "course_dim") if row["title"][:5] == "Intro"
    ]
    assert (course["technology"], course["topic"]) == ("Python", "Programming")


@pytest.mark.parametrize("kind", ["practice", "project", "assessment", "chapter"])
async def test_content_type_has_its_own_fact_table(vendor_partner: Partner, kind: str) -> None:
    (fact,) = await table(vendor_partner, f"{kind}_fact")
    assert fact["completed_at"] == fact["started_at"]
    dimension = {row[f"{kind}_id"]: row for row in await table(vendor_partner, f"{kind}_dim")}
    assert dimension[fact[f"{kind}_id"]]["title"]
    if kind == "chapter":
        assert dimension[fact["chapter_id"]]["course_title"] == "Introduction to Python"


async def test_certification_fact_has_the_grant_time(vendor_partner: Partner) -> None:
    (fact,) = await table(vendor_partner, "certification_fact")
    assert fact["certificate_granted_at"] == "2026-05-08T14:44:01.267000Z"


@pytest.mark.slow
async def test_vendor_query_and_snippet_have_equal_results(
    vendor_partner: Partner,
    run: Callable[..., Result],
    server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    granted = await asyncio.to_thread(run, "reports", "grant", vendor_partner.name)
    url = granted.stdout.rpartition("url")[2].strip()
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(VENDOR_QUERY)
    await connection.close()
    await asyncio.to_thread(run, "reports", "revoke", vendor_partner.name)
    python = [row for row in rows if row["technology"] == "Python"]
    assert [str(row["week_start_date"]) for row in python] == ["2026-05-04"]
    hours = sorted(row["time_spent_hours"] for row in rows if row["time_spent_hours"])
    assert hours == [pytest.approx(item / 3600) for item in (600, 600, 1380)]
    for name, value in (
        ("URL", server),
        ("PARTNER", vendor_partner.name),
        ("KEY", vendor_partner.key),
    ):
        monkeypatch.setenv(f"LRS_{name}", value)
    monkeypatch.setenv("LRS_SECRET", vendor_partner.secret)
    actual = await asyncio.to_thread(evaluated, SNIPPET)
    assert [(str(row.week_start_date.date()), row.technology) for row in actual.itertuples()] == [
        ("2026-05-04", "Python")
    ]


@pytest.mark.slow
async def test_rebuild_changes_no_table(
    vendor_partner: Partner, run: Callable[..., Result]
) -> None:
    names = ("course_fact", "chapter_fact", "course_dim", "user_dim", "certification_fact")
    before = [await table(vendor_partner, name) for name in names]
    rebuilt = await asyncio.to_thread(run, "reports", "rebuild", vendor_partner.name)
    assert rebuilt.exit_code == 0, rebuilt.output
    for name, rows in zip(names, before, strict=True):
        key = json.dumps
        assert sorted(await table(vendor_partner, name), key=key) == sorted(rows, key=key)
