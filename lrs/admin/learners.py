"""Use cases for learners: search, identifiers, records, statements. Each view is an audit entry.

A viewer sees pseudonyms, and cannot search: that would tell who a pseudonym is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from lrs.admin.masking import Masking
from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator, record
from lrs.errors import Forbidden, NotFound
from lrs.reports import learner_records
from lrs.reports.identifiers import Identifier
from lrs.reports.learner_records import RecordPage
from lrs.reports.record_query import RecordQuery
from lrs.store import learners as store
from lrs.store.learners import Learner, LearnerIdentifier
from lrs.store.postgres import Database
from lrs.store.registry import Partner

_MAX_ID = 2**31 - 1
_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LearnerView:
    """A learner with all identifiers."""

    learner: Learner
    identifiers: list[LearnerIdentifier]


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement of a learner."""

    sequence: int
    stored: datetime
    organization: str | None
    voided: bool
    statement: dict[str, Any]


async def search_learners(
    database: Database,
    operator: Operator,
    masking: Masking,
    partner: str,
    *,
    search: str = "",
    cursor: str | None = None,
    limit: int = 100,
) -> Page[Learner]:
    """The next learners by id whose name or identifier contains the text.

    Raises NotFound (partner), Forbidden (a viewer who searches).
    """
    if search and not operator.may("operator"):
        raise Forbidden("A viewer sees masked identities: only operators and owners search.")
    partner_row = await find_partner(database, operator, partner)
    (after,) = decode_cursor(cursor, tuple[int]) if cursor else (0,)
    rows = await store.search(
        database, partner_row.partner_id, search, after=min(after, _MAX_ID), limit=limit + 1
    )
    result = page(rows, limit, lambda row: (row.person_id,))
    after_search = {"search": search, "learners": [row.person_id for row in result.items]}
    await record(
        database,
        operator,
        "learner.search",
        f"partner/{partner}",
        partner_id=partner_row.partner_id,
        after=after_search,
    )
    items = [_masked(operator, masking, partner_row.partner_id, row) for row in result.items]
    return Page(items, result.cursor)


async def get_learner(
    database: Database, operator: Operator, masking: Masking, partner: str, person_id: int
) -> LearnerView:
    """Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    learner = await _find(database, partner_row, person_id)
    identifiers = await store.list_identifiers(database, partner_row.partner_id, person_id)
    await _record_view(database, operator, partner_row, person_id, "learner.view")
    if not operator.may("operator"):
        identifiers = [
            LearnerIdentifier(
                masking.pseudonym(partner_row.partner_id, row.identity), None, row.imported
            )
            for row in identifiers
        ]
    return LearnerView(_masked(operator, masking, partner_row.partner_id, learner), identifiers)


async def list_statements(
    database: Database,
    operator: Operator,
    masking: Masking,
    partner: str,
    person_id: int,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[StatementView]:
    """Statements with any identifier of the learner as actor, newest first. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    await _find(database, partner_row, person_id)
    (before,) = decode_cursor(cursor, tuple[int]) if cursor else (_NEWEST,)
    rows = await store.list_statements(
        database, partner_row.partner_id, person_id, before=min(before, _NEWEST), limit=limit + 1
    )
    await _record_view(database, operator, partner_row, person_id, "learner.view-statements")
    views = [
        StatementView(
            row.sequence,
            row.stored,
            row.organization,
            row.voided,
            visible_statement(operator, masking, partner_row.partner_id, orjson.loads(row.payload)),
        )
        for row in rows
    ]
    return page(views, limit, lambda row: (row.sequence,))


async def list_records(
    database: Database,
    operator: Operator,
    masking: Masking,
    partner: str,
    person_id: int,
    query: RecordQuery,
) -> RecordPage:
    """Learner records over all identifiers of a learner. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    learner = await _find(database, partner_row, person_id)
    result = await learner_records.fetch_by_learner(
        database, partner_row.partner_id, Identifier(None, (), person_id), query
    )
    await _record_view(database, operator, partner_row, person_id, "learner.view-records")
    if operator.may("operator"):
        return result
    masked = _masked(operator, masking, partner_row.partner_id, learner)
    # The columns that the records share are those of the learner: none but the id is shown.
    hidden: dict[str, Any] = {name: None for name in result.subject if name != "user_id"}
    if "name" in hidden:
        hidden["name"] = masked.name
    return RecordPage(
        {**result.subject, **hidden},
        [{**row, **hidden} for row in result.records],
        result.last_position,
    )


def visible_statement(
    operator: Operator, masking: Masking, partner_id: int, statement: dict[str, Any]
) -> dict[str, Any]:
    """The statement, with masked identities for a viewer."""
    if operator.may("operator"):
        return statement
    return masking.statement(partner_id, statement)


async def _find(database: Database, partner: Partner, person_id: int) -> Learner:
    if person_id > _MAX_ID:
        raise NotFound(f"Learner {person_id} not found.")
    return await store.get(database, partner.partner_id, person_id)


async def _record_view(
    database: Database, operator: Operator, partner: Partner, person_id: int, action: str
) -> None:
    await record(database, operator, action, f"learner/{person_id}", partner_id=partner.partner_id)


def _masked(operator: Operator, masking: Masking, partner_id: int, learner: Learner) -> Learner:
    """The learner, with a pseudonym for a viewer."""
    if operator.may("operator"):
        return learner
    name = masking.pseudonym(partner_id, f"learner {learner.person_id}")
    return Learner(learner.person_id, None, name, None)
