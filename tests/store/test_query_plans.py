"""Plans of statement queries under several statistics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.projection import partner_lock
from lrs.store.statements import page_query, sequence
from lrs.store.statements.filters import StatementFilter, build_filter
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys
from lrs.xapi.statement_query import Cursor, StatementQuery
from tests.support.partners import new_partner
from tests.support.plans import explained

Json = dict[str, Any]


ROWS = 20_000
LIMIT = 25
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = BEGINNING + timedelta(seconds=ROWS // 2)
END = BEGINNING + timedelta(seconds=ROWS)
AGENTS = [{"mbox": f"mailto:agent{number}@example.com"} for number in range(40)]
BUSY_AGENT = {"mbox": "mailto:busy@example.com"}
AUTHORITIES = [{"mbox": f"mailto:authority{number}@example.com"} for number in range(10)]
ACTIVITIES = [f"http://example.com/activities/{number}" for number in range(100)]
BUSY = "http://example.com/activities/busy"
VERBS = [f"http://example.com/verbs/{number}" for number in range(5)]
REGISTRATIONS = [f"{number:08}-3ef0-4ed3-8b37-7f3964730bee" for number in range(500)]

_STATEMENTS = """
insert into statement
    (partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
    organization, digest, payload)
select $1, gen_random_uuid(), $2::bigint + (n * 1000000::bigint << 10),
    ($4::bigint[])[n % 5 + 1], ($5::bigint[])[n / 7 % 10 + 1],
    case when whole then ($6::bigint[])[hash % 40 + 1] end,
    case when whole then ($7::bigint[])[hash / 40 % 100 + 1] end,
    case n / 3 % 4 when 0 then 'north' when 1 then 'south' end, 'x', repeat('x', 400)
from generate_series(1, $3::int) as n
cross join lateral (
    select hashint4(n) & 65535 as hash, hashint4(-n) % 2 = 0 as whole
) as hashed
"""

_LINKS = """
insert into index_entry (partner_id, key, sequence, roles)
select $1,
    ($2::bigint[])[(hashtext(statement_id::text || $3) & 65535) % cardinality($2::bigint[]) + 1],
    sequence, 1
from statement where partner_id = $1 and (actor_key is null or not $4)
on conflict do nothing
"""

_DIRECT = ("member", "inherited", "verb", "half", "another half")

_REFERENCES = """
insert into statement_reference (partner_id, statement_id, target_id, sequence, voids, resolved)
select partner_id, gen_random_uuid(), statement_id, sequence, hashtext(statement_id::text) % 2 = 0,
    true
from statement where partner_id = $1 and hashtext(statement_id::text) % 5 = 0
"""

# The payloads are no statements: the projectors of other tests would fail on them.
_PROJECTED = "update projection set position = 9223372036854775807 where partner_id = $1"


@pytest.fixture(scope="module")
async def library(services: Services, http: httpx.AsyncClient) -> int:
    """A partner with many statements, beside another; every fifth one is referred to.

    Half of them have an actor and an activity, and no direct links.
    """
    agents = [f"mbox {item['mbox']}" for item in AGENTS]
    columns = [
        [index_keys.verb_key(item) for item in VERBS],
        [index_keys.entity_key("agent", f"mbox {item['mbox']}") for item in AUTHORITIES],
        [index_keys.entity_key("agent", item) for item in agents],
        [index_keys.activity_key(item) for item in ACTIVITIES],
    ]
    keys = {
        "member": [index_keys.entity_key("agent", item) for item in agents],
        "instructor": [index_keys.entity_key("related agent", item) for item in agents],
        "inherited": [index_keys.activity_key(item) for item in ACTIVITIES],
        "parent": [index_keys.related_activity_key(item) for item in ACTIVITIES],
        "registration": [index_keys.registration_key(item) for item in REGISTRATIONS],
        "verb": [*map(index_keys.verb_key, VERBS), *range(100)],
        "half": [index_keys.entity_key("agent", f"mbox {BUSY_AGENT['mbox']}"), 1],
        "another half": [index_keys.activity_key(BUSY), 1],
        "a third half": [index_keys.related_activity_key(BUSY), 1],
    }
    for _ in range(2):
        partner_id = (await new_partner(services, http)).partner_id
        own = key_salt(partner_id)
        async with services.database.writers.acquire() as connection:
            await connection.execute(
                _STATEMENTS,
                partner_id,
                sequence.first_at(BEGINNING),
                ROWS,
                *([key ^ own for key in item] for item in columns),
            )
            for name, choice in keys.items():
                values = [key ^ own for key in choice]
                await connection.execute(_LINKS, partner_id, values, name, name in _DIRECT)
            await connection.execute(_REFERENCES, partner_id)
            await partner_lock.register(connection, partner_id)
            await connection.execute(_PROJECTED, partner_id)
            await connection.execute("analyze statement, index_entry, statement_reference")
    return partner_id


async def plan(
    connection: Any, partner_id: int, selection: StatementFilter, **limits: int
) -> list[Json]:
    """The nodes of the plan of a page, with their actual row counts."""
    sql, arguments = page_query.build_page_query(partner_id, selection, **limits)
    values = [f"'{argument}'" for argument in arguments]
    async with connection.transaction():
        return await explained(connection, sql, values, "analyze, ")


def rows(node: Json) -> float:
    """The number of rows that a node returned or discarded."""
    return float(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    )


ONE_FILTER = {
    "none": StatementQuery(LIMIT),
    "agent": StatementQuery(LIMIT, agent=AGENTS[7]),
    "busy agent": StatementQuery(LIMIT, agent=BUSY_AGENT),
    "related agent": StatementQuery(LIMIT, agent=AGENTS[7], related_agents=True),
    "authority": StatementQuery(LIMIT, agent=AUTHORITIES[0], related_agents=True),
    "verb": StatementQuery(LIMIT, verb=VERBS[2]),
    "activity": StatementQuery(LIMIT, activity=ACTIVITIES[3]),
    "related activity": StatementQuery(LIMIT, activity=ACTIVITIES[3], related_activities=True),
    "busy activity": StatementQuery(LIMIT, activity=BUSY, related_activities=True),
    "registration": StatementQuery(LIMIT, registration=REGISTRATIONS[0]),
    "nobody": StatementQuery(LIMIT, agent={"mbox": "mailto:nobody@example.com"}),
}

SEVERAL_FILTERS = {
    "agent, activity": replace(ONE_FILTER["agent"], activity=ACTIVITIES[3]),
    "agent, verb": replace(ONE_FILTER["agent"], verb=VERBS[2]),
    "both related": replace(
        ONE_FILTER["related agent"], activity=ACTIVITIES[3], related_activities=True
    ),
    "both busy": replace(ONE_FILTER["busy activity"], agent=BUSY_AGENT, related_agents=True),
    "busy agent, activity": replace(ONE_FILTER["related activity"], agent=BUSY_AGENT),
    "registration, busy activity": replace(
        ONE_FILTER["busy activity"], registration=REGISTRATIONS[0]
    ),
    "all": replace(
        ONE_FILTER["agent"],
        verb=VERBS[2],
        activity=ACTIVITIES[3],
        registration=REGISTRATIONS[0],
    ),
}

WINDOWS: dict[str, Json] = {
    "everything": {},
    "next page": {"cursor": Cursor(sequence.first_at(MIDDLE), END)},
    "since": {"since": MIDDLE},
    "until": {"until": MIDDLE},
}

SCOPES: dict[str, Json] = {
    "": {},
    "organization": {"organization": "north"},
    "mine": {"authority_key": index_keys.agent_key(AUTHORITIES[0])},
}


STATISTICS = {
    "actual": None,
    "that all have the same value": 1,
    "that no two have the same value": -1,
}
"""What the planner makes of a column's values: nothing may depend on it."""


