"""Learners, content items and learner records, inserted directly."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lrs.api.services import Services
from lrs.xapi import index_keys
from tests.support.partners import Partner

Json = dict[str, Any]

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)


async def insert(services: Services, table: str, returning: str = "partner_id", **row: Any) -> Any:
    """Inserts one row with these columns."""
    positions = ", ".join(f"${number + 1}" for number in range(len(row)))
    return await services.database.writers.fetchval(
        f"insert into {table} ({', '.join(row)}) values ({positions}) returning {returning}",
        *row.values(),
    )


async def learner(services: Services, partner: Partner, *agents: Json, **columns: Any) -> int:
    """Inserts a person with the identifiers of these agents."""
    own = {"partner_id": partner.partner_id}
    person_id = int(await insert(services, "person", "person_id", **own, **columns))
    for agent in agents:
        await insert(
            services,
            "identifier",
            **own,
            person_id=person_id,
            agent_key=index_keys.agent_key(agent),
            identity=index_keys.agent_identity(agent),
            imported=False,
        )
    return person_id


async def content(services: Services, partner: Partner, activity_id: str, **columns: Any) -> int:
    row = {
        "partner_id": partner.partner_id,
        "activity_id": activity_id,
        "content_key": index_keys.activity_key(activity_id),
        "attributes": "{}",
    }
    return int(await insert(services, "content_item", "content_id", **row | columns))


async def record(
    services: Services, partner: Partner, person_id: int, content_id: int, **columns: Any
) -> None:
    row = {
        "partner_id": partner.partner_id,
        "person_id": person_id,
        "content_id": content_id,
        "organization": "",
        "status": "in_progress",
        "last_activity_at": NOON,
        "attempts": 1,
        "source": "xapi",
    }
    await insert(services, "learner_record", **row | columns)
