"""Use cases for what arrives: overview of partners, reasons of refusals, the last outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator
from lrs.ledger.refusals import lowest_id
from lrs.store import intake_lists, refusals
from lrs.store.intake import STORED
from lrs.store.intake_lists import RefusalReason
from lrs.store.postgres import Database
from lrs.store.statements import sequence

HOURS = 24
MAX_EXAMINED = 1_000
"""Outcomes of each kind that a filtered list examines."""

_NOT_REFUSED = frozenset({STORED, "duplicate", "aborted"})


@dataclass(slots=True)
class PartnerIntake:
    """What a partner has sent: items stored and refused in each of the last hours, oldest first.

    `hours` are the beginnings of these hours (UTC); the last one is not over.
    """

    partner_id: int
    partner: str
    last_accepted_at: datetime | None
    hours: list[datetime]
    stored: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


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


async def overview(
    database: Database,
    operator: Operator,
    *,
    partner: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[PartnerIntake]:
    """The next partners that the operator sees, or one: those with a firing alarm, then by name.

    Raises NotFound (partner).
    """
    now = datetime.now(UTC)
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=number) for number in reversed(range(HOURS))]
    partner_ids = None if operator.partner_ids is None else sorted(operator.partner_ids)
    if partner is not None:
        partner_ids = [(await find_partner(database, operator, partner)).partner_id]
    after = decode_cursor(cursor, tuple[int, str]) if cursor else intake_lists.FIRST
    rows = await intake_lists.list_last_statements(
        database, partner_ids, after=after, limit=limit + 1
    )
    listed = page(rows, limit, lambda row: (row.rank, row.name))
    result = {
        row.partner_id: PartnerIntake(
            row.partner_id, row.name, row.stored, hours, [0] * HOURS, [0] * HOURS
        )
        for row in listed.items
    }
    for count in await intake_lists.list_hours(database, [*result], hours[0]):
        counted = result[count.partner_id]
        position = (count.hour - hours[0]) // timedelta(hours=1)
        if position >= HOURS:
            continue
        if count.outcome == STORED:
            counted.stored[position] += count.items
        elif count.outcome not in _NOT_REFUSED:
            counted.refused[position] += count.items
    return Page([*result.values()], listed.cursor)


async def list_reasons(
    database: Database, operator: Operator, partner: str, since: datetime
) -> Sequence[RefusalReason]:
    """Reasons of refused items since a time, the most frequent first. Raises NotFound."""
    partner_id = (await find_partner(database, operator, partner)).partner_id
    hour = since.replace(minute=0, second=0, microsecond=0)
    return await intake_lists.list_reasons(database, partner_id, hour)


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
