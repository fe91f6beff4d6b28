"""What a reporting role is denied, and what its sessions cannot delay."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import pytest

from lrs import resources
from lrs.api.services import Services
from lrs.store.postgres import WRITER
from tests.support.partners import Partner
from tests.support.reporting_roles import Reports, connected, granted
from tests.support.statements import statement

_ADVISORY = [
    f"pg_{attempt}advisory_{scope}lock{mode}({arguments})"
    for attempt in ("", "try_")
    for scope in ("", "xact_")
    for mode in ("", "_shared")
    for arguments in ("i", "i::int, 1")
]
_FUNCTIONS = [
    *(f"{function} from generate_series(1, 9::bigint) as i" for function in _ADVISORY),
    "pg_logical_emit_message(false, 'a', 'b')",
    "pg_logical_emit_message(true, 'a', 'b'::bytea)",
    "pg_notify('a', 'b')",
    "pg_export_snapshot()",
    "pg_current_xact_id()",
    "txid_current()",
    "lo_create(0)",
    "lo_creat(0)",
    "lo_from_bytea(0, 'x')",
    "lo_unlink(1)",
    "lo_open(1, 131072)",
    "lo_put(1, 0, 'x')",
    "lo_get(1)",
    "lo_import('/etc/passwd')",
    "lo_export(1, '/tmp/a')",
    "lowrite(1, 'x')",
    "loread(1, 1)",
]
_SUPERUSER_SETTINGS = [
    ("temp_file_limit", "-1"),
    ("log_min_messages", "debug5"),
    ("log_min_error_statement", "error"),
    ("log_statement", "'all'"),
]


# Restrictions


@pytest.mark.parametrize(
    "sql",
    [
        "select * from public.statement",
        "select * from public.daily_fact",
        "select * from public.credential",
        "select * from public.reportable_event",
        "select * from public.partner",
        "delete from group_dim",
        "create table public.mine (a int)",
        "create schema mine",
        "create view other as select 1",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'true'",
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()",
        "set role SERVER",
        "set session authorization SERVER",
        "alter role current_user createrole",
        "select nextval('public.person_person_id_seq')",
    ],
)
async def test_other_statements_of_the_role_are_denied(
    reader: asyncpg.Connection, services: Services, sql: str
) -> None:
    await reader.execute("set default_transaction_read_only = off")
    server = await services.database.readers.fetchval("select quote_ident(current_user)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute(sql.replace("SERVER", server))


async def test_role_is_read_only(reader: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reader.execute("create temporary table mine (a int)")


@pytest.mark.skipif("LRS_TEST_DATABASE_URL" in os.environ, reason="others may allow it to all")
@pytest.mark.parametrize(
    "sql",
    [
        "create temporary table mine (a int)",
        "create function pg_temp.leak(int) returns bool language plpgsql cost 0.0001"
        " as $$ begin raise notice '%', $1; return true; end $$",
        "do $$ begin raise notice 'a'; end $$",
        *(f"select {function}" for function in _FUNCTIONS),
        *(f"set {name} = {value}" for name, value in _SUPERUSER_SETTINGS),
        *(f"alter role current_user set {name} = {value}" for name, value in _SUPERUSER_SETTINGS),
    ],
)
async def test_excess_privilege_of_public_is_revoked_in_the_embedded_database(
    reader: asyncpg.Connection, sql: str
) -> None:
    await reader.execute("set default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute(sql)


async def test_reset_query_of_drivers_succeeds(reader: asyncpg.Connection) -> None:
    await reader.execute(
        "set session authorization default; reset all; close all; unlisten *;"
        " select pg_advisory_unlock_all(); discard sequences; discard temp"
    )
    await reader.execute("discard all")


# Other sessions


async def test_open_transaction_of_the_role_does_not_delay_the_watermark(
    reports: Reports, services: Services, partner: Partner
) -> None:
    """With any application_name, its transactions do not count as writers."""
    grant = await granted(reports, partner)
    async with connected(grant["url"], application_name=WRITER) as reader, reader.transaction():
        await reader.execute("select 1")
        await partner.send(statement())
        async with asyncio.timeout(10):
            assert len(await partner.all()) == 1
    await reports("revoke", partner.name)


async def test_open_transaction_of_the_role_does_not_delay_references(
    reports: Reports, services: Services, partner: Partner, slow_writer: asyncpg.Connection
) -> None:
    """Only a role that may insert statements counts as another open writer."""
    grant = await granted(reports, partner)
    query, pool = resources.query("list_open_writers"), services.database.readers
    async with connected(grant["url"], application_name=WRITER) as reader, reader.transaction():
        await reader.execute("select 1")
        assert not await pool.fetch(query, WRITER)
        async with slow_writer.transaction():
            await slow_writer.execute("select 1")
            assert await pool.fetch(query, WRITER)
    await reports("revoke", partner.name)
