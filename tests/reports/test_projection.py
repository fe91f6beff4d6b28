"""Projection: facts and learner records of any history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.projection import persons
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from lrs.xapi import index_keys
from tests.support import projection_oracle as oracle
from tests.support.canvas import body, new_tool
from tests.support.learning_history import PARTS, Author, expected_events, mailbox, project_all
from tests.support.partners import Partner
from tests.support.projection import Json, one_record, rebuild, rows, send, tables, voiding, written
from tests.support.statements import new_id, statement


async def add_memberships(
    services: Services, partner: Partner, memberships: list[oracle.Membership]
) -> None:
    """Inserts memberships of groups, like an import."""
    async with services.database.writers.acquire() as connection:
        agents = {
            index_keys.agent_key(agent): index_keys.agent_identity(agent)
            for agent in map(mailbox, {item.learner for item in memberships})
        }
        await persons.ensure_persons(connection, partner.partner_id, agents)
        await connection.executemany(
            "insert into learner_group (partner_id, name) values ($1, $2) on conflict do nothing",
            [(partner.partner_id, item.organization) for item in memberships],
        )
        await connection.executemany(
            """
            insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
            select $1, person_id, group_id, $4, $5 from identifier, learner_group
            where identifier.partner_id = $1 and identity = $2
                and learner_group.partner_id = $1 and learner_group.name = $3
            """,
            [
                (
                    partner.partner_id,
                    index_keys.agent_identity(mailbox(item.learner)),
                    item.organization,
                    item.from_day,
                    item.to_day,
                )
                for item in memberships
            ],
        )


async def names_by_id(connection: Any, partner: Partner) -> tuple[dict[int, str], dict[int, str]]:
    """The names of people and content items in a history, by id."""
    identities = {
        row["identity"]: row["person_id"] for row in await rows(connection, partner, "identifier")
    }
    called = {}
    for identity, person in identities.items():
        if identity.startswith("mbox mailto:"):
            called[person] = identity.removeprefix("mbox mailto:").partition("@")[0]
        elif identity.startswith("account "):
            called[person] = identity.rpartition(" ")[2]
    contents = await rows(connection, partner, "content_item")
    return called, {row["content_id"]: row["activity_id"] for row in contents}


async def facts(
    connection: Any, partner: Partner, table: str, *keys: str
) -> dict[tuple[Any, ...], Json]:
    learners, contents = await names_by_id(connection, partner)
    actual = {}
    for row in await rows(connection, partner, table):
        key = (
            learners[row.pop("person_id")],
            contents[row.pop("content_id")],
            *(row.pop(item) for item in keys),
        )
        for column in ("partner_id", "date_id", "updated_at"):
            row.pop(column, None)
        actual[key] = row
    return actual


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
            row["statements"], row["enrolments"], row["outside_membership"]
        )
        for row in followed["content_count"]
        if row["statements"]
    } == oracle.content_counts(content_days)  # fmt: skip
    names = ("learning_event", "learner_record", "daily_fact", "content_day", "content_count")
    before = [await written(connection, partner, name) for name in names]
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed
    assert [await written(connection, partner, name) for name in names] == before


async def with_positions(
    connection: Any, partner: Partner, expected: list[oracle.OracleEvent]
) -> list[oracle.OracleEvent]:
    """The events with the sequences of their statements."""
    stored = await connection.fetch(
        "select statement_id::text, sequence from statement where partner_id = $1",
        partner.partner_id,
    )
    sequences = {row["statement_id"]: row["sequence"] for row in stored}
    return [replace(item, stored=sequences[item.statement_id]) for item in expected]


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
