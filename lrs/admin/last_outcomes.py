"""Use case for the last outcomes of a partner: stored and refused items."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lrs.admin.partners import find_partner
from lrs.auth.operators import Operator
from lrs.ledger.refusals import lowest_id
from lrs.store import intake_lists, refusals
from lrs.store.intake import STORED
from lrs.store.postgres import Database
from lrs.store.statements import sequence

MAX_EXAMINED = 1_000
"""Outcomes of each kind that a filtered list examines."""


@dataclass(frozen=True, slots=True)
class LastOutcome:
    """One stored or refused item; `refusal_id` of a refused one."""

    at: datetime
    outcome: str
    source: str
    credential: str
    organization: str
    statement_id: str | None
    code: str = ""
    pointer: str = ""
    refusal_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeFilter:
    """Which of the last outcomes are listed; None: all. The outcome "refused": all refused ones."""

    outcome: str | None = None
    source: str | None = None
    credential: str | None = None
    organization: str | None = None
    code: str | None = None

    def matches(self, item: LastOutcome) -> bool:
        if self.outcome == "refused":
            is_wanted = item.refusal_id is not None
        else:
            is_wanted = self.outcome in (None, item.outcome)
        return is_wanted and all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.source, item.source),
                (self.credential, item.credential),
                (self.organization, item.organization),
                (self.code, item.code),
            )
        )


async def list_last_outcomes(
    database: Database,
    operator: Operator,
    partner: str,
    *,
    after: datetime,
    through: datetime,
    selection: OutcomeFilter | None = None,
    limit: int = 100,
) -> list[LastOutcome]:
    """Stored and refused items after a time and until another, the oldest first.

    For a live list, `through` is the watermark: what is stored until then does not change, so that
    the next call begins there. At most `limit` items of each kind, the last ones; with a filter,
    those of the last MAX_EXAMINED that match. Refused items are there some seconds later than
    stored ones. Raises NotFound.
    """
    selection = selection or OutcomeFilter()
    examined = limit if selection == OutcomeFilter() else max(limit, MAX_EXAMINED)
    partner_id = (await find_partner(database, operator, partner)).partner_id
    stored = await intake_lists.list_stored(
        database,
        partner_id,
        after=sequence.first_after(after) - 1,
        before=sequence.first_after(through),
        limit=examined,
    )
    refused = await refusals.fetch_page(
        database,
        partner_id,
        refusals.RefusalFilter(since=after, until=through),
        before=lowest_id(through.timestamp() + 1),
        limit=limit,
    )
    outcomes = [
        LastOutcome(
            item.at, STORED, item.source, item.credential, item.organization, item.statement_id
        )
        for item in stored
    ]
    outcomes += [
        LastOutcome(
            item.refused_at,
            item.outcome,
            item.source,
            item.credential,
            item.organization,
            item.statement_id,
            item.code,
            item.pointer,
            str(item.refusal_id),
        )
        for item in refused
    ]
    matching = sorted(filter(selection.matches, outcomes), key=lambda outcome: outcome.at)
    return matching if examined == limit else matching[-limit:]
