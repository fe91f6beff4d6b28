"""Statements that refer to others."""

from __future__ import annotations

import itertools
from typing import Any

from lrs.api.services import Services
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
    """One batch, which must be stored."""
    answer = await partner.send(list(sent))
    assert answer.status_code == 200, answer.text


async def found(partner: Partner, **params: str) -> list[str]:
    return [each["id"] for each in await partner.all(**params)]


async def is_voided(partner: Partner, statement_id: str) -> bool:
    """Voided means: had by voidedStatementId alone, and in no list."""
    plain = (await partner.get(statementId=statement_id)).status_code
    voided = (await partner.get(voidedStatementId=statement_id)).status_code
    assert {plain, voided} == {200, 404}
    assert (statement_id in await found(partner)) == (plain == 200)
    return voided == 200


def chain(length: int = 4) -> list[Json]:
    """A statement, one that refers to it, one that refers to that, and so on."""
    ids = [new_id() for _ in range(length)]
    return [
        reading(ids[0]),
        *(referring(own, target) for target, own in itertools.pairwise(ids)),
    ]


async def unsettled(services: Services, partner: Partner) -> int:
    """How many of a partner's references still lack something."""
    count: int = await services.database.readers.fetchval(
        "select count(*) from statement_reference where partner_id = $1 and not resolved",
        partner.partner_id,
    )
    return count
