"""Fixtures of the reporting tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import httpx
import pytest
from click.testing import CliRunner, Result

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.cli import main
from tests.support.app import SECRET_KEY
from tests.support.partners import Partner, new_partner
from tests.support.reporting_roles import Reports, connected, granted
from tests.support.reports import DAY, NOON, World

AWKWARD = "Zoë says \"a\\b\", 10 % ,\r\nnew\tline \\N null 'x' 😀"


@pytest.fixture
async def operator(services: Services, http: httpx.AsyncClient) -> Partner:
    """A partner with an admin credential."""
    return await new_partner(services, http, frozenset({scopes.ADMIN}))


@pytest.fixture
async def world(services: Services, partner: Partner) -> World:
    """A learner with a name of special characters, and two days of activity in a course."""
    world = World(services.database, partner.partner_id)
    person = await world.person(first_name=AWKWARD, last_name="", email=None)
    course = await world.content("course", "Python", technology="Python", launched_date=str(DAY))
    await world.day(person, course, time_spent=90.5, xp=100.0, started_at=NOON)
    await world.day(person, course, DAY + timedelta(days=1), completed_at=NOON)
    practice = await world.content("practice", "SQL")
    await world.day(person, practice, is_mobile=True)
    return world


@pytest.fixture(scope="session")
def reports(database_url: str) -> Reports:
    """Runs `lrs reports …` on the test database."""
    environment: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith("LRS_")
    }
    environment |= {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY}

    async def run(*arguments: str, **more: str) -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke, main.main, ["reports", *arguments], env=environment | more
        )

    return run


@pytest.fixture(scope="module")
async def address(
    reports: Reports, services: Services, http: httpx.AsyncClient
) -> AsyncIterator[str]:
    """The connection URL of the role of a partner with reporting data."""
    partner = await new_partner(services, http)
    await World(services.database, partner.partner_id).classroom()
    yield (await granted(reports, partner))["url"]
    await reports("revoke", partner.name)


@pytest.fixture
async def reader(address: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(address) as connection:
        yield connection
