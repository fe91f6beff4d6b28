"""Statements for the projection, and the rows that it writes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from lrs.api.services import Services
from lrs.projection.rebuild import rebuild_partner
from lrs.projection.vocabulary import load_vocabulary
from tests.support.learning_history import COURSES, VOIDED, SentStatement, mailbox
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

Json = dict[str, Any]

TABLES = {
    "learner_record": "person_id, content_id, organization",
    "daily_fact": "person_id, content_id, day",
    "content_day": "person_id, content_id, organization, day",
    "content_count": "content_id",
    "deleted_record": "person_id, content_id, organization",
    "statement_without_event": "statement_id",
    "learning_event": "statement_id",
    "person": "person_id",
    "identifier": "agent_key",
    "content_item": "content_id",
    "learner_group": "group_id",
    "track_content": "track_id, content_id",
}


async def rows(connection: Any, partner: Partner, table: str) -> list[Json]:
    actual = await connection.fetch(
        f"select * from {table} where partner_id = $1 order by {TABLES[table]}", partner.partner_id
    )
    return [dict(row) for row in actual]


async def tables(connection: Any, partner: Partner) -> dict[str, list[Json]]:
    return {table: await rows(connection, partner, table) for table in TABLES}


async def written(connection: Any, partner: Partner, table: str) -> list[tuple[Any, ...]]:
    """The transaction and the position of each row."""
    actual = await connection.fetch(
        f"select xmin::text, xmax::text, ctid::text from {table} where partner_id = $1"
        f" order by {TABLES[table]}",
        partner.partner_id,
    )
    return [tuple(row) for row in actual]


async def send(partner: Partner, sent: Iterable[SentStatement]) -> None:
    """Sends the items in as few requests as keep their order."""
    for (resource, organization), some in itertools.groupby(
        sent, lambda item: (item.resource, item.organization)
    ):
        bodies = [item.body for item in some]
        response = await partner.send(bodies, resource=resource, organization=organization or None)
        results = response.json()
        if response.status_code not in (200, 409):
            assert {item["status"] for item in results["results"]} <= {200, 409}, response.text


async def rebuild(services: Services, partner: Partner) -> None:
    await rebuild_partner(services.database, partner.partner_id, load_vocabulary())


async def one_record(connection: Any, partner: Partner) -> Json | None:
    actual = await rows(connection, partner, "learner_record")
    assert len(actual) <= 1
    return actual[0] if actual else None


def voiding(target: Json) -> Json:
    reference = {"objectType": "StatementRef", "id": target["id"]}
    return statement(id=new_id(), verb={"id": VOIDED}, object=reference)


def lesson(number: int) -> Json:
    return statement(
        id=new_id(),
        actor=mailbox(f"learner{number}"),
        object={"id": COURSES[number % 2]},
        result={"duration": "PT1M"},
    )
