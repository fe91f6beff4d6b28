"""Plans of the queries for callback tokens, with and without statistics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from lrs import resources
from tests.support.plans import explained

pytestmark = pytest.mark.slow


@pytest.fixture(params=["analyzed", "not analyzed"])
async def connection(database_url: str, request: Any) -> AsyncIterator[asyncpg.Connection]:
    """20,000 tokens of 20 tools, of which one is revoked, in a transaction that is rolled back."""
    connection = await asyncpg.connect(database_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "insert into partner (name, title, home_page)"
        " values ('token-plans', '', 'https://token-plans.example')"
    )
    await connection.execute(
        "insert into tool (partner_id, name, consumer_key, secret_jwe, revoked_at)"
        " select partner_id, 'tool' || n, n, '', case when n = 7 then now() end"
        " from partner, generate_series(1, 20) as n where partner.name = 'token-plans'"
    )
    await connection.execute(
        "insert into callback_token (issued_at, partner_id, token_id, tool, user_id, course_id)"
        " select now(), partner_id, decode(md5(n::text), 'hex'), 'tool' || n % 20 + 1, n, '9'"
        " from partner, generate_series(1, 20000) as n where partner.name = 'token-plans'"
    )
    if request.param == "analyzed":
        await connection.execute("analyze callback_token, tool")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_launches_are_found_by_primary_key(connection: asyncpg.Connection) -> None:
    partner_id = await connection.fetchval("select max(partner_id) from partner")
    values = [f"'{{{partner_id}}}'", r"array['\x" + "00" * 16 + "'::bytea]"]
    nodes = await explained(connection, resources.query("get_callback_tokens"), values)
    scans = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert "callback_token_pkey" in scans
    assert not [n for n in nodes if n["Node Type"] == "Seq Scan" and n["Alias"] == "callback_token"]


async def test_unused_tokens_are_found_by_tool_and_time(connection: asyncpg.Connection) -> None:
    sql = resources.query("delete_callback_tokens")
    values = ["now() - interval '1 day'", "10000"]
    nodes = await explained(connection, sql, values, "analyze, ")
    (scan,) = [node for node in nodes if node.get("Index Name") == "callback_token_by_tool"]
    assert "issued_at" in scan["Index Cond"]
    assert scan["Actual Rows"] * scan["Actual Loops"] <= 1_000 + scan["Actual Loops"]
    assert (
        await connection.fetchval("select count(*) from callback_token where tool = 'tool7'") == 0
    )
