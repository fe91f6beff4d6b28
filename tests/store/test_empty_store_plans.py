"""Query plans made on an empty store are still efficient on a full one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from lrs import resources
from lrs.store import migrations
from lrs.store.postgres import Database, open_database
from lrs.store.statements import page_query
from lrs.store.statements.filters import build_filter
from lrs.xapi.statement_query import StatementQuery
from tests.support.plans import explained
from tests.support.statements import new_id

Json = dict[str, Any]

TABLES = ("statement", "index_entry", "statement_reference")
WHOLE = re.compile(r"(partner_id|key).*(statement_id|target_id|sequence)")
AGENT = {"mbox": "mailto:learner@example.com"}
LISTS = {
    "all": StatementQuery(100),
    "by agent": StatementQuery(100, agent=AGENT),
    "by related agent": StatementQuery(100, agent=AGENT, related_agents=True),
    "by verb and activity": StatementQuery(
        100, verb="http://a.example", activity="http://b.example"
    ),
    "by registration": StatementQuery(100, registration="6690e6c9-3ef0-4ed3-8b37-7f3964730bee"),
}
WRITTEN = {
    "insert": resources.query("insert_statements"),
    "known ones": resources.query("list_stored_digests"),
    "inheritance": resources.query("list_reference_chains"),
}


@pytest.fixture(scope="module")
async def store(database_url: str) -> AsyncIterator[Database]:
    name = f"new_{new_id().replace('-', '')}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"create database {name}")
    dsn = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    try:
        await migrations.migrate(dsn)
        async with open_database(dsn) as database:
            yield database
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


@pytest.mark.parametrize("name", WRITTEN)
async def test_insert_looks_up_whole_keys(store: Database, name: str) -> None:
    await assert_whole_key_lookups(store.writers, WRITTEN[name])


@pytest.mark.parametrize("name", LISTS)
async def test_list_looks_up_whole_keys(store: Database, name: str) -> None:
    sql, _ = page_query.build_page_query(1, build_filter(LISTS[name], watermark=datetime.now(UTC)))
    await assert_whole_key_lookups(store.lists, sql)


async def test_read_by_id_looks_up_whole_keys(store: Database) -> None:
    await assert_whole_key_lookups(store.lists, resources.query("get_statements"))


async def test_watermark_looks_up_whole_keys(store: Database) -> None:
    await assert_whole_key_lookups(store.readers, resources.query("get_watermark"))


@pytest.mark.parametrize(
    "name",
    [
        "count_statements",
        "list_uncounted_partners",
        "list_last_statements",
        "list_stored_outcomes",
        "get_last_statement_of_authority",
    ],
)
async def test_ledger_looks_up_whole_keys(store: Database, name: str) -> None:
    await assert_whole_key_lookups(store.readers, resources.query(name))


async def assert_whole_key_lookups(pool: asyncpg.Pool, sql: str) -> None:
    for node in await generic_plan(pool, sql):
        if node.get("Relation Name") not in TABLES or node["Node Type"] == "ModifyTable":
            continue
        assert "Index Cond" in node, node
        # A partial index answers whether any statement is voided.
        if node["Index Name"] != "statement_reference_voiding":
            assert WHOLE.search(node["Index Cond"]), node


async def generic_plan(pool: asyncpg.Pool, sql: str) -> list[Json]:
    """The nodes of the generic plan of a prepared query."""
    count = max(map(int, re.findall(r"\$(\d+)", sql)), default=0)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        return await explained(connection, sql, ["null"] * count)
