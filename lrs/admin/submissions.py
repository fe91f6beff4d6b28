"""Use cases that submit statements for a partner: voiding, and the dry run of a sample.

The authority of a voiding statement is the account `(operators)` of the partner's home page, which
no credential can have: a partner recognizes what it has not voided itself. The operator is in the
audit entry only, since clients of the partner read statements.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

import orjson

from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator, record
from lrs.errors import Conflict, InvalidParameter, NotFound, Violation
from lrs.ingest.model import IngestContext, Outcome
from lrs.ingest.parse import StatementParser, TrackEventParser
from lrs.ingest.pipeline import IngestPipeline
from lrs.limits.model import DefaultLimits
from lrs.settings import Settings
from lrs.store.postgres import Database
from lrs.store.registry import LimitOverrides, Partner
from lrs.store.statements.lookup import StatementLoader
from lrs.store.storable_text import is_storable
from lrs.xapi import index_keys, strict_json
from lrs.xapi.authorities import account_authority

OPERATORS = "(operators)"
"""The name of the account, and of the credential in the ledger."""

_VOIDED = {"id": index_keys.VOIDED, "display": {"en": "voided"}}
_MAX_REASON = 255


@dataclass(frozen=True, slots=True)
class Submitter:
    """Where operators submit statements: the services of one worker."""

    database: Database
    pipeline: IngestPipeline
    loader: StatementLoader
    settings: Settings


@dataclass(frozen=True, slots=True)
class Voiding:
    """A voided statement, and the statement that voids it."""

    statement_id: str
    voiding_statement_id: str


async def void_statement(
    used: Submitter, operator: Operator, partner: str, statement_id: UUID, reason: str = ""
) -> Voiding:
    """Stores a statement that voids another one (xAPI 1.0.3 Data 2.3.2); an audit entry.

    Raises NotFound, Conflict (voided already, a voiding statement, disabled partner), Forbidden,
    InvalidParameter (reason) and the errors of `IngestPipeline.submit`.
    """
    operator.require("operator")
    _check_reason(reason)
    partner_row = await _enabled_partner(used, operator, partner)
    await _require_voidable(used, partner_row, statement_id)
    voiding_id = str(uuid5(statement_id, index_keys.VOIDED))
    context = _context(used, partner_row)
    statement = {
        "id": voiding_id,
        "actor": orjson.loads(context.authority),
        "verb": _VOIDED,
        "object": {"objectType": "StatementRef", "id": str(statement_id)},
    }
    parser = StatementParser(used.settings.max_statement_bytes)
    (outcome,) = await used.pipeline.submit([orjson.dumps(statement)], context, parser)
    if outcome.kind in ("duplicate", "conflict"):
        raise _voided(statement_id)
    if outcome.problem is not None:
        raise outcome.problem
    after = {"voiding_statement": voiding_id, "reason": reason}
    await record(
        used.database,
        operator,
        "statement.void",
        f"statement/{statement_id}",
        partner_id=partner_row.partner_id,
        after=after,
    )
    return Voiding(str(statement_id), voiding_id)


async def check_items(
    used: Submitter, operator: Operator, partner: str, body: bytes, *, is_track: bool = False
) -> tuple[list[Outcome], bool]:
    """The outcomes that items would have, and whether the body is a batch; nothing is stored.

    The ids of stored statements are compared. Raises NotFound, Forbidden (a viewer), BadRequest.
    """
    operator.require("operator")
    partner_row = await find_partner(used.database, operator, partner)
    items, is_batch = strict_json.split_batch(body, used.settings.max_batch_items)
    size = used.settings.max_statement_bytes
    parser = TrackEventParser(size) if is_track else StatementParser(size)
    context = _context(used, partner_row)
    return await used.pipeline.submit(items, context, parser, dry_run=True), is_batch


async def _enabled_partner(used: Submitter, operator: Operator, name: str) -> Partner:
    partner = await find_partner(used.database, operator, name)
    if partner.disabled_reason is not None:
        raise Conflict(
            f"Partner {name!r} is disabled ({partner.disabled_reason}): nothing is stored for it."
        )
    return partner


async def _require_voidable(used: Submitter, partner: Partner, statement_id: UUID) -> None:
    stored = await used.loader.load(partner.partner_id, str(statement_id))
    if stored is None:
        raise NotFound(f"Statement {statement_id} not found.")
    if stored.voided:
        raise _voided(statement_id)
    statement = orjson.loads(stored.payload)
    if statement["verb"]["id"] == index_keys.VOIDED:
        raise Conflict(f"Statement {statement_id} voids another one: it cannot be voided itself.")


def _voided(statement_id: UUID) -> Conflict:
    return Conflict(f"Statement {statement_id} is voided already.")


def _context(used: Submitter, partner: Partner) -> IngestContext:
    """The context of statements with the authority of operators; the partner's limits apply."""
    authority = account_authority(partner.home_page, OPERATORS)
    subjects = DefaultLimits.of(used.settings).subjects(
        partner.partner_id, OPERATORS, partner.limits, LimitOverrides()
    )
    return IngestContext(
        partner.partner_id,
        partner.name,
        partner.home_page,
        None,
        authority.text,
        authority.key,
        False,
        None,
        subjects,
        reads_all=True,
        credential=OPERATORS,
        keeps_items=False,
    )


def _check_reason(reason: str) -> None:
    if len(reason) > _MAX_REASON or not is_storable(reason):
        detail = f"expected at most {_MAX_REASON} characters that can be stored"
        raise InvalidParameter(
            f"reason: {detail}.", violations=[Violation("/reason", detail, "Admin API")]
        )
