"""Plans of the queries that resolve StatementRefs, with many references and any statistics."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import product

import asyncpg
import httpx
import pytest

from lrs import resources
from lrs.api.services import Services
from tests.support.partners import new_partner
from tests.support.plans import explained

ROWS = 20_000
QUERIES = (
    "list_reference_chains",
    "list_waiting_references",
    "resolve_references",
    "insert_plain_statements",
    "insert_statements",
)
MODES = ("force_generic_plan", "force_custom_plan")
INDEXES = {
    "statement_pkey",
    "statement_reference_pkey",
    "statement_reference_waiting",
    "index_entry_pkey",
}

LAST_ROW_INDEXES = {"statement_by_sequence", "statement_clock_pkey"}
"""For the last statement and the floor, of which an insert reads one row each."""

WHOLE_KEY = re.compile(r"partner_id.* AND .*(statement_id|waits_for)")

# Half of the references wait for a statement that is not stored.
_FILL = """
with inserted as (
    insert into statement
        (partner_id, statement_id, sequence, verb_key, authority_key, digest, payload)
    select $1, gen_random_uuid(), n, 1, 2, 'x', repeat('x', 100)
    from generate_series(1, $2::int) as n
    returning statement_id, sequence
)
insert into statement_reference
    (partner_id, statement_id, target_id, sequence, voids, resolved)
select
    $1,
    gen_random_uuid(),
    case when sequence % 2 = 0 then statement_id else gen_random_uuid() end,
    $2 + sequence,
    sequence % 4 = 0,
    sequence % 2 = 0
from inserted
"""

STATISTICS = {"never analyzed": (), "analyzed small": ("small",), "analyzed large": ("large",)}


@pytest.fixture(params=STATISTICS)
async def writer(
    services: Services, http: httpx.AsyncClient, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[asyncpg.Connection, int]]:
    """A connection of a writer, and a partner with many references; changes are rolled back."""
    partner_id = (await new_partner(services, http)).partner_id
    analyze = "analyze statement, statement_reference, index_entry"
    async with services.database.writers.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("delete from statement_reference")
        if "small" in STATISTICS[request.param]:
            await connection.execute(_FILL, partner_id, 10)
            await connection.execute(analyze)
        await connection.execute(_FILL.replace("n, 1, 2", "100 + n, 1, 2"), partner_id, ROWS)
        if "large" in STATISTICS[request.param]:
            await connection.execute(analyze)
        yield connection, partner_id
        await transaction.rollback()


@pytest.mark.slow
async def test_reference_queries_cost_the_same_with_many_references(
    writer: tuple[asyncpg.Connection, int],
) -> None:
    """Lookups by key, and estimates too small for large hash tables."""
    connection, partner_id = writer
    for name, mode, partner in product(QUERIES, MODES, (partner_id, 0)):
        await connection.execute(f"set local plan_cache_mode = {mode}")
        query = resources.query(name)
        for node in await explained(connection, query, _arguments(name, partner)):
            if node.get("Index Name") in LAST_ROW_INDEXES:
                assert node["Scan Direction"] == "Backward", (name, node)
                continue
            assert node["Plan Rows"] <= 20_000, (name, node)
            assert node["Node Type"] != "Seq Scan", (name, node)
            if "Index Name" in node:
                assert node["Index Name"] in INDEXES, (name, node)
                assert WHOLE_KEY.search(node["Index Cond"]), (name, node)


def _arguments(name: str, partner_id: int) -> list[str]:
    one = "array['6690e6c9-3ef0-4ed3-8b37-7f3964730bee']::uuid[]"
    arguments = {
        "list_reference_chains": [one, "4194304"],
        "list_waiting_references": [one, "1000"],
        "resolve_references": [one, *["array[1]"] * 4, "array[null]::uuid[]"],
        "insert_plain_statements": [one, *["null"] * 12],
        "insert_statements": ["false", one, *["null"] * 30],
    }
    return [str(partner_id), *arguments[name]]
