"""Query plan of a page of learner records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from lrs.api.services import Services
from lrs.reports import learner_records
from tests.support.learner_records import NOON
from tests.support.partners import Partner

Json = dict[str, Any]


LIMIT = 10

_PEOPLE = """
insert into person (partner_id, external_id)
select $1, 'emp_' || n from generate_series(1, 2000) as n
"""
_IDENTIFIERS = """
insert into identifier (partner_id, person_id, agent_key, imported, identity)
select $1, person_id, person_id * 2 + n, false,
    case n when 0 then 'mbox mailto:' else 'account https://www.example.com ' end || external_id
from person cross join generate_series(0, 1) as n where partner_id = $1
"""
_CONTENTS = """
insert into content_item (partner_id, content_key, activity_id, type, attributes)
select $1, n, 'http://example.com/' || n, 'course', '{}' from generate_series(1, 500) as n
"""
_RECORDS = """
insert into learner_record
    (partner_id, person_id, content_id, organization, status, last_activity_at, attempts, source)
select $1, person_id, content_id, 'org ' || person_id % 20, 'in_progress', now(), 1, 'xapi'
from person join content_item using (partner_id)
where partner_id = $1 and (content_key = 1 or (content_key + person_id) % 50 = 0)
"""


@pytest.mark.slow
async def test_page_of_records_is_one_index_range(services: Services, partner: Partner) -> None:
    """No more rows than the page are read, for every learner, content item and filter."""
    since = NOON - timedelta(days=1)
    first, filtered = (0, "", *[None] * 6), (0, "", "org 3", None, None, "course", since, None)
    async with services.database.lists.acquire() as connection:
        undone = connection.transaction()  # rolled back, so that other tests keep their plans
        await undone.start()
        try:
            for sql in (_PEOPLE, _IDENTIFIERS, _CONTENTS, _RECORDS):
                await connection.execute(sql, partner.partner_id)
            await connection.execute("analyze person, identifier, content_item, learner_record")
            one = "select person_id from person where partner_id = $1 limit 1 offset 1042"
            person_id = await connection.fetchval(one, partner.partner_id)
            busy = await connection.fetchval(
                "select content_id from content_item where partner_id = $1 and content_key = 1",
                partner.partner_id,
            )
            for rest in (first, filtered):
                for named in (
                    ("emp_1043", [1, 2, 3], None),
                    ("x", [-1, person_id * 2], None),
                    ("emp_1043", [], 5),
                    (None, [], person_id),
                ):
                    await examine(
                        connection, learner_records.RECORDS_BY_LEARNER, partner, *named, *rest
                    )
                for keys, number in (([1], None), ([-1, -2], busy), ([], busy)):
                    await examine(
                        connection, learner_records.RECORDS_BY_CONTENT, partner, keys, number, *rest
                    )
        finally:
            await undone.rollback()


async def examine(connection: Any, sql: str, partner: Partner, *arguments: Any) -> None:
    values = ", ".join(map(literal, (partner.partner_id, *arguments, LIMIT + 1)))
    await connection.execute(f"prepare page as {sql}")
    text = await connection.fetchval(f"explain (analyze, format json) execute page ({values})")
    await connection.execute("deallocate page")
    for node in nodes(json.loads(text)[0]["Plan"]):
        message = f"{arguments} {node}"
        assert node["Node Type"] != "Seq Scan", message
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        # Every learner has eleven records, of which a filter reads all, and two identifiers.
        assert read * node["Actual Loops"] <= 2 * (LIMIT + 1), message


def literal(value: Any) -> str:
    if value is None:
        return "null"
    return f"'{{{', '.join(map(str, value))}}}'" if isinstance(value, list) else f"'{value}'"


def nodes(plan: Json) -> Iterator[Json]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)
