"""What the ledger has of a partner."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from lrs.api.services import Services
from lrs.store import attempts as attempt_store
from lrs.store import intake_lists, refusals
from lrs.store.attempts import AttemptCount
from lrs.store.intake import IntakeCount
from lrs.store.refusals import Refusal
from tests.support.partners import Partner

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def write_ledger(services: Services) -> None:
    """Writes what the worker has; waits for a count of statements that runs already."""
    await services.ledger.write()
    await services.ledger.sweep()


async def counts(services: Services, partner: Partner) -> list[IntakeCount]:
    """The counts of a partner, after this worker has written what it has."""
    await write_ledger(services)
    until = datetime.now(UTC) + timedelta(days=1)
    return await intake_lists.list_counts(
        services.database, partner.partner_id, EPOCH, until, 10_000
    )


async def outcomes(services: Services, partner: Partner) -> dict[str, int]:
    """The number of items by outcome."""
    result: Counter[str] = Counter()
    for count in await counts(services, partner):
        result[count.key.outcome] += count.items
    return dict(result)


async def kept(services: Services, partner: Partner) -> list[Refusal]:
    """The kept refusals with their items, oldest first."""
    await services.ledger.write()
    page = await refusals.fetch_page(services.database, partner.partner_id, limit=10_000)
    result = [
        await refusals.get(services.database, partner.partner_id, row.refusal_id)
        for row in reversed(page)
    ]
    return [refusal for refusal in result if refusal]


async def attempts(services: Services, partner_id: int) -> list[AttemptCount]:
    """The denied requests of a partner, the last one first."""
    await services.ledger.write()
    return await attempt_store.fetch_page(services.database, partner_id, limit=10_000)
