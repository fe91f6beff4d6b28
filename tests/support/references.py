"""Statements that refer to others."""

from __future__ import annotations

import itertools
from typing import Any

from lrs.api.services import Services
from lrs.store.statements.reference_backlog import ReferenceBacklog
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

Json = dict[str, Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
READ = "http://example.com/verbs/read"
THE_END = "http://example.com/the-end"
SAW = "http://example.com/verbs/saw"


def reading(statement_id: str) -> Json:
    return statement(id=statement_id, verb={"id": READ})


def referring(statement_id: str, target: str, verb: str = SAW) -> Json:
    return statement(
        id=statement_id,
        actor={"mbox": "mailto:witness@example.com"},
        verb={"id": verb},
        object={"objectType": "StatementRef", "id": target},
    )


def voiding(statement_id: str, target: str) -> Json:
    return referring(statement_id, target, VOIDED)


async def send(partner: Partner, *sent: Json) -> None:
    """Sends one batch, and asserts that it is stored."""
    response = await partner.send(list(sent))
    assert response.status_code == 200, response.text


async def list_ids(partner: Partner, **params: str) -> list[str]:
    return [item["id"] for item in await partner.all(**params)]


async def is_voided(partner: Partner, statement_id: str) -> bool:
    """A voided statement is returned by voidedStatementId only, and is in no list."""
    plain = (await partner.get(statementId=statement_id)).status_code
    voided = (await partner.get(voidedStatementId=statement_id)).status_code
    assert {plain, voided} == {200, 404}
    assert (statement_id in await list_ids(partner)) == (plain == 200)
    return voided == 200


def chain(length: int = 4) -> list[Json]:
    """A statement, one that refers to it, one that refers to that, and so on."""
    ids = [new_id() for _ in range(length)]
    return [
        reading(ids[0]),
        *(referring(own, target) for target, own in itertools.pairwise(ids)),
    ]


async def count_pending(services: Services, partner: Partner) -> int:
    """The number of pending references of a partner."""
    count: int = await services.database.readers.fetchval(
        "select count(*) from statement_reference where partner_id = $1 and not resolved",
        partner.partner_id,
    )
    return count


async def count_backlog(services: Services, partner: Partner) -> int:
    """The number of entries of a partner in the backlog."""
    count: int = await services.database.readers.fetchval(
        "select count(*) from reference_backlog where partner_id = $1", partner.partner_id
    )
    return count


async def work_off_backlog(services: Services) -> None:
    """Scans all pending references, and works until the backlog has no entry that is due."""
    backlog = ReferenceBacklog(services.database)
    await backlog.scan()
    while await backlog.work_round():
        pass
