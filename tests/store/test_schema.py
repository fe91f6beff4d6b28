"""Rules of the schema: partner in every key, no triggers, an index for every list."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from lrs.api.services import Services

Json = dict[str, Any]

REGISTRY = (
    "partner",
    "credential",
    "signing_key",
    "schema_migration",
    "write_probe",
    "statement_clock",
    "operator",
    "operator_session",
    "idempotency_key",
    "server_property",
)
"""Not of one partner, and small; on Citus, reference tables and a local one (write_probe)."""


@pytest.fixture(scope="module")
async def catalogue(services: Services) -> AsyncIterator[Any]:
    async with services.database.readers.acquire() as connection:
        yield connection


async def tables(catalogue: Any) -> set[str]:
    """Every table that is distributed by partner_id."""
    rows = await catalogue.fetch(
        "select relname from pg_class where relkind in ('r', 'p')"
        " and relnamespace = 'public'::regnamespace and not relname = any($1)",
        REGISTRY,
    )
    return {row["relname"] for row in rows}


OWN_KEYS = {f"statement_by_{column}" for column in ("verb", "authority", "actor", "object")}
"""Indexes of keys that are a partner's own already: see lrs/store/statements/partner_keys.py."""


async def test_every_index_and_key_contains_partner_id(catalogue: Any) -> None:
    """Or hashed keys that include the partner; unique indexes always have it."""
    assert {"statement", "index_entry", "statement_reference"} <= await tables(catalogue)
    rows = await catalogue.fetch(
        """
        select indrelid::regclass::text as relation, indexrelid::regclass::text as index,
            indisprimary, array(
                select attname from pg_attribute
                where attrelid = indrelid and attnum = any(indkey::int2[])
            )::text[] as columns
        from pg_index
        where indrelid in (
            select oid from pg_class where relnamespace = 'public'::regnamespace)
        """
    )
    ours = await tables(catalogue)
    result = [row for row in rows if row["relation"] in ours]
    assert {row["relation"] for row in result if row["indisprimary"]} == ours
    without = {row["index"] for row in result if "partner_id" not in row["columns"]}
    assert without == OWN_KEYS


async def test_every_table_view_and_function_has_a_comment(catalogue: Any) -> None:
    """`sql/schema.sql` shows it."""
    rows = await catalogue.fetch(
        """
        select relname as name, obj_description(oid, 'pg_class') as comment from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
        union all
        select proname, obj_description(oid, 'pg_proc') from pg_proc
        where pronamespace = 'public'::regnamespace
        """
    )
    assert {row["name"] for row in rows if not row["comment"]} == {"schema_migration"}


async def test_foreign_keys_stay_within_the_partner(catalogue: Any) -> None:
    rows = await catalogue.fetch(
        """
        select conrelid::regclass::text as relation, conname,
            confrelid::regclass::text as target,
            array(select attname from pg_attribute
                where attrelid = conrelid and attnum = any(conkey))::text[] as columns
        from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace
        """
    )
    ours = await tables(catalogue)
    for row in rows:
        if row["relation"] in ours:
            assert "partner_id" in row["columns"], row["conname"]
        else:
            assert row["target"] in REGISTRY, row["conname"]


async def test_schema_has_no_triggers_and_no_ordering_sequences(catalogue: Any) -> None:
    assert await catalogue.fetch("select tgname from pg_trigger where not tgisinternal") == []
    sequences = await catalogue.fetch(
        "select seqrelid::regclass::text as name from pg_sequence order by 1"
    )
    assert [row["name"] for row in sequences] == [
        "assignment_assignment_id_seq",
        "content_item_content_id_seq",
        "learner_group_group_id_seq",
        "partner_partner_id_seq",
        "person_person_id_seq",
        "team_team_id_seq",
    ]


async def test_every_list_has_an_index_in_page_order(catalogue: Any) -> None:
    rows = await catalogue.fetch(
        "select pg_get_indexdef(indexrelid) as definition from pg_index"
        " where indrelid = any("
        "array['statement', 'index_entry', 'statement_reference']::regclass[])"
    )
    result = {re.sub(r".* USING btree ", "", row["definition"]) for row in rows}
    assert result >= {
        "(partner_id, statement_id)",
        "(partner_id, sequence)",
        "(verb_key, sequence)",
        "(authority_key, sequence)",
        "(actor_key, sequence) WHERE (actor_key IS NOT NULL)",
        "(object_key, sequence) WHERE (object_key IS NOT NULL)",
        "(partner_id, organization, sequence) WHERE (organization IS NOT NULL)",
        "(partner_id, key, sequence)",
        "(partner_id, target_id)",
        "(partner_id, target_id) WHERE voids",
    }


async def test_audit_entries_cannot_be_changed(services: Services) -> None:
    """By the role of the server; a superuser may do everything."""
    async with services.database.readers.acquire() as connection:
        if await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
            pytest.skip("the role of the tests is a superuser")
        for command in ("delete from audit_entry", "update audit_entry set via = 'api'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(command)
