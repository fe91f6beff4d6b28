"""Quotas of partners and credentials: statements per UTC day, stored bytes.

The used amount is one row for each quota. A worker leases a part of the quota, uses it without the
database, and returns what it has not used for some seconds. So a quota is never exceeded, and no
request waits for a lock on the row. The last part of a quota may be refused while other workers
hold it. Without the database, what is stored is counted once it is available again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from lrs.errors import LRSError, QuotaExceeded, StorageQuotaExceeded
from lrs.limits.model import Subject
from lrs.observability import metrics
from lrs.plurals import quantity
from lrs.store.limits import QuotaGrant, QuotaRequest, Resource

_log = logging.getLogger("lrs.limits")

_MAX_LEASED = {"statements": 1000, "bytes": 4_194_304}
"""The largest part of a quota that a worker leases in advance."""

_SHARE = {"statements": 100, "bytes": 1000}
"""A lease is this part of the quota: a hundredth of the statements of a day."""

_IDLE_SECONDS = 5.0
_FORGET_SECONDS = 60.0
_REPORT_SECONDS = 1.0
"""The time after which a worker reports the bytes that it has stored, for a recount."""
_RENEW_SECONDS = 30.0
"""The time after which it renews a lease of bytes; later, a recount takes the worker for ended."""
_REFUSAL_SECONDS = 1.0
"""The time for which a worker refuses what the database has refused."""

_LOCAL_SECONDS = 5.0
"""After an error of the database, the time until the next attempt: requests may wait for it."""

_EPOCH = date(1970, 1, 1)

TakeQuota = Callable[
    [int, Sequence[QuotaRequest]], Awaitable[Mapping[tuple[str, Resource], QuotaGrant]]
]
"""Leases parts of quotas of the partner with this id. Raises Unavailable."""


@dataclass(slots=True)
class _Lease:
    """A part of one quota. `available` is negative for what is stored and not yet counted.

    `held` is taken for requests whose outcome is not known yet; `leased` is what the database has
    as the sum of both. Times are of time.monotonic; the day ends at `day_ends_at`.
    """

    subject: Subject
    resource: Resource
    available: int = 0
    held: int = 0
    leased: int = 0
    reported_at: float = 0.0
    day: date = _EPOCH
    day_ends_at: float = math.inf
    left: int = 0
    refused_until: float = 0.0
    used_at: float = 0.0

    @property
    def quota(self) -> int:
        limits = self.subject.limits
        if self.resource == "statements":
            return limits.max_statements_per_day
        return limits.max_stored_bytes

    @property
    def size(self) -> int:
        """The amount that is leased in advance; 0 for a small quota, which is then exact."""
        return min(self.quota // _SHARE[self.resource], _MAX_LEASED[self.resource])

    def covers(self, amount: int, now: float) -> bool:
        return self.available >= amount and now < self.day_ends_at

    def is_refused(self, amount: int, now: float) -> bool:
        return amount > self.left and now < min(self.refused_until, self.day_ends_at)

    def is_idle(self, now: float) -> bool:
        return self.available != 0 and (
            self.used_at < now - _IDLE_SECONDS or self.available > 2 * self.size
        )

    def is_due(self, now: float) -> bool:
        """Whether the lease is to be returned, or what was used of it to be reported."""
        if self.is_idle(now):
            return True
        if self.resource != "bytes":
            return False
        has_used = self.leased != self.available + self.held
        return (has_used and now > self.reported_at + _REPORT_SECONDS) or (
            self.leased != 0 and now > self.reported_at + _RENEW_SECONDS
        )

    def request(self, needed: int, now: float) -> QuotaRequest:
        """Returns what is available and asks for a new part, without a need for at most that."""
        is_used = not self.is_idle(now)
        kept, self.available = self.available, 0
        wanted = needed + self.size if needed else max(kept, 0) if is_used else 0
        return QuotaRequest(
            self.subject.name,
            self.resource,
            self.quota,
            kept,
            self.day,
            needed,
            wanted,
            self.held,
        )

    def renew(self, grant: QuotaGrant, request: QuotaRequest, now: float) -> None:
        self.available += grant.amount
        self.leased, self.reported_at = grant.amount + request.held, now
        self.day = grant.day
        self.left = max(self.quota - grant.in_use - grant.amount, 0)
        if self.resource == "statements":
            self.day_ends_at = now + grant.seconds_left
        self.refused_until = now + _REFUSAL_SECONDS if grant.amount < request.needed else 0.0

    def exceeded(self, amount: int, now: float) -> LRSError:
        metrics.LIMITED_REQUESTS.labels(self.resource).inc()
        kind = self.subject.kind
        if self.resource == "bytes":
            limit = quantity(self.quota, "stored byte")
            return StorageQuotaExceeded(
                f"The limit of the {kind} is {limit}; the request would store "
                f"{amount}, of {self.left} left. Nothing was stored."
            )
        wait = max(1, math.ceil(self.day_ends_at - now))
        limit = quantity(self.quota, "statement")
        return QuotaExceeded(
            f"The limit of the {kind} is {limit} per UTC day; the request has "
            f"{amount}, of {self.left} left. Nothing was stored; retry in {wait} s.",
            headers={"Retry-After": str(wait)},
        )


@dataclass(slots=True)
class _PartnerLeases:
    leases: dict[tuple[str, Resource], _Lease] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Reservation:
    """Amounts that a request has taken from leases."""

    amounts: list[tuple[_Lease, int]]

    def settle(self, used: Mapping[Resource, int]) -> None:
        """Returns what the request has not used; `used` bytes are negative if it freed some."""
        amounts, self.amounts = self.amounts, []
        for lease, amount in amounts:
            lease.held -= amount
            lease.available += amount - used.get(lease.resource, 0)

    def use_all(self) -> None:
        """Takes all as used: the outcome of the request is unknown."""
        amounts, self.amounts = self.amounts, []
        for lease, amount in amounts:
            lease.held -= amount


NO_RESERVATION = Reservation([])


def have_quota(subjects: Sequence[Subject], resource: Resource | None = None) -> bool:
    """Whether a quota applies to one of the subjects."""
    return any(
        (subject.limits.max_statements_per_day and resource != "bytes")
        or (subject.limits.max_stored_bytes and resource != "statements")
        for subject in subjects
    )


class Quotas:
    """The leases of one worker."""

    def __init__(
        self, take_quota: TakeQuota, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._take_quota = take_quota
        self._clock = clock
        self._partners: dict[int, _PartnerLeases] = {}
        self._local_until = 0.0

    async def reserve(
        self, subjects: Sequence[Subject], amounts: Mapping[Resource, int]
    ) -> Reservation:
        """Takes the amounts of each quota that applies, or nothing.

        Raises QuotaExceeded and StorageQuotaExceeded.
        """
        wanted = [
            (lease, amount)
            for subject in subjects
            for resource, amount in amounts.items()
            if (lease := self._lease(subject, resource)) is not None
        ]
        if not wanted:
            return NO_RESERVATION
        now = self._clock()
        if not all(lease.covers(amount, now) for lease, amount in wanted):
            await self._wait_for_leases(subjects[0].partner_id, wanted)
        for lease, amount in wanted:
            lease.available -= amount
            lease.held += amount
            lease.used_at = now
        return Reservation(wanted)

    def release(self, subjects: Sequence[Subject], amounts: Mapping[Resource, int]) -> None:
        """Gives back what is no longer stored."""
        for subject in subjects:
            for resource, amount in amounts.items():
                if (lease := self._lease(subject, resource)) is not None:
                    lease.available += amount
                    lease.used_at = self._clock()

    def _lease(self, subject: Subject, resource: Resource) -> _Lease | None:
        limits = subject.limits
        if not (limits.max_stored_bytes if resource == "bytes" else limits.max_statements_per_day):
            return None
        partner = self._partners.get(subject.partner_id)
        if partner is None:
            partner = self._partners[subject.partner_id] = _PartnerLeases()
        lease = partner.leases.get((subject.name, resource))
        if lease is None:
            lease = partner.leases[subject.name, resource] = _Lease(subject, resource)
        elif lease.subject is not subject:
            if lease.subject.limits != subject.limits:
                lease.refused_until = 0.0
            lease.subject = subject
        return lease

    async def _wait_for_leases(self, partner_id: int, wanted: Sequence[tuple[_Lease, int]]) -> None:
        async with self._partners[partner_id].lock:
            now = self._clock()
            missing = [item for item in wanted if not item[0].covers(item[1], now)]
            for lease, amount in missing:
                if lease.is_refused(amount, now):
                    raise lease.exceeded(amount, now)
            if not missing or not await self._renew(partner_id, missing):
                return
            now = self._clock()
            for lease, amount in missing:
                if not lease.covers(amount, now):
                    raise lease.exceeded(amount, now)

    async def _renew(self, partner_id: int, needed: Sequence[tuple[_Lease, int]]) -> bool:
        """Leases what is needed; False if the database is not available."""
        if self._clock() < self._local_until:
            return False
        requests = [lease.request(amount, self._clock()) for lease, amount in needed]
        try:
            grants = await self._take_quota(partner_id, requests)
        except BaseException as error:
            for (lease, _), request in zip(needed, requests, strict=True):
                lease.available += request.kept
            if not isinstance(error, LRSError):
                raise
            _log.warning("quotas are not checked: %s", error.detail)
            self._local_until = self._clock() + _LOCAL_SECONDS
            return False
        now = self._clock()
        for (lease, _), request in zip(needed, requests, strict=True):
            lease.renew(grants[lease.subject.name, lease.resource], request, now)
        return True

    async def return_idle(self) -> None:
        """Returns what has not been used for some seconds, and forgets idle subjects."""
        now = self._clock()
        await self._return(lambda lease: lease.is_due(now))
        for partner_id, partner in list(self._partners.items()):
            for key, lease in list(partner.leases.items()):
                is_free = lease.available == lease.held == lease.leased == 0
                if is_free and lease.used_at < now - _FORGET_SECONDS:
                    del partner.leases[key]
            if not partner.leases and not partner.lock.locked():
                del self._partners[partner_id]

    async def return_all(self) -> None:
        """Returns everything, at the end of the worker."""
        for partner in self._partners.values():
            for lease in partner.leases.values():
                lease.used_at = -math.inf
        await self._return(lambda lease: lease.available != 0 or lease.leased != 0)

    async def _return(self, is_due: Callable[[_Lease], bool]) -> None:
        for partner_id, partner in list(self._partners.items()):
            async with partner.lock:
                due = [(lease, 0) for lease in partner.leases.values() if is_due(lease)]
                if due:
                    await self._renew(partner_id, due)
