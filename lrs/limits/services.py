"""The limits of one worker, and the task that returns what it has leased."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_hex

from lrs.errors import LRSError
from lrs.limits.failures import FailureThrottle
from lrs.limits.model import DefaultLimits
from lrs.limits.quotas import Quotas
from lrs.limits.rate_limiter import RateLimiter
from lrs.limits.request_limiter import RequestLimiter
from lrs.settings import Settings
from lrs.store import limits as store
from lrs.store.postgres import Database, open_admin_database

_log = logging.getLogger("lrs.limits")

_RETURN_INTERVAL_SECONDS = 1.0
_COUNT_INTERVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LimitServices:
    default: DefaultLimits
    failures: FailureThrottle
    requests: RequestLimiter
    quotas: Quotas


@asynccontextmanager
async def open_limits(settings: Settings, database: Database) -> AsyncIterator[LimitServices]:
    """The limits of one worker; at the end, what it has leased is returned."""
    rates = RateLimiter(partial(store.take_tokens, database))
    quotas = Quotas(partial(store.take_quota, database, token_hex(8)))
    requests = RequestLimiter(rates, partial(store.take_slots, database))
    tasks = [
        asyncio.create_task(_return_leases(requests, quotas)),
        asyncio.create_task(_count_stored_bytes(settings, database)),
    ]
    try:
        yield LimitServices(
            DefaultLimits.of(settings),
            FailureThrottle(settings.max_authentication_failures),
            requests,
            quotas,
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await quotas.return_all()
        await requests.slots.return_all()


async def _return_leases(requests: RequestLimiter, quotas: Quotas) -> None:
    while True:
        await asyncio.sleep(_RETURN_INTERVAL_SECONDS)
        try:
            await requests.rates.return_idle_tokens()
            await requests.slots.return_idle_slots()
            await quotas.return_idle()
        except Exception as error:
            _log.exception("cannot return leases", exc_info=error)


async def _count_stored_bytes(settings: Settings, database: Database) -> None:
    """Counts what was stored before a quota was set, and corrects the counters once a day."""
    while True:
        await asyncio.sleep(_RETURN_INTERVAL_SECONDS)
        try:
            while partner_id := await store.claim_byte_count(database, settings.max_stored_bytes):
                # A connection of its own: requests do not wait for a count of minutes.
                async with open_admin_database(settings.database_url) as admin_database:
                    await store.recount_stored_bytes(admin_database, partner_id)
        except LRSError as error:
            _log.warning("cannot count stored bytes: %s", error.detail)
        await asyncio.sleep(_COUNT_INTERVAL_SECONDS)
