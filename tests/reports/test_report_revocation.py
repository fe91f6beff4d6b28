"""Grant and revocation beside sessions of the role; what an administrator is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.reports.roles import ReportRoles
from lrs.store import migrations
from tests.support.partners import Partner
from tests.support.reporting_roles import Reports, connected, granted

ENDED = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
REFUSED = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from generate_series(1, 1e12::bigint)",
        "begin; select * from user_dim",
        "begin; lock table course_dim in access share mode",
        "begin; savepoint a; declare c cursor with hold for select * from date_dim; fetch 1 from c",
    ],
)
async def test_revoke_ends_the_sessions_of_the_role(
    reports: Reports, partner: Partner, services: Services, sql: str
) -> None:
    grant = await granted(reports, partner)
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(connected(grant["url"])) for _ in range(4)]
        for session in sessions:
            await session.execute("set statement_timeout = 0")
        queries = [asyncio.create_task(session.execute(sql)) for session in sessions]
        await asyncio.wait(queries, timeout=0.1)
        async with asyncio.timeout(5):
            result = await reports("revoke", partner.name)
            assert (result.exit_code, result.stderr) == (0, "")
            await asyncio.gather(*queries, return_exceptions=True)
    with pytest.raises(REFUSED):
        await asyncpg.connect(grant["url"])
    for catalogue in ("select from pg_roles where rolname = $1", "select to_regnamespace($1)"):
        assert not await services.database.readers.fetchval(catalogue, grant["role"])


async def test_revoke_removes_what_outlasts_the_sessions_of_the_role(
    reports: Reports, partner: Partner
) -> None:
    """Possible on an external PostgreSQL only, with the privileges of PUBLIC."""
    grant = await granted(reports, partner)
    async with connected(grant["url"]) as reader:
        await reader.execute("set default_transaction_read_only = off")
        try:
            await reader.execute("select lo_create(0)")
            await reader.execute("begin; select * from user_dim; prepare transaction 'kept'")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError):
            pytest.skip("large objects or prepared transactions are disabled")
    result = await reports("revoke", partner.name)
    assert (result.exit_code, result.stderr) == (0, "")


async def test_revoke_leaves_other_readers_of_the_schema(
    reports: Reports, partner: Partner
) -> None:
    first = await granted(reports, partner)
    second = await granted(reports, partner, "--role", f"{first['role']}_2")
    async with connected(first["url"]) as kept, connected(second["url"]) as ended:
        await kept.execute("begin; select * from user_dim")
        await ended.execute("begin; select * from user_dim")
        result = await reports("revoke", partner.name, "--role", second["role"])
        assert (result.exit_code, result.stderr) == (0, "")
        assert await kept.fetch("select * from user_dim") == []
    await reports("revoke", partner.name)


async def test_revoke_keeps_a_role_with_another_purpose(
    reports: Reports, partner: Partner, services: Services
) -> None:
    """It was not created by a grant and reads another table: it loses the reports only."""
    role, other = f"other_{uuid4().hex[:8]}", f"other_table_{uuid4().hex[:8]}"
    pool = services.database.writers
    await pool.execute(f"create role {role} login password 'x'")
    await pool.execute(f"create table {other} (a int)")
    await pool.execute(f"grant select on {other} to {role}")
    grant = await granted(reports, partner, "--role", role, "--new-password")
    async with connected(grant["url"]) as reader:
        await reader.execute(f"begin; select * from public.{other}")
        result = await reports("revoke", partner.name, "--role", role)
        assert (result.exit_code, "was not dropped" in result.stderr) == (0, True)
        assert await reader.fetch(f"select * from public.{other}") == []
        with pytest.raises(asyncpg.UndefinedTableError):
            await reader.fetch("select * from user_dim")
    await pool.execute(f"drop table {other}")
    await pool.execute(f"drop role {role}")


async def test_grant_ends_a_reader_that_keeps_a_lock(
    reports: Reports, partner: Partner, services: Services
) -> None:
    grant = await granted(reports, partner)
    async with connected(grant["url"]) as reader:
        await reader.execute("begin; select * from user_dim")
        roles = ReportRoles(services.database.writers, lock_timeout_seconds=0.1)
        await roles.grant(
            partner.partner_id, schema=grant["schema"], role=grant["role"], password=""
        )
        with pytest.raises(
            (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
        ):
            await reader.fetch("select * from user_dim")
    await reports("revoke", partner.name)


@pytest.fixture
async def external_database(database_url: str) -> AsyncIterator[str]:
    """A database on which PUBLIC has PostgreSQL's default privileges, with one partner, acme."""
    name = f"given_{uuid4().hex[:8]}"
    url = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    async with connected(database_url) as server:
        await server.execute(f"create database {name}")
        await migrations.migrate(url)
        async with connected(url) as owner:
            await owner.execute(
                "insert into partner (name, title, home_page)"
                " values ('acme', '', 'http://acme.example')"
            )
        yield url
        await server.execute(f"drop database {name} with (force)")


