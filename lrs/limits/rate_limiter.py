"""Rates that all workers of all servers share.

The state of a rate is one number in the database (`gcra`). A worker leases tokens for half a second
and renews the lease in the background, so that a request rarely waits for the database. It leases
no more than its present demand, at most the tokens of half a second. What it does not use is
returned.

All workers together exceed a rate by at most the tokens of one lease: those that were leased within
the last half second. Without the database, each worker applies the rate by itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import Context

from lrs.errors import LRSError, TooManyRequests
from lrs.limits import gcra
from lrs.limits.model import Rate, Subject
from lrs.observability import metrics
from lrs.store.limits import TokenGrant, TokenRequest

_log = logging.getLogger("lrs.limits")

LEASE_SECONDS = 0.5

_IDLE_SECONDS = 60.0
"""A subject without requests for this time is forgotten."""

_DEMAND_MARGIN = 1.5

_LOCAL_SECONDS = 5.0
"""After an error of the database, the time until the next attempt: requests may wait for it."""

TakeTokens = Callable[[int, Sequence[TokenRequest]], Awaitable[Mapping[str, TokenGrant]]]
"""Takes tokens of subjects of the partner with this id. Raises Unavailable."""


class TokenLease:
    """The tokens of one subject that this worker may use. Times are of time.monotonic."""

    __slots__ = (
        "_arrival",
        "_remaining",
        "expires_at",
        "low_tokens",
        "policy",
        "rate",
        "refused_until",
        "renew_at",
        "requests",
        "subject",
        "tokens",
        "updated_at",
        "used_at",
        "waiting",
    )

    def __init__(self, subject: Subject, rate: Rate, now: float) -> None:
        self.subject = subject
        self.set_rate(rate)
        self.tokens = self.low_tokens = 0
        self.renew_at = self.expires_at = 0.0
        self.requests = 0
        self.waiting = 0
        self.updated_at = self.used_at = now
        self._remaining = rate.quota
        self._arrival = 0.0

    def set_rate(self, rate: Rate) -> None:
        self.rate = rate
        self.policy = f'"{self.subject.kind}";q={rate.quota};w={rate.window_seconds}'
        self.refused_until = 0.0

    def has_token(self, now: float) -> bool:
        return self.tokens > 0 and now < self.expires_at

    def is_due(self, now: float) -> bool:
        """Whether a renewal should begin, before requests wait for it."""
        if now < self.renew_at and self.tokens > self.low_tokens:
            return False
        return now >= self.refused_until and self.prefetch(now) > self.low_tokens

    def prefetch(self, now: float) -> int:
        """The tokens of the demand during one lease; none for a rate of few requests per second."""
        most = int(self.rate.per_second * LEASE_SECONDS)
        if most == 0:
            return 0
        elapsed = max(now - self.updated_at, LEASE_SECONDS / 2)
        demand = self.requests / elapsed * LEASE_SECONDS * _DEMAND_MARGIN
        return min(most, math.ceil(demand))

    def request(self, now: float) -> TokenRequest:
        """What a renewal asks for. Surplus tokens are given back before it begins."""
        is_idle = now >= self.expires_at and not self.waiting
        wanted = (0 if is_idle else self.prefetch(now)) + self.waiting - self.tokens
        kept = self.tokens
        if wanted < 0:
            self.tokens += wanted
        name, rate = self.subject.name, self.rate
        return TokenRequest(name, rate.quota, rate.window_seconds, kept, wanted)

    def renew(self, request: TokenRequest, grant: TokenGrant, now: float) -> None:
        self.tokens += grant.tokens - min(request.wanted, 0)
        self.low_tokens = max(self.tokens, 0) // 3
        self.renew_at = now + LEASE_SECONDS / 2
        self.expires_at = now + LEASE_SECONDS
        self.updated_at = now
        self.requests = 0
        self._remaining = grant.remaining
        if grant.tokens < request.wanted:
            # Not a query for each token: those of the pause are not lost.
            pause = min(LEASE_SECONDS / 4, self.rate.window_seconds / self.rate.quota * 10)
            self.refused_until = now + max(grant.retry_after, pause)

    def grant_locally(self, request: TokenRequest, now: float) -> TokenGrant:
        """The grant of this worker alone."""
        grant = gcra.take(self.rate, self._arrival, now, request.kept, request.wanted)
        self._arrival = grant.arrival
        return TokenGrant(grant.tokens, grant.remaining, grant.retry_after)

    def remaining(self, now: float) -> int:
        """An estimate of the tokens that are left, for the client."""
        refilled = (now - self.updated_at) * self.rate.per_second
        return min(self.rate.quota, int(self._remaining + refilled) + max(self.tokens, 0))

    def retry_after(self, now: float) -> int:
        return max(1, math.ceil(self.refused_until - now))


class _PartnerLeases:
    """The leases of a partner and its credentials; one renewal at a time."""

    __slots__ = ("by_subject", "lock", "renewal")

    def __init__(self) -> None:
        self.by_subject: dict[str, TokenLease] = {}
        self.lock = asyncio.Lock()
        self.renewal: asyncio.Task[None] | None = None


class RateLimiter:
    """The leases of one worker."""

    def __init__(
        self, take_tokens: TakeTokens, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._take_tokens = take_tokens
        self._clock = clock
        self._partners: dict[int, _PartnerLeases] = {}
        self._local_until = 0.0

    def leases(self, subjects: Iterable[Subject]) -> list[TokenLease]:
        """The leases of the subjects that have a rate; an overridden rate replaces the lease's."""
        leases = []
        for subject in subjects:
            rate = subject.limits.rate
            if rate is None:
                continue
            partner = self._partners.get(subject.partner_id)
            if partner is None:
                partner = self._partners[subject.partner_id] = _PartnerLeases()
            lease = partner.by_subject.get(subject.name)
            if lease is None:
                lease = TokenLease(subject, rate, self._clock())
                partner.by_subject[subject.name] = lease
            elif lease.rate is not rate and lease.rate != rate:
                lease.set_rate(rate)
            leases.append(lease)
        return leases

    async def charge(self, partner_id: int, leases: Sequence[TokenLease]) -> None:
        """Takes one token of each lease, or none. Raises TooManyRequests."""
        now = self._clock()
        is_waiting = is_due = False
        for lease in leases:
            lease.requests += 1
            lease.used_at = now
            is_waiting |= not lease.has_token(now)
        if is_waiting:
            await self._wait_for_tokens(partner_id, leases)
        for lease in leases:
            lease.tokens -= 1
            is_due |= lease.is_due(now)
        if is_due:
            self._renew_in_background(partner_id)

    async def _wait_for_tokens(self, partner_id: int, leases: Sequence[TokenLease]) -> None:
        partner = self._partners[partner_id]
        _check_refused(leases, self._clock())
        for lease in leases:
            lease.waiting += 1
        try:
            async with partner.lock:
                while missing := _without_token(leases, self._clock()):
                    _check_refused(missing, self._clock())
                    await self._renew(partner_id, partner)
        finally:
            for lease in leases:
                lease.waiting -= 1

    def _renew_in_background(self, partner_id: int) -> None:
        partner = self._partners[partner_id]
        if partner.renewal is None and not partner.lock.locked():
            partner.renewal = asyncio.create_task(
                self._renew_locked(partner_id, partner), context=Context()
            )

    async def _renew_locked(self, partner_id: int, partner: _PartnerLeases) -> None:
        try:
            async with partner.lock:
                await self._renew(partner_id, partner)
        finally:
            partner.renewal = None

    async def _renew(self, partner_id: int, partner: _PartnerLeases) -> None:
        """Renews the leases of the partner that have requests, and returns tokens of the others."""
        now = self._clock()
        leases = [
            lease
            for lease in partner.by_subject.values()
            if lease.waiting or lease.requests or lease.tokens
        ]
        requests = [lease.request(now) for lease in leases]
        grants = await self._shared_grants(partner_id, requests)
        now = self._clock()
        for lease, request in zip(leases, requests, strict=True):
            grant = grants[request.subject] if grants else lease.grant_locally(request, now)
            lease.renew(request, grant, now)

    async def _shared_grants(
        self, partner_id: int, requests: Sequence[TokenRequest]
    ) -> Mapping[str, TokenGrant] | None:
        """The grants of the database; None without it, and for some seconds after an error."""
        if self._clock() < self._local_until:
            return None
        try:
            return await self._take_tokens(partner_id, requests)
        except LRSError as error:
            _log.warning("each worker applies rate limits by itself: %s", error.detail)
            self._local_until = self._clock() + _LOCAL_SECONDS
            return None

    async def return_idle_tokens(self) -> None:
        """Returns the tokens of expired leases, and forgets idle subjects."""
        now = self._clock()
        for partner_id, partner in list(self._partners.items()):
            leases = partner.by_subject
            if any(lease.tokens > 0 and lease.expires_at < now for lease in leases.values()):
                async with partner.lock:
                    await self._renew(partner_id, partner)
            for lease in list(leases.values()):
                if not (lease.tokens or lease.waiting) and lease.used_at < now - _IDLE_SECONDS:
                    del leases[lease.subject.name]
            if not leases and not partner.lock.locked():
                del self._partners[partner_id]


def _without_token(leases: Sequence[TokenLease], now: float) -> list[TokenLease]:
    return [lease for lease in leases if not lease.has_token(now)]


def _check_refused(leases: Sequence[TokenLease], now: float) -> None:
    """Raises TooManyRequests if a lease without tokens cannot be renewed yet."""
    for lease in leases:
        if not lease.has_token(now) and now < lease.refused_until:
            wait = lease.retry_after(now)
            metrics.LIMITED_REQUESTS.labels("rate").inc()
            raise TooManyRequests(
                f"The limit of the {lease.subject.kind} is {lease.rate}; retry in {wait} s.",
                headers={"Retry-After": str(wait)},
            )
