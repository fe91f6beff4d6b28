"""The benchmark: sample statements, COPY of stored rows, parsed logs and profiles, the result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from lrs.settings import PREFIX, settings_schema
from scripts.bench import filling, load, plans, profile, results, servers
from scripts.bench.load import Measurement
from scripts.bench.results import Row
from scripts.bench.samples import BUSY_COURSE, BUSY_LEARNER, Samples
from tests.support.partners import Partner


def statements(count: int) -> list[dict[str, Any]]:
    samples = Samples(1)
    return [samples.statement() for _ in range(count)]


def test_busy_learner_has_4_percent_and_busy_course_40_percent_of_statements() -> None:
    sample = statements(5000)
    busy_learner = sum(statement["actor"] == BUSY_LEARNER for statement in sample)
    busy_course = sum(statement["object"]["id"] == BUSY_COURSE for statement in sample)
    assert 0.02 < busy_learner / len(sample) < 0.06
    assert 0.36 < busy_course / len(sample) < 0.44


async def test_sample_statements_have_many_shapes_and_are_valid(partner: Partner) -> None:
    sample = Samples(3)
    batch = [sample.statement() for _ in range(300)]
    response = await partner.http.post(
        f"/v1/partners/{partner.name}/statements", json=batch, headers=partner.headers
    )
    assert (response.status_code, len(response.json())) == (200, 300)
    shapes = {(*item, *item["actor"], *item.get("context", ())) for item in batch}
    assert len(shapes) >= 5


def test_same_seed_gives_the_same_statements() -> None:
    assert statements(20) == statements(20)


def test_repeated_bodies_differ_in_their_ids_only() -> None:
    (template, *_) = load.posts(servers.Server("http://lrs.test"), 2).bodies
    samples = Samples(2)
    bodies = [filling.fresh_ids(template, samples) for _ in range(3)]
    ids = {statement["id"] for body in bodies for statement in orjson.loads(body)}
    assert len(ids) == 6
    for body in bodies:
        for statement in orjson.loads(body):
            body = body.replace(statement["id"].encode(), b"@ID@", 1)
        assert body == template


def test_split_keeps_every_row_of_every_table_once() -> None:
    transactions = list(filling._split([list(range(10)), list(range(25))], 3))
    assert len(transactions) == 3
    assert [row for rows, _ in transactions for row in rows] == list(range(10))
    assert [row for _, rows in transactions for row in rows] == list(range(25))


async def test_copy_writes_the_rows_of_the_store_to_empty_tables(
    partner: Partner, database_url: str
) -> None:
    await partner.http.post(
        f"/v1/partners/{partner.name}/statements", json=statements(20), headers=partner.headers
    )
    assert await filling._copy_rate(database_url, 10, 2) > 0
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("select to_regnamespace('bench')") is None
    finally:
        await connection.close()


def test_every_setting_that_the_bench_uses_exists() -> None:
    source = "".join(path.read_text() for path in Path(servers.__file__).parent.glob("*.py"))
    settings = {f"{PREFIX}{name.upper()}" for name in settings_schema()}
    assert set(re.findall(r"\bLRS_[A-Z_]*[A-Z]", source)) <= settings


LOG = """\
2026-01-01 00:00:00.000 UTC [7] lrs reader LOG:  duration: 1.500 ms  execute __asyncpg_stmt_1__: select 1
\tfrom statement
\twhere a = $1 and b = $2
2026-01-01 00:00:00.000 UTC [7] lrs reader DETAIL:  Parameters: $1 = 'it''s, $2 = x', $2 = NULL
2026-01-01 00:00:00.001 UTC [8] lrs writer LOG:  duration: 0.100 ms  statement: BEGIN;
2026-01-01 00:00:00.002 UTC [8] lrs writer LOG:  duration: 0.200 ms  execute __asyncpg_stmt_2__: select 2
2026-01-01 00:00:00.003 UTC [8] lrs writer LOG:  duration: 0.300 ms  execute __asyncpg_stmt_2__: select 2
"""  # noqa: E501


def test_executions_are_parsed_from_the_log_with_their_parameters() -> None:
    first, second, _ = plans.executions(LOG)
    assert (first.application, first.milliseconds) == ("lrs reader", 1.5)
    assert first.sql == "select 1\nfrom statement\nwhere a = $1 and b = $2"
    assert first.parameters == ("'it''s, $2 = x'", "NULL")
    assert (second.sql, second.parameters) == ("select 2", ())


def test_slowest_execution_of_every_query_is_explained() -> None:
    times = [execution.milliseconds for execution in plans.slowest(plans.executions(LOG))]
    assert times == [1.5, 0.3]


def test_profile_summary_has_shares_by_package_and_by_function() -> None:
    text = profile.summary(
        {
            "serve (lrs/serve.py:1);answer (lrs/api/xapi/about.py:9);dumps (orjson/x.py:2)": 3,
            "serve (lrs/serve.py:1)": 1,
        }
    )
    assert "75.0%  orjson" in text
    assert "75.0%  answer (lrs/api/xapi/about.py)" in text
    assert "100.0%  serve (lrs/serve.py)" in text


def test_result_replaces_the_table_in_the_performance_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(results.PAGE.read_text())
    row = Row("singles", "POST 1", 64, 500.0, 1000.0, Measurement(500, 1, 2, 0, 0, 3, 1, 1, 1))
    results.write_doc([row], ["a note"], page)
    text = page.read_text()
    assert "| singles | POST 1 | 64 | 500 | 1,000 | 50% | 1.00 | 2.00 |\n\n- a note\n" in text
    results.write_doc([], [], page)
    assert "singles | POST 1" not in page.read_text()
