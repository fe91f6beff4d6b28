"""Rate limits and quotas in the database, which all servers share.

The rows are updated by connections of readers: the watermark waits for transactions of writers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from lrs import resources
from lrs.store.postgres import Database, translate_errors

_INSERT_RATES = resources.query("insert_rate_limits")
_TAKE_TOKENS = resources.query("take_tokens")
_INSERT_SLOTS = resources.query("insert_concurrency_limit")
_TAKE_SLOTS = resources.query("take_slots")
_INSERT_USAGE = resources.query("insert_quota_usage")
_TAKE_QUOTA = resources.query("take_quota")
_USAGE = resources.query("get_quota_usage")
_CLAIM = resources.query("claim_byte_count")
_RECOUNT = resources.query("recount_stored_bytes")

_TIMEOUT_SECONDS = 1.0
"""The longest time that a request waits for its limits."""

_COUNT_TIMEOUT_SECONDS = 3600.0

Resource = Literal["statements", "bytes"]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for `wanted` tokens of a subject, of which the server still has `kept`."""

    subject: str
    quota: int
    window_seconds: int
    kept: int
    wanted: int


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """See `lrs.limits.gcra.Grant`. `tokens` is negative for returned ones."""

    tokens: int
    remaining: int
    retry_after: float


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """A request for `needed` to `wanted` units; `kept` ones of `leased_on` are returned.

    `held` are units of earlier leases for requests whose outcome is not known yet.
    """

    subject: str
    resource: Resource
    quota: int
    kept: int
    leased_on: date
    needed: int
    wanted: int
    held: int


@dataclass(frozen=True, slots=True)
class QuotaGrant:
    """The leased amount, or 0; `in_use` was used or leased before. The day ends in seconds."""

    day: date
    amount: int
    in_use: int
    seconds_left: float


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """What a subject has used; `subject` is empty for the partner itself."""

    subject: str
    resource: Resource
    day: date
    used: int
    counted_at: datetime | None


async def take_tokens(
    database: Database, partner_id: int, requests: Sequence[TokenRequest]
) -> Mapping[str, TokenGrant]:
    """Takes tokens of several subjects of a partner; the grants by subject. Raises Unavailable."""
    with translate_errors():
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            grants = await _take_tokens(database, partner_id, requests)
            new = [request for request in requests if request.subject not in grants]
            if new:
                subjects = [request.subject for request in new]
                await database.readers.execute(_INSERT_RATES, partner_id, subjects)
                grants |= await _take_tokens(database, partner_id, new)
    return grants


async def _take_tokens(
    database: Database, partner_id: int, requests: Sequence[TokenRequest]
) -> dict[str, TokenGrant]:
    rows = await database.readers.fetch(
        _TAKE_TOKENS,
        partner_id,
        [request.subject for request in requests],
        [request.quota for request in requests],
        [request.window_seconds for request in requests],
        [request.kept for request in requests],
        [request.wanted for request in requests],
    )
    return {
        row["subject"]: TokenGrant(row["tokens"], row["remaining"], row["retry_after"])
        for row in rows
    }


async def take_slots(
    database: Database,
    partner_id: int,
    subject: str,
    worker: str,
    limit: int,
    wanted: int,
    seconds: float,
) -> int:
    """Leases slots for concurrent requests to a worker, instead of those that it has.

    Returns their number. Raises Unavailable.
    """
    arguments = (partner_id, subject, worker, limit, wanted, seconds)
    with translate_errors():
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            amount = await database.readers.fetchval(_TAKE_SLOTS, *arguments)
            if amount is None:
                await database.readers.execute(_INSERT_SLOTS, partner_id, subject)
                amount = await database.readers.fetchval(_TAKE_SLOTS, *arguments)
    return amount or 0


async def take_quota(
    database: Database, worker: str, partner_id: int, requests: Sequence[QuotaRequest]
) -> Mapping[tuple[str, Resource], QuotaGrant]:
    """Leases parts of quotas to a worker; grants by subject and resource. Raises Unavailable."""
    with translate_errors():
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            grants = await _take_quota(database, worker, partner_id, requests)
            new = [item for item in requests if (item.subject, item.resource) not in grants]
            if new:
                await database.readers.execute(
                    _INSERT_USAGE,
                    partner_id,
                    [request.subject for request in new],
                    [request.resource for request in new],
                )
                grants |= await _take_quota(database, worker, partner_id, new)
    return grants


async def _take_quota(
    database: Database, worker: str, partner_id: int, requests: Sequence[QuotaRequest]
) -> dict[tuple[str, Resource], QuotaGrant]:
    rows = await database.readers.fetch(
        _TAKE_QUOTA,
        partner_id,
        [request.subject for request in requests],
        [request.resource for request in requests],
        [request.quota for request in requests],
        [request.kept for request in requests],
        [request.leased_on for request in requests],
        [request.needed for request in requests],
        [request.wanted for request in requests],
        worker,
        [request.held for request in requests],
    )
    return {
        (row["subject"], row["resource"]): QuotaGrant(
            row["day"], row["amount"], row["in_use"], row["seconds_left"]
        )
        for row in rows
    }


async def list_usage(database: Database, partner_id: int) -> list[QuotaUsage]:
    """The used quotas of a partner, its own and those of its credentials and tools."""
    with translate_errors():
        rows = await database.readers.fetch(_USAGE, partner_id)
    return [QuotaUsage(**row) for row in rows]


async def recount_stored_bytes(database: Database, partner_id: int) -> int:
    """Counts the statements, documents and attachments of a partner; returns their size.

    Reads all of them: that takes about a second per million statements.
    """
    with translate_errors():
        await database.readers.execute(_INSERT_USAGE, partner_id, [""], ["bytes"])
        size: int = await database.readers.fetchval(
            _RECOUNT, partner_id, timeout=_COUNT_TIMEOUT_SECONDS
        )
    return size


async def claim_byte_count(database: Database, default_quota: int) -> int | None:
    """The id of a partner whose stored bytes were not counted for a day, for this server to count.

    Only partners with a quota; `default_quota` is that of partners without an override.
    """
    with translate_errors():
        partner_id: int | None = await database.readers.fetchval(_CLAIM, default_quota)
    return partner_id
