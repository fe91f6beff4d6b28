"""Charges authenticated requests to partner and credential: concurrent requests and rates."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from lrs.errors import TooManyRequests
from lrs.limits.model import Subject
from lrs.limits.rate_limiter import RateLimiter, TokenLease
from lrs.limits.shared_slots import SharedSlots, TakeSlots
from lrs.observability import metrics

_REFUSAL_DELAY_SECONDS = 0.05
"""A client that ignores Retry-After and retries at once is slowed down by refusals."""

Header = tuple[bytes, bytes]
SubjectKey = tuple[int, str]
"""Partner id, and the name of the subject."""


class RequestCharge:
    """The share of one request in the limits of its subjects, until it is released."""

    __slots__ = ("_counted", "_leases", "_limiter", "_subjects")

    def __init__(self, subjects: Sequence[Subject], limiter: RequestLimiter) -> None:
        self._subjects = subjects
        self._limiter = limiter
        self._leases = limiter.rates.leases(subjects)
        self._counted: list[SubjectKey] = []

    async def take(self) -> None:
        """Counts the request as running and takes a token of each rate.

        Raises TooManyRequests, with a delay.
        """
        try:
            for subject in self._subjects:
                limits = subject.limits
                if not limits.max_concurrent_requests:
                    continue
                running = self._count(subject)
                if limits.shared_concurrent_requests and not await self._limiter.slots.has_slot(
                    subject, running
                ):
                    raise _too_many_concurrent(subject)
            if self._leases:
                await self._limiter.rates.charge(self._subjects[0].partner_id, self._leases)
        except TooManyRequests:
            self.release()
            await asyncio.sleep(_REFUSAL_DELAY_SECONDS)
            raise

    def _count(self, subject: Subject) -> int:
        """The running requests of the subject on this worker, with this one."""
        key = (subject.partner_id, subject.name)
        running = self._limiter.running.get(key, 0) + 1
        if running > subject.limits.max_concurrent_requests:
            raise _too_many_concurrent(subject)
        self._limiter.running[key] = running
        self._counted.append(key)
        return running

    def release(self) -> None:
        """Ends the request."""
        running = self._limiter.running
        for key in self._counted:
            if running.get(key, 0) > 1:
                running[key] -= 1
            else:
                running.pop(key, None)
        self._counted = []

    def headers(self) -> list[Header]:
        """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), if a rate applies.

        `r` are the requests left, `t` is the time until the whole quota is left, in seconds.
        """
        if not self._leases:
            return []
        now = time.monotonic()
        policies = ", ".join([lease.policy for lease in self._leases])
        limits = ", ".join([_limit(lease, now) for lease in self._leases])
        return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", limits.encode())]


class RequestLimiter:
    """The running requests and the rates of one worker."""

    def __init__(self, rates: RateLimiter, take_slots: TakeSlots) -> None:
        self.rates = rates
        self.running: dict[SubjectKey, int] = {}
        self.slots = SharedSlots(take_slots, self.running)

    def charge(self, subjects: Sequence[Subject]) -> RequestCharge:
        """The charge of a request, which is not made yet."""
        return RequestCharge(subjects, self)


def _too_many_concurrent(subject: Subject) -> TooManyRequests:
    metrics.LIMITED_REQUESTS.labels("concurrency").inc()
    limit = subject.limits.max_concurrent_requests
    return TooManyRequests(
        f"The limit of the {subject.kind} is {limit} concurrent requests.",
        headers={"Retry-After": "1"},
    )


def _limit(lease: TokenLease, now: float) -> str:
    rate, remaining = lease.rate, lease.remaining(now)
    reset = math.ceil((rate.quota - remaining) * rate.window_seconds / rate.quota)
    return f'"{lease.subject.kind}";r={remaining};t={reset}'
