"""The database role that reads one partner's reports."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.reports.tables import REPORTS
from tests.support.partners import Partner
from tests.support.reporting_roles import Reports, connected, granted
from tests.support.reports import DAY, VENDOR_QUERY, World

# Access


async def test_vendor_query_runs_unchanged(reader: asyncpg.Connection) -> None:
    """It equals a plain sum, with the deleted course under no technology."""
    teams = {row["team_id"]: row["slug"] for row in await reader.fetch("select * from team_dim")}
    actual = {
        (teams[row["team_id"]], row["week_start_date"], row["technology"]): (
            row["xp"],
            row["time_spent_hours"],
        )
        for row in await reader.fetch(VENDOR_QUERY)
    }
    expected: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for team, members in (("red", (0, 1)), ("blue", (1, 2))):
        for number in members:
            for position, technology in enumerate(("Python", "Python", "SQL", None)):
                for days in (0, 2, 5, 9):
                    day = DAY + timedelta(days=days + number)
                    monday = day - timedelta(days=day.weekday())
                    total = expected[team, monday, technology]
                    total[0] += 50.0 * (position + 1)
                    total[1] += 900.0 * (number + 1) / 3600
    assert actual == {key: tuple(total) for key, total in expected.items()}
    assert ("red", date(2026, 5, 4), "Python") in actual


async def test_role_sees_every_report_table_and_no_other(reader: asyncpg.Connection) -> None:
    seen = await reader.fetch(
        "select table_name from information_schema.tables"
        " where table_schema not in ('pg_catalog', 'information_schema')"
    )
    assert {row["table_name"] for row in seen} == {table.name for table in REPORTS}
    for table in REPORTS:
        prepared = await reader.prepare(f"select * from {table.name}")
        names = [attribute.name for attribute in prepared.get_attributes()]
        assert names == [column.name for column in table.columns]


async def test_every_table_has_a_comment(reader: asyncpg.Connection) -> None:
    for table in REPORTS:
        message = await reader.fetchval("select obj_description($1::regclass)", table.name)
        assert message == table.description


async def test_every_column_has_a_comment(reader: asyncpg.Connection) -> None:
    """Queried like tools that show it beside the column."""
    seen = await reader.fetch(
        "select col_description(format('%I.%I', table_schema, table_name)::regclass,"
        " ordinal_position) as description from information_schema.columns"
        " where table_schema not in ('pg_catalog', 'information_schema')"
    )
    assert len(seen) == sum(len(table.columns) for table in REPORTS)
    assert all(row["description"] for row in seen)


async def test_columns_have_common_types_only(reader: asyncpg.Connection) -> None:
    """Drivers convert these to numbers, strings and times; some return other types as strings."""
    seen = await reader.fetch(
        "select distinct udt_name from information_schema.columns where table_schema = $1",
        await reader.fetchval("select current_schema()"),
    )
    common_types = {"int4", "float8", "text", "bool", "date", "timestamptz"}
    assert {row["udt_name"] for row in seen} == common_types


async def test_readable_tables_in_the_catalogue_are_the_report_tables(
    reader: asyncpg.Connection,
) -> None:
    """Some tools read pg_class, not the information schema."""
    seen = await reader.fetch(
        "select relname, has_any_column_privilege(pg_class.oid, 'insert, update') as writable"
        " from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind in ('r', 'p', 'v', 'm', 'f')"
        " and nspname !~ '^pg_' and nspname <> 'information_schema'"
        " and has_schema_privilege(nspname, 'usage')"
        " and has_any_column_privilege(pg_class.oid, 'select')"
    )
    assert {row["relname"] for row in seen} == {table.name for table in REPORTS}
    assert not any(row["writable"] for row in seen)


async def test_reset_connection_keeps_schema_and_time_zone(address: str) -> None:
    async with connected(address) as reader:
        await reader.execute("set search_path = pg_catalog; set timezone = 'Asia/Tokyo'")
        await reader.execute("discard all")
        assert await reader.fetchval("select count(*) from course_dim") == 4
        assert await reader.fetchval("show timezone") == "UTC"


async def test_rows_are_fetched_with_a_cursor_in_the_session_time_zone(
    reader: asyncpg.Connection,
) -> None:
    """As JDBC does for Metabase. date_id is in UTC for everybody."""
    await reader.execute(
        "set session characteristics as transaction isolation level read uncommitted, read only"
    )
    await reader.execute("set session timezone to 'Pacific/Kiritimati'")
    async with reader.transaction():
        cursor = await reader.cursor(
            "select date_id, date_trunc('day', started_at)::date as day from course_fact"
        )
        some = await cursor.fetch(5)
        rest = await cursor.fetch(10_000)
    assert (len(some), len(some + rest)) == (
        5,
        await reader.fetchval("select count(*) from course_fact"),
    )
    first = min(some + rest)
    assert (first["date_id"], first["day"]) == (int(f"{DAY:%Y%m%d}"), DAY + timedelta(days=1))


async def test_vendor_name_of_course_points_is_an_alias(reader: asyncpg.Connection) -> None:
    rows = await reader.fetch("select course_dim.xp, course_xp from course_dim order by course_id")
    assert [tuple(row) for row in rows] == [
        *((None, None), (4000.0, 4000.0), (3000.0, 3000.0), (2000.0, 2000.0)),
    ]


# Restrictions


async def test_tables_of_another_partner_are_denied(
    reports: Reports, reader: asyncpg.Connection, services: Services, stranger: Partner
) -> None:
    await World(services.database, stranger.partner_id).classroom()
    grant = await granted(reports, stranger)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute(f'select * from "{grant["schema"]}".user_dim')
    async with connected(grant["url"]) as other:
        mine = {row["user_id"] for row in await reader.fetch("select user_id from user_dim")}
        theirs = {row["user_id"] for row in await other.fetch("select user_id from user_dim")}
    assert len(mine) == len(theirs) == 3
    assert mine.isdisjoint(theirs)
    await reports("revoke", stranger.name)


async def test_catalogue_shows_only_names_of_other_partners(
    reports: Reports, reader: asyncpg.Connection, services: Services, stranger: Partner
) -> None:
    """In every catalogue table that drivers and people read."""
    grant = await granted(reports, stranger)
    schema = grant["schema"]
    await services.database.writers.execute("analyze person")
    async with connected(grant["url"]) as other:
        await other.fetch("select 'secret' from user_dim")
        (row,) = await reader.fetch("select * from pg_stat_activity where usename = $1", schema)
        message = {name for name, value in row.items() if value is not None}
        assert message == {
            "datid",
            "datname",
            "pid",
            "usesysid",
            "usename",
            "application_name",
            "query",
        }
        assert row["query"] == "<insufficient privilege>"
    for sql in (
        "select from information_schema.columns where table_schema = $1",
        "select from pg_stats where schemaname in ('public', $1)",
        "select from pg_sequences where $1 <> '' and last_value is not null",
    ):
        assert await reader.fetch(sql, schema) == []
    for sql in ("select $1::text::regclass", "select pg_get_viewdef($1::text::regclass)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch(sql, f'"{schema}".user_dim')
    seen = "select relname from pg_class where relnamespace = to_regnamespace($1)"
    assert await reader.fetch(seen, f'"{schema}"')
    await reports("revoke", stranger.name)


async def test_leaky_predicate_receives_rows_of_the_partner_only(
    reader: asyncpg.Connection, services: Services, stranger: Partner
) -> None:
    """The error of a failed cast contains its input, which is never a row of another partner."""
    await World(services.database, stranger.partner_id).person(first_name="secret")
    with pytest.raises(asyncpg.InvalidTextRepresentationError) as message:
        await reader.fetch("select 1 from user_dim where first_name::int = 1")
    assert "secret" not in str(message.value)
    plan = await reader.fetch("explain select 1 from user_dim where first_name::int = 1")
    assert any("Subquery Scan" in row[0] for row in plan)


async def test_role_has_timeouts_and_limits(reader: asyncpg.Connection) -> None:
    assert await reader.fetchval("show statement_timeout") == "5min"
    assert await reader.fetchval("show default_transaction_read_only") == "on"
    assert await reader.fetchval("show timezone") == "UTC"


# Grant and revoke


async def test_repeated_grant_refreshes_the_tables(
    reports: Reports, partner: Partner, services: Services
) -> None:
    first = await granted(reports, partner)
    assert set(first) == {"schema", "role", "password", "url"}
    async with services.database.writers.acquire() as connection:
        await connection.execute(f'drop view "{first["schema"]}".user_dim')
    again = await granted(reports, partner)
    assert set(again) == {"schema", "role", "url"}
    other = await granted(reports, partner, "--role", f"{first['role']}_2")
    for url in (first["url"], other["url"]):
        async with connected(url) as reader:
            assert await reader.fetch("select * from user_dim") == []
    await reports("revoke", partner.name, "--role", other["role"])
    async with connected(first["url"]) as reader:
        assert await reader.fetch("select * from user_dim") == []
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(other["url"])
    await reports("revoke", partner.name)


async def test_repeated_grant_keeps_open_connections(reports: Reports, partner: Partner) -> None:
    """With their prepared statements."""
    grant = await granted(reports, partner)
    async with connected(grant["url"]) as reader:
        prepared = await reader.prepare("select * from course_dim where course_id < $1")
        before = await prepared.fetch(10)
        await granted(reports, partner)
        assert await prepared.fetch(10) == before
    await reports("revoke", partner.name)


async def test_repeated_grant_keeps_limits_set_by_an_administrator(
    reports: Reports, partner: Partner, services: Services
) -> None:
    grant = await granted(reports, partner)
    async with services.database.writers.acquire() as connection:
        await connection.execute(
            f'alter role "{grant["role"]}" connection limit 3;'
            f'alter role "{grant["role"]}" set statement_timeout to 3600000'
        )
    await granted(reports, partner)
    async with connected(grant["url"]) as reader:
        assert await reader.fetchval("show statement_timeout") == "1h"
        limit = "select rolconnlimit from pg_roles where rolname = current_user"
        assert await reader.fetchval(limit) == 3
    await reports("revoke", partner.name)


async def test_password_is_replaced(reports: Reports, partner: Partner) -> None:
    first = await granted(reports, partner)
    second = await granted(reports, partner, "--new-password")
    assert second["password"] != first["password"]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(first["url"])
    async with connected(second["url"]) as reader:
        assert await reader.fetchval("select count(*) from course_dim") == 1
    await reports("revoke", partner.name)


async def test_revoked_role_cannot_connect(reports: Reports, partner: Partner) -> None:
    grant = await granted(reports, partner)
    result = await reports("revoke", partner.name)
    assert (result.exit_code, result.stderr) == (0, "")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(grant["url"])
    again = await reports("revoke", partner.name)
    name = grant["schema"]
    assert again.stderr == f"lrs: No role {name} reads a schema {name}.\n"


async def test_password_is_not_sent_in_clear_text(
    reports: Reports, partner: Partner, services: Services
) -> None:
    """PostgreSQL receives the SCRAM verifier, never the password."""
    grant = await granted(reports, partner)
    seen = await services.database.readers.fetch("select query from pg_stat_activity")
    assert not [row for row in seen if grant["password"] in (row["query"] or "")]
    await reports("revoke", partner.name)


async def refused(reports: Reports, *arguments: str) -> str:
    result = await reports(*arguments)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return line


async def test_foreign_schema_or_role_is_left_unchanged(
    reports: Reports, partner: Partner, stranger: Partner, services: Services
) -> None:
    grant = await granted(reports, partner)
    taken = await refused(reports, "grant", stranger.name, "--schema", grant["schema"])
    assert "does not contain the reports" in taken
    server = await services.database.readers.fetchval("select current_user")
    for role in (grant["role"], server):
        message = await refused(reports, "grant", stranger.name, "--role", role)
        assert "choose another one with --role" in message
    assert "does not contain the reports" in await refused(
        reports, "grant", partner.name, "--schema", "public"
    )
    for name in ("pg_mine", "x" * 64, "a\nb"):
        assert "Invalid name of a schema or role" in await refused(
            reports, "grant", partner.name, "--role", name, "--schema", "s"
        )
    await reports("revoke", partner.name)


async def test_any_role_name_is_quoted(reports: Reports, partner: Partner) -> None:
    name = f'Zoë\'s "reports"; {uuid4().hex[:6]}'
    result = await reports("grant", partner.name, "--role", name, "--schema", name)
    assert result.exit_code == 0, result.output
    url = re.search(r"^url {2,}(\S+)$", result.stdout, re.MULTILINE)
    assert url
    async with connected(url[1]) as reader:
        assert await reader.fetch("select * from user_dim") == []
    result = await reports("revoke", partner.name, "--role", name, "--schema", name)
    assert (result.exit_code, result.stderr) == (0, "")


async def test_missing_createrole_is_reported_with_the_remedy(
    reports: Reports, partner: Partner, services: Services, database_url: str
) -> None:
    weak = f"weak_{uuid4().hex[:8]}"
    async with services.database.writers.acquire() as connection:
        await connection.execute(f"create role {weak} login password 'weak'")
        await connection.execute(f"grant select on all tables in schema public to {weak}")
    url = re.sub("//[^/@]*@", f"//{weak}:weak@", database_url)
    result = await reports("grant", partner.name, LRS_DATABASE_URL=url)
    assert result.exit_code == 1
    assert "can grant the creation of roles" in result.stderr
    async with services.database.writers.acquire() as connection:
        await connection.execute(f"revoke all on all tables in schema public from {weak}")
        await connection.execute(f"drop role {weak}")
