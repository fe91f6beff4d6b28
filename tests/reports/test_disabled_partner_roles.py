"""Reporting roles of a disabled partner lose access, and get it back."""

from __future__ import annotations

import asyncpg
import pytest

from lrs.admin import partners
from lrs.admin.operators import command_operator
from lrs.api.services import Services
from lrs.reports.session_limits import SessionLimits
from lrs.reports.watchdog import ReportWatchdog
from tests.support.partners import Partner
from tests.support.reporting_roles import Reports, connected, granted

pytestmark = pytest.mark.slow

ENDED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
REFUSED = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
QUERY = "select count(*) from user_dim"


async def test_role_of_a_disabled_partner_has_no_access_until_it_is_enabled(
    reports: Reports, partner: Partner, stranger: Partner, services: Services
) -> None:
    database, operator = services.admin_database, command_operator()
    grant = await granted(reports, partner)
    other = await granted(reports, stranger)
    async with connected(grant["url"]) as session, connected(other["url"]) as stranger_session:
        assert await session.fetchval(QUERY) == 0
        await partners.disable_partner(database, operator, partner.name, "contract ended")
        with pytest.raises(ENDED):
            await session.fetchval(QUERY)
        with pytest.raises(REFUSED):
            await asyncpg.connect(grant["url"])
        assert await stranger_session.fetchval(QUERY) == 0
    refused = await reports("grant", partner.name)
    assert (refused.exit_code, "is disabled" in refused.output) == (1, True)
    await partners.enable_partner(database, operator, partner.name)
    async with connected(grant["url"]) as session:
        assert await session.fetchval(QUERY) == 0
    for name in (partner.name, stranger.name):
        assert (await reports("revoke", name)).exit_code == 0


async def test_role_with_another_purpose_keeps_its_login_without_the_reports(
    reports: Reports, partner: Partner, services: Services
) -> None:
    database, operator = services.admin_database, command_operator()
    grant = await granted(reports, partner)
    role = grant["role"]
    writers = services.database.writers
    await writers.execute(f'comment on role "{role}" is null')
    await writers.execute("create table public.other_purpose (value integer)")
    await writers.execute(f'grant select on public.other_purpose to "{role}"')
    try:
        await partners.disable_partner(database, operator, partner.name, "contract ended")
        async with connected(grant["url"]) as session:
            assert await session.fetch("select value from public.other_purpose") == []
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.fetchval(QUERY)
        await partners.enable_partner(database, operator, partner.name)
        async with connected(grant["url"]) as session:
            assert await session.fetchval(QUERY) == 0
    finally:
        await writers.execute("drop table public.other_purpose")
    assert (await reports("revoke", partner.name)).exit_code == 0


async def test_watchdog_ends_sessions_of_a_role_that_may_not_log_in(
    reports: Reports, partner: Partner, services: Services
) -> None:
    grant = await granted(reports, partner)
    watchdog = ReportWatchdog(services.database.writers, SessionLimits())
    async with connected(grant["url"]) as session:
        pid = await session.fetchval("select pg_backend_pid()")
        await services.database.writers.execute(f'alter role "{grant["role"]}" nologin')
        assert "may not log in" in (await watchdog.run_once())[pid]
    assert (await reports("revoke", partner.name)).exit_code == 0
