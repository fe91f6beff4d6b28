"""Admits authenticated requests: concurrent requests and rates of partner and credential."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from lrs.errors import TooManyRequests
from lrs.limits.model import Subject
from lrs.limits.rate_limiter import RateLimiter, TokenLease
from lrs.observability import metrics

_REFUSAL_DELAY_SECONDS = 0.05
"""A client that ignores Retry-After and retries at once is slowed down by refusals."""

Header = tuple[bytes, bytes]
SubjectKey = tuple[int, str]
"""Partner id, and the name of the subject."""


class RequestCharge:
    """The share of one request in the limits of its subjects, until it is released."""

    __slots__ = ("_counted", "_leases", "_rate_limiter", "_running", "_subjects")

    def __init__(
        self,
        subjects: Sequence[Subject],
        rate_limiter: RateLimiter,
        running: dict[SubjectKey, int],
    ) -> None:
        self._subjects = subjects
        self._rate_limiter = rate_limiter
        self._running = running
        self._leases = rate_limiter.leases(subjects)
        self._counted: list[SubjectKey] = []

    async def take(self) -> None:
        """Counts the request as running and takes a token of each rate.

        Raises TooManyRequests, with a delay.
        """
        try:
            self._count()
            if self._leases:
                await self._rate_limiter.charge(self._subjects[0].partner_id, self._leases)
        except TooManyRequests:
            self.release()
            await asyncio.sleep(_REFUSAL_DELAY_SECONDS)
            raise

    def _count(self) -> None:
        for subject in self._subjects:
            limit = subject.limits.max_concurrent_requests
            if not limit:
                continue
            key = subject.partner_id, subject.name
            running = self._running.get(key, 0)
            if running >= limit:
                metrics.LIMITED_REQUESTS.labels("concurrency").inc()
                raise TooManyRequests(
                    f"The limit of the {subject.kind} is {limit} concurrent requests.",
                    headers={"Retry-After": "1"},
                )
            self._running[key] = running + 1
            self._counted.append(key)

    def release(self) -> None:
        """Ends the request."""
        running = self._running
        for key in self._counted:
            if running[key] > 1:
                running[key] -= 1
            else:
                del running[key]
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

    def __init__(self, rate_limiter: RateLimiter) -> None:
        self._rate_limiter = rate_limiter
        self._running: dict[SubjectKey, int] = {}

    def charge(self, subjects: Sequence[Subject]) -> RequestCharge:
        """The charge of a request, which is not made yet."""
        return RequestCharge(subjects, self._rate_limiter, self._running)


def _limit(lease: TokenLease, now: float) -> str:
    rate, remaining = lease.rate, lease.remaining(now)
    reset = math.ceil((rate.quota - remaining) * rate.window_seconds / rate.quota)
    return f'"{lease.subject.kind}";r={remaining};t={reset}'
