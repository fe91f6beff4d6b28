"""Use cases for learners: search, identifiers, records, statements. Each view is an audit entry.

A viewer sees pseudonyms, and cannot search: that would tell who a pseudonym is.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from lrs.admin.masking import Masking
from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator, record
from lrs.errors import Forbidden
from lrs.projection.mail_spellings import spellings
from lrs.reports import learner_records
from lrs.reports.identifiers import Identifier
from lrs.reports.learner_records import RecordPage
from lrs.reports.record_query import RecordQuery
from lrs.store import learner_documents
from lrs.store import learners as store
from lrs.store.learner_documents import DocumentContent, DocumentRow
from lrs.store.learners import DeletedLearner, Learner, LearnerIdentifier
from lrs.store.postgres import Database
from lrs.store.registry import Partner
from lrs.xapi import index_keys

_MAX_ID = 2**31 - 1
_NEWEST = 2**63 - 1
_RECORDS = 100
_STATEMENTS = 20


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document of a learner with the beginning of its content; None unless it is text."""

    kind: str
    activity: str | None
    agent: str
    registration: UUID | None
    document_id: str
    content_type: str
    size: int
    updated: datetime
    etag: str
    content: str | None
    is_complete: bool


@dataclass(frozen=True, slots=True)
class StatementView:
    """A statement of a learner."""

    sequence: int
    stored: datetime
    organization: str | None
    voided: bool
    statement: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LearnerView:
    """A learner with all identifiers, the first records, the last statements and documents."""

    learner: Learner
    identifiers: list[LearnerIdentifier]
    records: list[dict[str, Any]]
    statements: list[StatementView]
    documents: list[DocumentRow]


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


async def find_learner(
    database: Database,
    operator: Operator,
    partner: str,
    agent: dict[str, Any],
) -> Page[Learner]:
    """The learner with the identifier of an agent in statements; an empty page without one.

    Raises NotFound (partner), Forbidden (a viewer).
    """
    if not operator.may("operator"):
        raise Forbidden("A viewer sees masked identities: agent requires an operator.")
    partner_row = await find_partner(database, operator, partner)
    identity = index_keys.agent_identity(agent)
    keys = [
        spelling.agent_key
        for spelling in spellings(identity or "", folds_case=partner_row.settings.fold_mail_case)
    ]
    rows = await store.find_by_agent(database, partner_row.partner_id, keys)
    await record(
        database,
        operator,
        "learner.search",
        f"partner/{partner}",
        partner_id=partner_row.partner_id,
        after={"agent": identity, "learners": [row.person_id for row in rows]},
    )
    return Page(rows, None)


