"""Outcomes in the ledger. The request of stored items only marks its partner."""

from __future__ import annotations

from collections.abc import Sequence

from lrs.ingest.model import REFUSED, IngestContext, Outcome
from lrs.ledger.refusals import reason_of
from lrs.ledger.worker import Ledger

_NO_REASON = ("", "")


def record_outcomes(
    ledger: Ledger, context: IngestContext, items: Sequence[bytes], outcomes: Sequence[Outcome]
) -> None:
    """Counts the outcomes of a request, and keeps what was refused."""
    others = [index for index, outcome in enumerate(outcomes) if outcome.kind != "stored"]
    if len(others) < len(outcomes):
        ledger.stored(context.partner_id)
    if not others:
        return
    origin = context.origin
    for index in others:
        item, outcome = items[index], outcomes[index]
        if outcome.problem and outcome.kind in REFUSED:
            ledger.refuse(
                origin,
                outcome.kind,
                outcome.problem,
                item,
                index=index,
                statement_id=outcome.statement_id,
            )
        else:
            reason = reason_of(outcome.problem) if outcome.problem else _NO_REASON
            ledger.count(origin, outcome.kind, 1, len(item), reason)