@pytest.mark.slow
@pytest.mark.skipif("LRS_TEST_DATABASE_URL" in os.environ, reason="needs a superuser")
async def test_grant_shows_how_to_remove_excess_privileges(
    reports: Reports, external_database: str
) -> None:
    role = f"role_{uuid4().hex[:8]}"
    result = await reports("grant", "acme", "--role", role, LRS_DATABASE_URL=external_database)
    assert result.exit_code == 0, result.output
    statements = [line.strip() for line in result.stderr.splitlines() if line.startswith("  ")]
    assert [statement.partition(" on ")[0] for statement in statements] == [
        "revoke temporary",
        "revoke execute",
        "revoke usage",
        f'alter role "{role}" set log_min_error_statement = panic;',
        f'alter role "{role}" set log_min_messages = panic;',
        f"alter role \"{role}\" set temp_file_limit = '512MB';",
    ]
    administrator = await asyncpg.connect(external_database, user="postgres")
    for statement in statements:
        await administrator.execute(statement)
    await administrator.close()
    result = await reports("grant", "acme", "--role", role, LRS_DATABASE_URL=external_database)
    assert (result.exit_code, result.stderr) == (0, "")
    await reports("revoke", "acme", "--role", role, LRS_DATABASE_URL=external_database)


@asynccontextmanager
async def table_of_a_later_version(
    pool: asyncpg.Pool, role: str = "current_user"
) -> AsyncIterator[None]:
    """A table that a migration changes and the role reads."""
    await pool.execute(f"create table thing (n integer); grant select on thing to {role}")
    try:
        yield
    finally:
        await pool.execute("drop table thing")
        version = migrations.all_migrations()[-1].version
        await pool.execute("delete from schema_migration where version > $1", version)


@pytest.mark.parametrize(
    "sql",
    [
        "alter table thing add column more integer",
        "-- outside a transaction\ncreate index concurrently on thing (n)",
    ],
)
async def test_migration_ends_a_reader_that_holds_a_lock(
    reports: Reports, partner: Partner, services: Services, database_url: str, sql: str
) -> None:
    grant = await granted(reports, partner)
    current = migrations.all_migrations()
    later = [*current, migrations.Migration(current[-1].version + 1, "more", sql)]
    async with (
        table_of_a_later_version(services.database.writers, f'"{grant["role"]}"'),
        connected(grant["url"]) as reader,
    ):
        await reader.execute("begin isolation level repeatable read; select * from public.thing")
        async with asyncio.timeout(5):
            assert await migrations.migrate(database_url, later) == later[-1:]
        with pytest.raises(ENDED):
            await reader.execute("select 1")
    await reports("revoke", partner.name)


@pytest.mark.slow
async def test_migration_retries_while_another_session_holds_a_lock(
    services: Services, database_url: str
) -> None:
    """Requests do not wait behind it: it gives up its place in the queue, and tries again."""
    current = migrations.all_migrations()
    sql = "alter table thing add column more integer"
    later = [*current, migrations.Migration(current[-1].version + 1, "more", sql)]
    async with (
        table_of_a_later_version(services.database.writers),
        connected(database_url) as holder,
    ):
        await holder.execute("begin; lock table thing in access share mode")
        migrating = asyncio.create_task(migrations.migrate(database_url, later))
        await asyncio.sleep(2.2)
        async with asyncio.timeout(1):
            await services.database.readers.fetch("select * from thing")
        assert not migrating.done()
        await holder.execute("commit")
        assert await migrating == later[-1:]
