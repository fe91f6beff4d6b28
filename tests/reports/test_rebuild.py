"""Rebuild of the reporting tables, and their lag."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from lrs.api.services import Services
from lrs.projection import lag
from lrs.projection.rebuild import rebuild_partner
from lrs.projection.vocabulary import load_vocabulary
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.projection import lesson, one_record, rebuild, rows, tables
from tests.support.statements import statement

# Rebuild


class Stopped(Exception):
    pass


@pytest.mark.parametrize("when", ["statements", "learners"])
async def test_interrupted_rebuild_changes_nothing(
    partner: Partner, services: Services, connection: asyncpg.Connection, when: str
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    await project_all(services, partner.partner_id)
    before = await tables(connection, partner)

    def stop(subject: str, done: int, total: int) -> None:
        if subject == when:
            raise Stopped

    with pytest.raises(Stopped):
        await rebuild_partner(services.database, partner.partner_id, load_vocabulary(), stop)
    assert await tables(connection, partner) == before
    await partner.send(lesson(5))
    assert await project_all(services, partner.partner_id) == 1


async def test_rebuild_of_a_new_partner_projects_everything(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    await rebuild(services, partner)
    assert len(await rows(connection, partner, "learner_record")) == 4
    assert await project_all(services, partner.partner_id) == 0


async def test_rebuild_repairs_corrupted_tables(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    group = {"objectType": "Group", "mbox": "mailto:team@example.com"}
    await partner.send([lesson(number) for number in range(4)] + [statement(actor=group)])
    await project_all(services, partner.partner_id)
    right = await content_of_tables(connection, partner)
    for damage in (
        "delete from learning_event where partner_id = $1 and content_id % 2 = 0",
        "update learning_event set score = 3 where partner_id = $1",
        "insert into learning_event (at, agent_key, partner_id, person_id, content_id,"
        " statement_id, is_cumulative, kind, source, organization)"
        " select at, agent_key, partner_id, person_id, content_id, gen_random_uuid(),"
        " is_cumulative, kind, source, organization"
        " from learning_event where partner_id = $1",
        "delete from learner_record where partner_id = $1",
        "update daily_fact set day = day + 1 where partner_id = $1",
        "update content_day set statements = 7 where partner_id = $1",
        "delete from content_day where partner_id = $1",
        "update content_count set statements = 7 where partner_id = $1",
        "delete from content_count where partner_id = $1",
        "delete from statement_without_event where partner_id = $1",
    ):
        await connection.execute(damage, partner.partner_id)
        assert await content_of_tables(connection, partner) != right
        await rebuild(services, partner)
        assert await content_of_tables(connection, partner) == right


async def content_of_tables(connection: asyncpg.Connection, partner: Partner) -> Any:
    """All rows without the time of their last change."""
    actual = await tables(connection, partner)
    for row in actual["learner_record"]:
        del row["updated_at"]
    return actual


async def test_rebuild_applies_another_vocabulary(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    verb = {"id": "http://example.com/verbs/finished"}
    await partner.send(statement(verb=verb))
    await project_all(services, partner.partner_id)
    assert (await one_record(connection, partner))["status"] == "in_progress"
    own = load_vocabulary(b'{"verbs": {"http://example.com/verbs/finished": "completed"}}')
    await rebuild_partner(services.database, partner.partner_id, own)
    assert (await one_record(connection, partner))["status"] == "completed"


# Lag


async def test_lag_and_watermark_of_the_projection(partner: Partner, services: Services) -> None:
    stored = datetime.now(UTC)
    await partner.send(lesson(1))
    watermark = await services.watermark_reader.read_watermark(partner.partner_id)
    behind = await lag.report_watermark(services.database, partner.partner_id, watermark)
    assert behind.lag_seconds > 0
    (item,) = await partner.all()
    assert behind.consistent_through < datetime.fromisoformat(item["stored"])
    await project_all(services, partner.partner_id)
    existing = await lag.report_watermark(services.database, partner.partner_id, watermark)
    assert existing.lag_seconds == 0
    assert existing.consistent_through == watermark > stored
