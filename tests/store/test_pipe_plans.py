"""Plans of the queries of pipes, with many statements, origins and dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import asyncpg
import httpx
import pytest

from lrs import resources
from lrs.api.services import Services
from tests.support.partners import new_partner
from tests.support.plans import explained

pytestmark = pytest.mark.slow

ROWS = 20_000
EXAMINED = 500
MODES = ("force_generic_plan", "force_custom_plan")
TABLES = {"statement", "index_entry", "statement_origin", "dead_letter"}

_STATEMENTS = """
insert into statement
    (partner_id, statement_id, sequence, verb_key, authority_key, digest, payload)
select $1, gen_random_uuid(), n, n % 5, n % 7, 'x', repeat('x', 100)
from generate_series(1, $2::int) as n
"""

_ENTRIES = """
insert into index_entry (partner_id, key, sequence, roles)
select $1, sequence % 50, sequence, 1 from statement where partner_id = $1
"""

_ORIGINS = """
insert into statement_origin (partner_id, pipe, origin, statement_id, refused)
select $1, pipe, 'https://lrs.example', statement_id, sequence % 1000 = 0
from statement, unnest(array['pipe', 'other']) as pipe
where partner_id = $1
"""

_PIPE = """
insert into pipe (partner_id, name, direction, url, credentials_jwe, version)
values ($1, 'pipe', 'forward', '', '', '1.0.3')
"""

_LETTERS = """
insert into dead_letter (partner_id, pipe, statement_id, reason, url, retry)
select $1, 'pipe', statement_id, '', '', sequence % 1000 = 0
from statement
where partner_id = $1 and sequence % 2 = 0
"""


STATISTICS = ["never analyzed", "analyzed small", "analyzed large"]


@pytest.fixture(params=STATISTICS)
async def reader(
    services: Services, http: httpx.AsyncClient, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[asyncpg.Connection, int]]:
    """A connection of readers, and a partner; changes are rolled back."""
    partner_id = (await new_partner(services, http)).partner_id
    async with filled(services.database.readers, partner_id, request.param) as connection:
        yield connection, partner_id


@pytest.fixture(params=STATISTICS)
async def log_reader(
    services: Services, http: httpx.AsyncClient, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[asyncpg.Connection, int]]:
    """A connection of lists, with which the log is read, and a partner."""
    partner_id = (await new_partner(services, http)).partner_id
    async with filled(services.database.lists, partner_id, request.param) as connection:
        yield connection, partner_id


@asynccontextmanager
async def filled(
    pool: asyncpg.Pool, partner_id: int, statistics: str
) -> AsyncIterator[asyncpg.Connection]:
    fillings = (_STATEMENTS.replace("n, n %", "$2 + n, n %"), _ENTRIES, _ORIGINS, _PIPE, _LETTERS)
    analyze = "analyze statement, index_entry, statement_origin, dead_letter"
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        if statistics == "analyzed small":
            await connection.execute(_STATEMENTS, partner_id, 10)
            await connection.execute(analyze)
        for filling in fillings:
            await connection.execute(filling, *(partner_id, ROWS)[: 1 + ("$2" in filling)])
        if statistics == "analyzed large":
            await connection.execute(analyze)
        yield connection
        await transaction.rollback()


async def _nodes(
    connection: asyncpg.Connection, name: str, values: list[str]
) -> list[dict[str, Any]]:
    """The nodes of the plan of a named query that read a table, after it has run."""
    query = resources.query(name)
    nodes = await explained(connection, query, values, "analyze, timing off, ")
    return [node for node in nodes if node.get("Relation Name") in TABLES]


@pytest.mark.parametrize("is_filtered", [False, True])
async def test_log_reads_what_it_examines_by_sequence(
    log_reader: tuple[asyncpg.Connection, int], is_filtered: bool
) -> None:
    connection, partner_id = log_reader
    keys = "'{1,2,3}'::bigint[]" if is_filtered else "null"
    values = [
        str(partner_id), str(ROWS), str(10 * ROWS), str(EXAMINED), "null", keys, keys, keys, "100",
        "4000000", keys, keys,
    ]  # fmt: skip
    for mode in MODES:
        await connection.execute(f"set local plan_cache_mode = {mode}")
        for node in await _nodes(connection, "read_statement_log", values):
            assert node["Node Type"] in ("Index Scan", "Index Only Scan"), (mode, node)
            rows = node["Actual Rows"] * node["Actual Loops"]
            assert rows <= 3 * EXAMINED + 1, (mode, node)
            assert node.get("Rows Removed by Filter", 0) == 0, (mode, node)


LOOKUPS = {
    "list_statements_of_pipe": ["{ids}", "'pipe'"],
    "list_statements_of_origins": ["{ids}", "array['https://lrs.example']"],
    "list_stored_ids": ["{ids}"],
    "list_statement_origins": ["{id}", "100"],
    "list_letters_among": ["'pipe'", "{ids}"],
}


async def test_lookups_of_pipes_read_rows_by_key(
    reader: tuple[asyncpg.Connection, int],
) -> None:
    connection, partner_id = reader
    ids = await connection.fetchval(
        "select array_agg(statement_id::text) from ("
        "select statement_id from statement where partner_id = $1 limit 50) as item",
        partner_id,
    )
    literals = {"ids": f"'{{{','.join(ids)}}}'::uuid[]", "id": f"'{ids[0]}'::uuid"}
    for (name, values), mode in product(LOOKUPS.items(), MODES):
        arguments = [str(partner_id), *(value.format(**literals) for value in values)]
        await _assert_reads_by_key(connection, name, arguments, mode)


async def test_list_of_dead_letters_reads_its_page_by_key(
    log_reader: tuple[asyncpg.Connection, int],
) -> None:
    connection, partner_id = log_reader
    for mode in MODES:
        values = [str(partner_id), "'pipe'", "null", "50"]
        await _assert_reads_by_key(connection, "list_dead_letters", values, mode)


async def _assert_reads_by_key(
    connection: asyncpg.Connection, name: str, values: list[str], mode: str
) -> None:
    await connection.execute(f"set local plan_cache_mode = {mode}")
    for node in await _nodes(connection, name, values):
        assert node["Node Type"] != "Seq Scan", (name, mode, node)
        assert node["Actual Rows"] * node["Actual Loops"] <= 200, (name, mode, node)
        assert node.get("Rows Removed by Filter", 0) <= 200, (name, mode, node)
