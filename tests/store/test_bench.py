"""The benchmark: generated statements, copied rows, parsed logs and profiles."""

from __future__ import annotations

from typing import Any

import asyncpg

from lrs.store.statements import insert
from lrs.store.statements.insert import StatementRow
from scripts.bench import document, plans, profile
from scripts.bench.copying import BENCH, Store, copy, prepared, renamed, tables_apart
from scripts.bench.samples import BUSY_COURSE, BUSY_LEARNER, Samples


def supply(count: int) -> list[dict[str, Any]]:
    samples = Samples(1)
    return [samples.statement() for _ in range(count)]


def test_statements_are_skewed_as_the_targets_have_it() -> None:
    found = supply(5000)
    busy_learner = sum(each["actor"] == BUSY_LEARNER for each in found)
    busy_course = sum(each["object"]["id"] == BUSY_COURSE for each in found)
    assert 0.02 < busy_learner / len(found) < 0.06
    assert 0.36 < busy_course / len(found) < 0.44


def test_statements_are_of_many_shapes_and_valid() -> None:
    """They are checked by the server's code."""
    found = supply(300)
    assert len(prepared(found)) == 300
    shapes = {(*each, *each["actor"], *each.get("context", ())) for each in found}
    assert len(shapes) >= 5


def test_the_same_seed_gives_the_same_statements() -> None:
    assert supply(20) == supply(20)


async def written(dsn: str, rows: list[StatementRow], store: Store) -> tuple[object, object]:
    """The rows that a way of storing leaves, but for the time of storing."""
    async with tables_apart(dsn) as (connection,):
        async with connection.transaction():
            await store(connection, BENCH.partner_id, rows)
        return await without_time(connection)


async def without_time(connection: asyncpg.Connection) -> tuple[object, object]:
    told = await connection.fetch(
        "select to_jsonb(statement) - 'sequence' - 'payload' as columns,"
        " payload::jsonb - 'stored' as payload,"
        " (payload::jsonb ->> 'stored')::timestamptz = stored_at(sequence) as same_time"
        " from statement order by statement_id"
    )
    linked = await connection.fetch(
        "select statement_id, key, roles from index_entry join statement using (sequence)"
        " order by statement_id, key"
    )
    return [tuple(row) for row in told], [tuple(row) for row in linked]


async def test_copy_writes_the_rows_that_the_server_writes(database_url: str) -> None:
    rows = prepared(supply(100))
    assert await written(database_url, rows, copy) == await written(
        database_url, rows, insert.insert_new
    )


def test_statements_of_a_pool_differ_in_their_ids_only() -> None:
    pool = prepared(supply(1))
    again = renamed(pool, Samples(2), 3)
    assert len({each.statement_id for each in again}) == 3
    for each in again:
        assert each.body.replace(each.statement_id, pool[0].statement_id) == pool[0].body


LOG = """\
2026-01-01 00:00:00.000 UTC [7] lrs reader LOG:  duration: 1.500 ms  execute __asyncpg_stmt_1__: select 1
\tfrom statement
\twhere a = $1 and b = $2
2026-01-01 00:00:00.000 UTC [7] lrs reader DETAIL:  Parameters: $1 = 'it''s, $2 = x', $2 = NULL
2026-01-01 00:00:00.001 UTC [8] lrs writer LOG:  duration: 0.100 ms  statement: BEGIN;
2026-01-01 00:00:00.002 UTC [8] lrs writer LOG:  duration: 0.200 ms  execute __asyncpg_stmt_2__: select 2
"""  # noqa: E501


def test_executed_queries_are_read_from_the_log_with_their_values() -> None:
    first, second = plans.executions(LOG)
    assert (first.session, first.application, first.milliseconds) == ("7", "lrs reader", 1.5)
    assert first.sql == "select 1\nfrom statement\nwhere a = $1 and b = $2"
    assert first.values == ("'it''s, $2 = x'", "NULL")
    assert (second.sql, second.values) == ("select 2", ())


def test_a_profile_tells_time_by_package_and_by_function() -> None:
    text = profile.summary(
        {
            "serve (lrs/serve.py:1);answer (lrs/api/xapi/about.py:9);dumps (orjson/x.py:2)": 3,
            "serve (lrs/serve.py:1)": 1,
        }
    )
    assert "75.0%  orjson" in text
    assert "75.0%  answer (lrs/api/xapi/about.py)" in text
    assert "100.0%  serve (lrs/serve.py)" in text


def test_the_page_has_a_place_for_each_result() -> None:
    page = document.PAGE.read_text()
    for mark in ("result", "choices"):
        assert f"<!-- {mark} -->\n" in page
        assert f"\n<!-- /{mark} -->" in page
