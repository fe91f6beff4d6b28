"""Plans of the console's queries: none reads a large table from its beginning."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lrs import resources
from lrs.api.services import Services
from tests.support.partners import Partner
from tests.support.plans import explained

pytestmark = pytest.mark.slow

ROWS = 20_000

LARGE = {
    "statement",
    "statement_reference",
    "learner_record",
    "content_day",
    "document",
    "intake_count",
    "refusal",
    "access_attempt",
    "audit_entry",
    "person",
}
"""Tables that grow with statements or requests."""

_FILL = (
    """
    insert into statement
        (partner_id, statement_id, sequence, verb_key, authority_key, actor_key, object_key,
        digest, payload)
    select $1, gen_random_uuid(), 1 + n::bigint << 20, n % 5, n % 10, hashint4(n % 500),
        hashint4(n % 100), 'x', repeat('x', 300)
    from generate_series(1, $2::int) as n
    """,
    """
    insert into learner_record
        (partner_id, person_id, content_id, organization, status, last_activity_at, attempts,
        source)
    select $1, n / 20, n % 20, '', 'completed', now(), 1, 'xapi'
    from generate_series(1, $2::int) as n
    """,
    """
    insert into content_day
        (partner_id, person_id, content_id, day, statements, enrolments, is_member, status,
        organization)
    select $1, n / 20, n % 20, date '2026-01-01' + n % 300, 1, 0, true, 'completed', n::text
    from generate_series(1, $2::int) as n
    """,
    """
    insert into person (partner_id, deleted_at)
    select $1, case n % 1000 when 0 then now() end from generate_series(1, $2::int) as n
    """,
    """
    insert into document
        (partner_id, scope_key, document_key, kind, activity, agent, document_id, content_type,
        etag, content, updated)
    select $1, decode(md5(n::text), 'hex'), decode(md5('x' || n), 'hex'), 'state', 'a' || n,
        'mbox mailto:' || n % 500 || '@example.com', 'd', 'text/plain', 'e', 'c', now()
    from generate_series(1, $2::int) as n
    """,
    """
    insert into intake_count
        (partner_id, hour, source, credential, organization, outcome, code, pointer, items, bytes,
        last_at)
    select $1, date_trunc('hour', now()) - n % 9000 * interval '1 hour', 'xapi', n::text, '',
        case n % 3 when 0 then 'invalid' else 'stored' end, '', '', 1, 1, now()
    from generate_series(1, $2::int) as n
    """,
    """
    insert into access_attempt
        (first_at, last_at, attempts, partner_id, status, attempt_hash, code, reason, method, path,
        address, request_id)
    select now(), now() - n * interval '1 minute', 1, $1, 404, decode(md5(n::text), 'hex'), 'c',
        'r', 'GET', '/', '', ''
    from generate_series(1, $2::int) as n
    """,
    """
    insert into audit_entry (partner_id, operator, via, action, object)
    select $1, 'jo@example.com', 'api', 'learner.view', 'learner/' || n
    from generate_series(1, $2::int) as n
    """,
)

YEAR = "timestamptz '2026-01-01'"
YESTERDAY = "now() - interval '1 day'"
NULLS = ["null", "null", "null", "null"]

QUERIES: dict[str, list[str]] = {
    "list_learner_statements": ["$1", "7", "1", "9223372036854775807", "2", "20"],
    "list_deleted_learners": ["$1", "7", "100", "5"],
    "find_learner_by_agent": ["$1", "array[7, 8]"],
    "list_learner_documents": ["$1", "7", "100"],
    "get_learner_document": ["$1", "7", "'\\x00'", "'\\x00'", "100"],
    "get_content_detail": ["$1", "7"],
    "list_content_activity": ["$1", "array[7, 8]", "1000"],
    "count_content_records": ["$1", "7", "10000"],
    "list_content_names": ["$1", "7", "50"],
    "list_references_to_statement": ["$1", "gen_random_uuid()", "26"],
    "list_last_statements": ["array[$1]", "-1", "''", "100"],
    "count_pending_statements": ["array[$1]", "1000"],
    "list_arrival_reasons": ["array[$1]", YESTERDAY],
    "list_intake_hours": ["array[$1]", YESTERDAY],
    "list_refusal_reasons": ["$1", YESTERDAY, "200"],
    "count_attempts_without_partner": [YESTERDAY],
    "count_credential_effect": ["$1", "'key'", YESTERDAY],
    "list_stored_outcomes": ["$1", "0", "9223372036854775807", "100", "1"],
    "list_audit_entries": [
        "timestamptz '9999-01-01'", "gen_random_uuid()", "array[$1]", *NULLS, "100",
    ],
}  # fmt: skip


@pytest.fixture
async def large(services: Services, partner: Partner) -> AsyncIterator[Any]:
    """A connection in a transaction with many rows of one partner, and statistics of them."""
    async with services.database.writers.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            for sql in _FILL:
                await connection.execute(sql, partner.partner_id, ROWS)
            await connection.execute("analyze")
            yield connection
        finally:
            await transaction.rollback()


async def test_no_query_of_the_console_reads_a_whole_large_table(
    large: Any, partner: Partner
) -> None:
    scanned: dict[str, list[str]] = {}
    for name, values in QUERIES.items():
        own = [value.replace("$1", str(partner.partner_id)) for value in values]
        for mode in ("force_custom_plan", "force_generic_plan"):
            await large.execute(f"set local plan_cache_mode = {mode}")
            nodes = await explained(large, resources.query(name), own)
            tables = [
                node["Relation Name"]
                for node in nodes
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
            ]
            if tables:
                scanned[f"{name}, {mode}"] = tables
    assert scanned == {}


async def test_deleted_learners_are_read_from_their_index(large: Any, partner: Partner) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        await large.execute(f"set local plan_cache_mode = {mode}")
        values = [str(partner.partner_id), "7", "100", "5"]
        nodes = await explained(large, resources.query("list_deleted_learners"), values)
        assert "person_by_deletion" in {node.get("Index Name") for node in nodes}


async def test_activity_of_content_items_is_read_from_indexes_only(
    large: Any, partner: Partner
) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        await large.execute(f"set local plan_cache_mode = {mode}")
        values = [str(partner.partner_id), "array[7, 8]", "1000"]
        nodes = await explained(large, resources.query("list_content_activity"), values)
        read = {node["Index Name"]: node["Node Type"] for node in nodes if "Index Name" in node}
        assert read == dict.fromkeys(
            ("learner_record_by_content_item", "content_day_by_content_item"), "Index Only Scan"
        )


async def test_backlog_of_many_partners_is_counted_in_an_index(
    large: Any, partner: Partner
) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        await large.execute(f"set local plan_cache_mode = {mode}")
        values = [f"array{[*range(1, 101)]}", "1000"]
        nodes = await explained(large, resources.query("count_pending_statements"), values)
        assert "statement_by_sequence" in {node.get("Index Name") for node in nodes}
