"""Rate limiters of several workers on one clock, without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lrs.errors import TooManyRequests, Unavailable
from lrs.limits import gcra
from lrs.limits.model import PARTNER, Limits, Rate, Subject
from lrs.limits.quotas import Quotas
from lrs.limits.rate_limiter import RateLimiter
from lrs.store.limits import QuotaGrant, Resource, TokenGrant, TokenRequest


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SharedRates:
    """The table rate_limit of a database, in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.arrivals: dict[tuple[int, str], float] = {}
        self.queries = 0
        self.is_available = True

    async def take_tokens(
        self, partner_id: int, requests: Sequence[TokenRequest]
    ) -> Mapping[str, TokenGrant]:
        self.queries += 1
        if not self.is_available:
            raise Unavailable("The database does not answer.")
        grants = {}
        for request in requests:
            key = partner_id, request.subject
            rate = Rate(request.quota, request.window_seconds)
            grant = gcra.take(
                rate, self.arrivals.get(key, 0.0), self.clock(), request.kept, request.wanted
            )
            self.arrivals[key] = grant.arrival
            grants[request.subject] = TokenGrant(grant.tokens, grant.remaining, grant.retry_after)
        return grants

    def worker(self) -> RateLimiter:
        return RateLimiter(self.take_tokens, clock=self.clock)


def partner_subject(rate: Rate, partner_id: int = 1) -> Subject:
    return Subject(partner_id, PARTNER, Limits(rate))


async def is_admitted(limiter: RateLimiter, subject: Subject, *others: Subject) -> bool:
    try:
        await limiter.charge(subject.partner_id, limiter.leases((subject, *others)))
    except TooManyRequests:
        return False
    return True


async def _no_database(*_: object) -> Mapping[tuple[str, Resource], QuotaGrant]:
    raise Unavailable("The database does not answer.")


def unlimited_quotas() -> Quotas:
    """For subjects without quotas."""
    return Quotas(_no_database)
