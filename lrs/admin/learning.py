"""Use cases for what was learned: completions and hours; a statement with its relations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from lrs import resources
from lrs.admin.learners import visible_statement
from lrs.admin.masking import Masking
from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator, record
from lrs.errors import Forbidden, NotFound
from lrs.projection import learning_summary
from lrs.projection.learning_summary import MAX_ROWS, Group, LearningSummary
from lrs.store import statement_origins
from lrs.store.postgres import Database, translate_errors
from lrs.store.statements.lookup import StatementLoader, StoredStatement
from lrs.xapi import index_keys

_BUILT = frozenset({"track", "canvas"})
"""Sources whose items are no statements."""

_REFERENCES = resources.query("list_references_to_statement")


@dataclass(frozen=True, slots=True)
class Reference:
    """A statement that refers to another one, or voids it."""

    statement_id: str
    voids: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """What the source of a pipe says of a statement; `origin` is its scheme, host and port.

    `refused`: the source has another statement with the id of this one.
    """

    pipe: str
    pipe_exists: bool
    origin: str
    stored: datetime | None
    authority: dict[str, Any] | None
    refused: bool


@dataclass(frozen=True, slots=True)
class StatementDetail:
    """A statement, what it refers to, the first statements that refer to it, and its sources.

    `text` is the statement as it is stored and returned to clients, None for a viewer. `source` is
    how it arrived; `is_built`: the server built it from another format.
    """

    statement: dict[str, Any]
    text: str | None
    source: str
    is_built: bool
    stored: datetime
    organization: str | None
    voided: bool
    refers_to: str | None
    referred_by: list[Reference]
    origins: list[Origin]


async def summarize(
    database: Database, operator: Operator, partner: str, group: Group
) -> LearningSummary:
    """Completions and hours of a partner. Raises NotFound (partner)."""
    partner_row = await find_partner(database, operator, partner)
    with translate_errors():
        return await learning_summary.read(database.readers, partner_row.partner_id, group)


async def get_text(
    database: Database,
    operator: Operator,
    loader: StatementLoader,
    partner: str,
    statement_id: UUID,
) -> bytes:
    """The stored text of a statement; an audit entry. Raises NotFound, Forbidden (a viewer)."""
    if not operator.may("operator"):
        raise Forbidden("A viewer sees masked identities: only operators and owners see texts.")
    partner_row = await find_partner(database, operator, partner)
    stored = await _load(loader, partner_row.partner_id, statement_id)
    await record(
        database,
        operator,
        "statement.view-text",
        f"statement/{statement_id}",
        partner_id=partner_row.partner_id,
    )
    return stored.payload


async def get_statement(
    database: Database,
    operator: Operator,
    masking: Masking,
    loader: StatementLoader,
    partner: str,
    statement_id: UUID,
) -> StatementDetail:
    """A statement, also a voided one; recorded as a view of a learner. Raises NotFound."""
    partner_row = await find_partner(database, operator, partner)
    stored = await _load(loader, partner_row.partner_id, statement_id)
    with translate_errors():
        rows = await database.readers.fetch(
            _REFERENCES, partner_row.partner_id, statement_id, MAX_ROWS
        )
    await record(
        database,
        operator,
        "statement.view",
        f"statement/{statement_id}",
        partner_id=partner_row.partner_id,
    )
    statement = orjson.loads(stored.payload)
    target = index_keys.statement_ref(statement)
    source = await statement_origins.get_source(database, partner_row.partner_id, statement_id)
    origins = await statement_origins.list_origins(database, partner_row.partner_id, statement_id)
    return StatementDetail(
        visible_statement(operator, masking, partner_row.partner_id, statement),
        stored.payload.decode() if operator.may("operator") else None,
        source,
        source in _BUILT,
        stored.stored,
        stored.organization,
        stored.voided,
        None if target is None else str(target),
        [Reference(*row) for row in rows],
        [_origin(operator, masking, partner_row.partner_id, item) for item in origins],
    )


async def _load(loader: StatementLoader, partner_id: int, statement_id: UUID) -> StoredStatement:
    """The statement, also a voided one. Raises NotFound."""
    stored = await loader.load(partner_id, str(statement_id))
    if stored is None:
        raise NotFound(f"Statement {statement_id} not found.")
    return stored


def _origin(operator: Operator, masking: Masking, partner_id: int, row: dict[str, Any]) -> Origin:
    authority = row["authority"]
    if isinstance(authority, dict) and not operator.may("operator"):
        authority = masking.agent(partner_id, authority)
    return Origin(**{**row, "authority": authority if isinstance(authority, dict) else None})
