"""Query plans of the page view reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lrs import resources
from lrs.api.services import Services

COURSES, USERS, DAYS = 2_000, 20, 30


@pytest.fixture(scope="module")
async def library(services: Services) -> int:
    """Thousands of courses, and a learner with many page views."""
    partner_id = 2_000_000_000
    async with services.database.writers.acquire() as connection:
        await connection.execute(
            f"""
            insert into course_activity
                (partner_id, course_id, user_id, activity_seconds, page_views)
            select {partner_id}, course::text, usr::text, 60, (course + usr) % 50
            from generate_series(1, {COURSES}) as course, generate_series(1, {USERS}) as usr
            on conflict do nothing;
            insert into course_day (partner_id, course_id, day, page_views)
            select {partner_id}, course::text, date '2026-01-01' + day, 7
            from generate_series(1, {COURSES}) as course, generate_series(1, {DAYS}) as day
            on conflict do nothing;
            insert into user_day (partner_id, course_id, user_id, day, page_views)
            select {partner_id}, (1 + usr * 100 + part)::text, usr::text, date '2026-01-01' + day, 1
            from generate_series(1, {USERS}) as usr, generate_series(1, 20) as part,
                generate_series(1, {DAYS}) as day
            on conflict do nothing;
            insert into page_view (partner_id, statement_id, created_at, user_id, course_id, tool,
                url, interaction_seconds)
            select {partner_id}, gen_random_uuid(), timestamptz '2026-01-01' + interval '1 min' * n,
                case when n % 2 = 0 then 'busy' else (n % 1000)::text end, (n % 50)::text, 'player',
                'http://example.com/', 5
            from generate_series(1, 60000) as n;
            analyze course_activity, course_day, user_day, page_view
            """
        )
    return partner_id


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


LATE = "'9999-12-30'"
MIDDLE = "'2026-01-15'"
LAST = "'ffffffff-ffff-ffff-ffff-ffffffffffff'"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "most"),
    [
        ("list_page_views", f"'busy', '0001-01-02', {LATE}, {LATE}, {LAST}, 11, 0", 11),
        ("list_page_views", f"'busy', '2026-01-10', {MIDDLE}, {LATE}, {LAST}, 101, 0", 101),
        ("list_page_views", f"'busy', '0001-01-02', {LATE}, {MIDDLE}, {LAST}, 11, 0", 11),
        ("list_page_views", f"'nobody', '0001-01-02', {LATE}, {LATE}, {LAST}, 11, 0", 0),
        ("list_course_days", "'7'", DAYS),
        ("list_user_days", "'207', '2'", DAYS),
        ("list_course_summaries", "'7', null, 'name', 10, 0", USERS),
        ("list_course_summaries", "'7', '3', 'page_views_descending', 10, 0", USERS),
    ],
)
@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_report_reads_only_its_own_rows(
    services: Services, library: int, name: str, arguments: str, most: int, mode: str
) -> None:
    sql = resources.query(name)
    async with services.database.readers.acquire() as connection, connection.transaction():
        await connection.execute(f"set local plan_cache_mode = {mode}")
        await connection.execute(f"prepare report as {sql}")
        try:
            text = await connection.fetchval(
                f"explain (analyze, format json) execute report ({library}, {arguments})"
            )
        finally:
            await connection.execute("deallocate report")
    read = 0.0
    for node in nodes(json.loads(text)[0]["Plan"]):
        assert node["Node Type"] != "Seq Scan", node
        if "Relation Name" in node:
            read += (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node[
                "Actual Loops"
            ]
            assert "Index" in node["Node Type"] or "Bitmap" in node["Node Type"]
    assert read <= most