async def list_deleted(
    database: Database,
    operator: Operator,
    masking: Masking,
    partner: str,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[DeletedLearner]:
    """The next learners by id that are in no report. Raises NotFound (partner)."""
    partner_row = await find_partner(database, operator, partner)
    partner_id = partner_row.partner_id
    (after,) = decode_cursor(cursor, tuple[int]) if cursor else (0,)
    rows = await store.list_deleted(
        database, partner_id, after=min(after, _MAX_ID), limit=limit + 1
    )
    result = page(rows, limit, lambda row: (row.person_id,))
    await record(
        database,
        operator,
        "learner.list-deleted",
        f"partner/{partner}",
        partner_id=partner_id,
        after={"learners": [row.person_id for row in result.items]},
    )
    if operator.may("operator"):
        return result
    masked = [
        replace(row, identities=[masking.pseudonym(partner_id, text) for text in row.identities])
        for row in result.items
    ]
    return Page(masked, result.cursor)


async def get_learner(
    database: Database, operator: Operator, masking: Masking, partner: str, person_id: int
) -> LearnerView:
    """The learner, which is one audit entry. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    partner_id = partner_row.partner_id
    learner = await store.get(database, partner_row.partner_id, person_id)
    identifiers = await store.list_identifiers(database, partner_id, person_id)
    by_id, first = Identifier(None, (), person_id), RecordQuery(_RECORDS)
    page = await learner_records.fetch_by_learner(database, partner_id, by_id, first)
    statements = await _fetch_statements(database, operator, masking, partner_id, person_id)
    documents = await learner_documents.list_documents(database, partner_id, person_id)
    await _record_view(database, operator, partner_row, person_id, "learner.view")
    if not operator.may("operator"):
        identifiers = [
            LearnerIdentifier(masking.pseudonym(partner_id, row.identity), None, row.imported)
            for row in identifiers
        ]
        documents = [_masked_document(masking, partner_id, row) for row in documents]
    return LearnerView(
        _masked(operator, masking, partner_id, learner),
        identifiers,
        _visible_records(operator, masking, partner_id, learner, page).records,
        statements,
        documents,
    )


async def get_document(
    database: Database, operator: Operator, partner: str, person_id: int, key: str
) -> DocumentView:
    """A document of a learner; an audit entry. Raises NotFound, Forbidden (a viewer)."""
    if not operator.may("operator"):
        raise Forbidden("A viewer sees masked identities: only operators and owners see documents.")
    partner_row = await find_partner(database, operator, partner)
    await store.get(database, partner_row.partner_id, person_id)
    row = await learner_documents.get_document(database, partner_row.partner_id, person_id, key)
    await record(
        database,
        operator,
        "learner.view-document",
        f"learner/{person_id}",
        partner_id=partner_row.partner_id,
        after={"kind": row.kind, "document_id": row.document_id},
    )
    text = _text(row)
    return DocumentView(
        row.kind,
        row.activity,
        row.agent,
        row.registration,
        row.document_id,
        row.content_type,
        row.size,
        row.updated,
        row.etag,
        text,
        text is not None and len(row.content) == row.size,
    )


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
    await store.get(database, partner_row.partner_id, person_id)
    (before,) = decode_cursor(cursor, tuple[int]) if cursor else (_NEWEST,)
    views = await _fetch_statements(
        database,
        operator,
        masking,
        partner_row.partner_id,
        person_id,
        before=min(before, _NEWEST),
        limit=limit + 1,
    )
    await _record_view(database, operator, partner_row, person_id, "learner.view-statements")
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
    learner = await store.get(database, partner_row.partner_id, person_id)
    result = await learner_records.fetch_by_learner(
        database, partner_row.partner_id, Identifier(None, (), person_id), query
    )
    await _record_view(database, operator, partner_row, person_id, "learner.view-records")
    return _visible_records(operator, masking, partner_row.partner_id, learner, result)


async def _fetch_statements(
    database: Database,
    operator: Operator,
    masking: Masking,
    partner_id: int,
    person_id: int,
    *,
    before: int = _NEWEST,
    limit: int = _STATEMENTS,
) -> list[StatementView]:
    rows = await store.list_statements(database, partner_id, person_id, before=before, limit=limit)
    return [
        StatementView(
            row.sequence,
            row.stored,
            row.organization,
            row.voided,
            visible_statement(operator, masking, partner_id, orjson.loads(row.payload)),
        )
        for row in rows
    ]


def _visible_records(
    operator: Operator, masking: Masking, partner_id: int, learner: Learner, result: RecordPage
) -> RecordPage:
    """The records, with a pseudonym for a viewer."""
    if operator.may("operator"):
        return result
    masked = _masked(operator, masking, partner_id, learner)
    # The columns that the records share are those of the learner: none but the id is shown.
    hidden: dict[str, Any] = {name: None for name in result.subject if name != "user_id"}
    if "name" in hidden:
        hidden["name"] = masked.name
    return RecordPage(
        {**result.subject, **hidden},
        [{**row, **hidden} for row in result.records],
        result.last_position,
    )


def _masked_document(masking: Masking, partner_id: int, row: DocumentRow) -> DocumentRow:
    """The document without its id, which a client chooses and which may name a learner."""
    return replace(row, agent=masking.pseudonym(partner_id, row.agent), document_id="")


def _text(row: DocumentContent) -> str | None:
    """The content if its beginning is text."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(row.content)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def visible_statement(
    operator: Operator, masking: Masking, partner_id: int, statement: dict[str, Any]
) -> dict[str, Any]:
    """The statement, with masked identities for a viewer."""
    if operator.may("operator"):
        return statement
    return masking.statement(partner_id, statement)


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
