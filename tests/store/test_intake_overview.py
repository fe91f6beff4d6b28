"""The overview of partners, reasons of refusals, and the last outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lrs.admin import hourly_counts, last_outcomes, refusals
from lrs.api.services import Services
from lrs.auth.operators import Operator
from lrs.errors import NotFound
from tests.support.ledger import write_ledger
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

INVALID = {**statement(), "verb": 1}


def viewer(*partners: Partner) -> Operator:
    ids = frozenset(partner.partner_id for partner in partners)
    return Operator("viewer@example.com", "viewer", ids or None, "api")


async def test_overview_has_the_last_hours_of_each_partner(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    stored = statement(id=new_id())
    await partner.send([statement(), stored, INVALID, INVALID])
    await partner.send(stored)
    await write_ledger(services)
    listed = await hourly_counts.list_hourly_counts(services.database, viewer(partner, stranger))
    by_name = {row.partner: row for row in listed.items}
    own, silent = by_name[partner.name], by_name[stranger.name]
    assert len(own.hours) == len(own.stored) == len(own.refused) == 24
    assert (sum(own.stored[-2:]), sum(own.refused[-2:])) == (2, 2)
    assert own.last_accepted_at is not None
    assert datetime.now(UTC) - own.last_accepted_at < timedelta(minutes=1)
    assert (silent.last_accepted_at, sum(silent.stored)) == (None, 0)


async def test_operator_of_one_partner_sees_nothing_of_another(
    services: Services, partner: Partner, stranger: Partner
) -> None:
    (row,) = (await hourly_counts.list_hourly_counts(services.database, viewer(partner))).items
    assert row.partner == partner.name
    now = datetime.now(UTC)
    with pytest.raises(NotFound):
        await refusals.list_reasons(services.database, viewer(partner), stranger.name, now)
    with pytest.raises(NotFound):
        await last_outcomes.list_last_outcomes(
            services.database, viewer(partner), stranger.name, after=now, through=now
        )


async def test_reasons_are_counted_also_of_items_that_are_not_kept(
    services: Services, partner: Partner
) -> None:
    await partner.send([INVALID] * 150 + [1])
    await write_ledger(services)
    since = datetime.now(UTC) - timedelta(hours=1)
    rows = await refusals.list_reasons(services.database, viewer(), partner.name, since)
    assert [(row.pointer, row.items) for row in rows] == [("/verb", 150), ("", 1)]
    assert rows[0].first_hour <= rows[0].last_at


async def test_last_outcomes_continue_without_gap(services: Services, partner: Partner) -> None:
    seen: list[str] = []
    after = datetime.now(UTC) - timedelta(seconds=1)
    for number in range(3):
        await partner.send([statement(id=new_id()), INVALID], organization=f"o{number}")
        await write_ledger(services)
        through = await services.watermark_reader.read_watermark(partner.partner_id)
        outcomes = await last_outcomes.list_last_outcomes(
            services.database, viewer(), partner.name, after=after, through=through
        )
        after = through
        seen += [f"{item.organization} {item.outcome}" for item in outcomes]
    through = datetime.now(UTC) + timedelta(seconds=1)
    seen += [
        f"{item.organization} {item.outcome}"
        for item in await last_outcomes.list_last_outcomes(
            services.database, viewer(), partner.name, after=after, through=through
        )
    ]
    expected = [f"o{n} {outcome}" for n in range(3) for outcome in ("invalid", "stored")]
    assert sorted(seen) == expected
