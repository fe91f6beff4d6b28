"""Projection: facts and learner records of any history."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from tests.support import projection_oracle as oracle
from tests.support.canvas import body, new_tool
from tests.support.learning_history import PARTS, Author, expected_events, project_all
from tests.support.partners import Partner
from tests.support.projection import one_record, rebuild, rows, send, tables, voiding, written
from tests.support.projection_rows import add_memberships, facts, names_by_id, with_positions
from tests.support.statements import new_id, statement


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "zone"),
    [(0, "UTC"), (1, "Asia/Kolkata"), (2, "America/New_York"), (3, "Pacific/Auckland")],
)
async def test_projection_of_any_history_matches_the_oracle(
    partner: Partner, services: Services, connection: asyncpg.Connection, seed: int, zone: str
) -> None:
    """Late, out of order, repeated, voided before or after; of three sources, in organizations."""
    settings = PartnerSettings(time_zone=zone)
    await registry.set_partner_settings(services.database, partner.name, settings)
    author = Author(seed, partner.home_page)
    memberships, history = author.memberships(), author.history(160)
    await add_memberships(services, partner, memberships)
    while history:
        size = author.random.randrange(1, 40)
        await send(partner, history[:size])
        del history[:size]
        if author.random.random() < 0.7:
            await project_all(services, partner.partner_id, author.random.randrange(1, 30))
    await project_all(services, partner.partner_id)
    followed = await tables(connection, partner)
    author = Author(seed, partner.home_page)
    memberships, expected = author.memberships(), expected_events(author.history(160))
    expected = await with_positions(connection, partner, expected)
    rules = oracle.Rules(memberships, ZoneInfo(zone), courses=PARTS)
    assert len(followed["learning_event"]) == len(expected)
    assert await facts(connection, partner, "learner_record", "organization") == oracle.records(
        expected, rules
    )
    assert await facts(connection, partner, "daily_fact", "day") == oracle.days(expected, rules)
    content_days = await facts(connection, partner, "content_day", "organization", "day")
    assert content_days == oracle.content_days(expected, rules)
    _, contents = await names_by_id(connection, partner)
    assert {
        contents[row["content_id"]]: (
            row["statements"], row["enrolments"], row["without_workspace_column"],
            row["outside_membership"],
        )
        for row in followed["content_count"]
        if row["statements"]
    } == oracle.content_counts(content_days)  # fmt: skip
    names = ("learning_event", "learner_record", "daily_fact", "content_day", "content_count")
    before = [await written(connection, partner, name) for name in names]
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed
    assert [await written(connection, partner, name) for name in names] == before


# Voiding


async def test_voided_statement_leaves_no_facts(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    completed = statement(id=new_id())
    await partner.send(completed)
    await project_all(services, partner.partner_id)
    assert (await one_record(connection, partner))["status"] == "completed"
    await partner.send(voiding(completed))
    await project_all(services, partner.partner_id)
    assert await one_record(connection, partner) is None
    assert await rows(connection, partner, "daily_fact") == []


async def test_statement_voided_before_arrival_never_counts(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    completed = statement(id=new_id())
    for item in (voiding(completed), completed):
        await partner.send(item)
        await project_all(services, partner.partner_id)
    assert await one_record(connection, partner) is None


# Extreme values


async def test_extreme_values_are_projected(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    long = "http://example.com/" + 3000 * "x"
    statements = [
        statement(timestamp="0001-01-02T00:00:00Z", result={"duration": f"PT{10**12}S"}),
        statement(timestamp="9999-12-30T00:00:00Z", result={"duration": "PT1.0000000000000001S"}),
        statement(timestamp="0001-01-01T00:00:00Z"),
        statement(timestamp="9999-12-31T23:59:59.999999Z"),
        statement(object={"id": long}, context={"contextActivities": {"parent": [{"id": long}]}}),
        statement(actor={"account": {"homePage": long, "name": 3000 * "x"}}),
        statement(result={"score": {"raw": 1.7e308}}),
        statement(result={"extensions": {"http://datacamp.com/xp": 10**12}}),
        statement(result={"extensions": {"http://datacamp.com/xp": -1e-300}}),
    ]
    assert (await partner.send(statements)).status_code == 200
    assert await project_all(services, partner.partner_id) == len(statements)
    assert len(await rows(connection, partner, "learning_event")) == len(statements)
    days = [row["day"].isoformat() for row in await rows(connection, partner, "daily_fact")]
    assert len(days) == 7
    assert {"0001-01-01", "9999-12-31"} < set(days)


async def test_callback_adds_time_to_its_course(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    tool = await new_tool(services, partner)
    for duration in ("PT3M", "PT20M"):
        assert (await tool.send(body(duration))).status_code == 200
    await project_all(services, partner.partner_id)
    (content,) = await rows(connection, partner, "content_item")
    assert content["type"] == "course"
    assert content["activity_id"] == f"{partner.home_page}/courses/{tool.course}"
    actual = await one_record(connection, partner)
    assert actual is not None
    assert (actual["milliseconds"], actual["source"]) == (23 * 60_000, "canvas")
    assert (actual["status"], actual["attempts"]) == ("in_progress", 1)
