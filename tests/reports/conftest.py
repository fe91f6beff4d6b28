"""Fixtures of the reporting tests."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from tests.support.partners import Partner, new_partner
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
