"""Use cases for refused items and denied requests: list, show, send again, drop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import msgspec

from lrs.admin.partners import find_partner
from lrs.auth import authenticate
from lrs.auth.ingest_context import ingest_context
from lrs.auth.operators import Operator, record
from lrs.errors import Conflict, NotFound
from lrs.ingest import resubmit
from lrs.ingest.model import IngestContext
from lrs.ingest.pipeline import IngestPipeline
from lrs.ingest.resubmit import Resubmission
from lrs.ledger.attempts import NO_PARTNER
from lrs.limits.model import DefaultLimits
from lrs.pipes.pull import ingest_contexts, refused_items
from lrs.settings import Settings
from lrs.store import attempts, intake_lists, refusals, registry
from lrs.store.attempts import AttemptCount
from lrs.store.intake_lists import RefusalReason
from lrs.store.postgres import Database
from lrs.store.refusals import ANY, Refusal, RefusalFilter
from lrs.store.registry import Partner


async def list_reasons(
    database: Database, operator: Operator, partner: str, since: datetime
) -> Sequence[RefusalReason]:
    """Reasons of refused items since a time, the most frequent first. Raises NotFound."""
    partner_id = (await find_partner(database, operator, partner)).partner_id
    hour = since.replace(minute=0, second=0, microsecond=0)
    return await intake_lists.list_reasons(database, partner_id, hour)


async def list_refusals(
    database: Database,
    operator: Operator,
    partner: str,
    selection: RefusalFilter = ANY,
    *,
    before: UUID | None = None,
    limit: int = 100,
) -> list[Refusal]:
    """Newest first, without items; `before` is the last id of the page before. Raises NotFound."""
    partner_id = await _partner_id(database, operator, partner)
    rows = await refusals.fetch_page(database, partner_id, selection, before=before, limit=limit)
    return [_visible(operator, row) for row in rows]


async def get_refusal(
    database: Database, operator: Operator, partner: str, refusal_id: UUID
) -> Refusal:
    """A refusal with its item, which is recorded as a view of a learner. Raises NotFound."""
    partner_id = await _partner_id(database, operator, partner)
    refusal = await resubmit.find(database, partner_id, refusal_id)
    await record(database, operator, "refusal.view", f"refusal/{refusal_id}", partner_id=partner_id)
    return _visible(operator, refusal)


def _visible(operator: Operator, refusal: Refusal) -> Refusal:
    """The refusal; for a viewer without the item, and without values of it in the errors."""
    if operator.may("operator"):
        return refusal
    problem = msgspec.json.decode(refusal.problem)
    kept = {name: problem[name] for name in ("type", "title", "status", "code") if name in problem}
    kept["detail"] = "Only operators and owners see the values of a refused item."
    if "errors" in problem:
        kept["errors"] = [{**error, "detail": "hidden"} for error in problem["errors"]]
    return replace(
        refusal,
        item=None,
        has_item=False,
        statement_id=None,
        problem=msgspec.json.encode(kept).decode(),
    )


async def resubmit_refusal(
    database: Database,
    operator: Operator,
    pipeline: IngestPipeline,
    settings: Settings,
    partner: str,
    refusal_id: UUID,
    body: bytes | None = None,
) -> Resubmission:
    """Sends an item again as its credential or pipe, as it was or with another body.

    Raises NotFound, Forbidden, Conflict, and the errors of `lrs.ingest.resubmit.send`.
    """
    operator.require("operator")
    partner_row = await find_partner(database, operator, partner)
    if partner_row.disabled_reason is not None:
        raise Conflict(
            f"Partner {partner!r} is disabled ({partner_row.disabled_reason}): nothing is stored "
            "for it. Enable it first."
        )
    partner_id = partner_row.partner_id
    refusal = await resubmit.find(database, partner_id, refusal_id)
    context = await _context(database, settings, partner_row, refusal, body)
    sent = await refused_items.resubmit(pipeline, database, settings, refusal, context, body)
    await record(
        database,
        operator,
        "refusal.resubmit",
        f"refusal/{refusal_id}",
        partner_id=partner_id,
        after={"outcomes": [outcome.kind for outcome in sent.outcomes]},
    )
    return sent


async def _context(
    database: Database, settings: Settings, partner: Partner, refusal: Refusal, body: bytes | None
) -> IngestContext:
    """The context of the credential or pipe that sent the item first. Raises Conflict."""
    if refusal.source == ingest_contexts.SOURCE:
        return await refused_items.context_of_pipe(database, settings, partner, refusal, body)
    credential = await registry.find_credential(database, refusal.credential)
    if credential is None and refusal.source not in resubmit.WHY_NOT:
        raise Conflict(f"The credential {refusal.credential!r} of the item does not exist.")
    if credential is None:
        raise resubmit.cannot_resubmit(refusal)
    subjects = DefaultLimits.of(settings).subjects(
        partner.partner_id, credential.key, credential.partner_limits, credential.limits
    )
    caller = authenticate.caller_of(credential, subjects)
    return ingest_context(caller, None, None, source=refusal.source)


async def drop_refusal(
    database: Database, operator: Operator, partner: str, refusal_id: UUID
) -> None:
    """Removes a refusal. Raises NotFound, Forbidden."""
    operator.require("operator")
    partner_id = await _partner_id(database, operator, partner)
    if not await refusals.delete(database, partner_id, refusal_id):
        raise NotFound(f"Refusal {refusal_id} not found.")
    await record(database, operator, "refusal.drop", f"refusal/{refusal_id}", partner_id=partner_id)


async def list_attempts(
    database: Database,
    operator: Operator,
    partner: str | None,
    *,
    before: tuple[datetime, bytes] | None = None,
    limit: int = 100,
) -> list[AttemptCount]:
    """Denied requests of a partner, the last one first; None: those that name no partner.

    `before` are time and hash of the last one of the page before. Raises NotFound, Forbidden.
    """
    if partner is None:
        operator.require_all_partners()
        partner_id = NO_PARTNER
    else:
        partner_id = await _partner_id(database, operator, partner)
    return await attempts.fetch_page(database, partner_id, before=before, limit=limit)


async def _partner_id(database: Database, operator: Operator, name: str) -> int:
    """Raises NotFound, also for a partner that the operator does not see."""
    return (await find_partner(database, operator, name)).partner_id