@pytest.fixture(scope="module", params=STATISTICS)
async def reader(
    services: Services, library: int, request: pytest.FixtureRequest
) -> AsyncIterator[Any]:
    columns = {
        "index_entry": ["key"],
        "statement": ["verb_key", "authority_key", "actor_key", "object_key", "organization"],
    }
    async with services.database.lists.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        if distinct := STATISTICS[request.param]:
            for table, names in columns.items():
                changes = [f"alter column {name} set (n_distinct = {distinct})" for name in names]
                await connection.execute(f"alter table {table} {', '.join(changes)}")
                await connection.execute(f"analyze {table}")
        yield connection
        await undone.rollback()


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_FILTER)
async def test_page_is_read_in_index_order_up_to_its_end(
    library: int, reader: Any, name: str
) -> None:
    """Index ranges in page order, without a sort of more than the page."""
    for window in WINDOWS.values():
        for ascending in (False, True):
            query = replace(ONE_FILTER[name], ascending=ascending, **window)
            result = await plan(reader, library, build_filter(query, watermark=END))
            for node in result:
                reported = (name, window, ascending, node)
                assert node["Node Type"] not in ("Seq Scan", "Bitmap Heap Scan"), reported
                assert rows(node) <= 5 * (LIMIT + 1), reported
                assert "hashed" not in node.get("Subplan Name", ""), reported


async def test_credential_without_statements_reads_no_rows(library: int, reader: Any) -> None:
    selection = build_filter(StatementQuery(LIMIT), watermark=END, authority_key=0)
    read = [node for node in await plan(reader, library, selection) if "Index Name" in node]
    assert read
    assert sum(map(rows, read)) == 0


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", [*ONE_FILTER, *SEVERAL_FILTERS])
async def test_combined_filters_never_scan_all_of_a_frequent_one(
    library: int, reader: Any, name: str, scope: str
) -> None:
    for window in WINDOWS.values():
        for ascending in (False, True):
            query = replace({**ONE_FILTER, **SEVERAL_FILTERS}[name], ascending=ascending, **window)
            selection = build_filter(query, watermark=END, **SCOPES[scope])
            for node in await plan(reader, library, selection):
                reported = (name, scope, window, ascending, node)
                assert node["Node Type"] != "Seq Scan", reported
                assert rows(node) <= ROWS / 10, reported


@pytest.mark.parametrize("name", SEVERAL_FILTERS)
async def test_request_examines_at_most_the_row_limit(library: int, reader: Any, name: str) -> None:
    """Even with frequent filters of which hardly any statement matches all."""
    for window in WINDOWS.values():
        selection = build_filter(replace(SEVERAL_FILTERS[name], **window), watermark=END)
        for node in await plan(reader, library, selection, max_examined=200):
            assert rows(node) <= 2 * 200, (name, window, node)
