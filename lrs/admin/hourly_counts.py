"""Use case for the hourly counts of partners: items stored and refused in the last 24 hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lrs.admin.partners import find_partner
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator
from lrs.store import intake_lists
from lrs.store.intake import STORED
from lrs.store.postgres import Database

HOURS = 24

_NOT_REFUSED = frozenset({STORED, "duplicate", "aborted"})


@dataclass(slots=True)
class HourlyCounts:
    """What a partner has sent: items stored and refused in each of the last hours, oldest first.

    `hours` are the beginnings of these hours (UTC); the last one is not over.
    """

    partner_id: int
    partner: str
    last_accepted_at: datetime | None
    hours: list[datetime]
    stored: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


async def list_hourly_counts(
    database: Database,
    operator: Operator,
    *,
    partner: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[HourlyCounts]:
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
        row.partner_id: HourlyCounts(
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
