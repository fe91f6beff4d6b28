"""Slots for concurrent requests that all workers of all servers share.

A worker leases slots for some seconds, as many as it has requests, and some more of a large limit.
It renews the lease while it has requests. So all workers together never exceed the limit; while one
of them has more slots than requests, for a second at most, others may be refused. Without the
database, each worker applies the limit by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from secrets import token_hex

from lrs.errors import LRSError
from lrs.limits.model import Subject

_log = logging.getLogger("lrs.limits")

LEASE_SECONDS = 10.0
_REFUSAL_SECONDS = 0.1
_LOCAL_SECONDS = 5.0

TakeSlots = Callable[[int, str, str, int, int, float], Awaitable[int]]
"""Leases slots: partner id, subject, worker, limit, wanted slots, seconds. Raises Unavailable."""


@dataclass(slots=True)
class _Lease:
    """The slots of one subject. Times are of time.monotonic; `peak` is since the last renewal."""

    subject: Subject
    slots: int = 0
    peak: int = 0
    renew_at: float = 0.0
    expires_at: float = 0.0
    refused_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    renewal: asyncio.Task[None] | None = None

    @property
    def limit(self) -> int:
        return self.subject.limits.shared_concurrent_requests

    @property
    def wanted(self) -> int:
        return min(self.limit, self.peak + self.limit // 8) if self.peak else 0

    def covers(self, running: int, now: float) -> bool:
        return running <= self.slots and now < self.expires_at


class SharedSlots:
    """The leases of one worker; `running` has its requests by partner id and subject."""

    def __init__(
        self,
        take_slots: TakeSlots,
        running: dict[tuple[int, str], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take_slots = take_slots
        self._running = running
        self._clock = clock
        self._worker = token_hex(8)
        self._leases: dict[tuple[int, str], _Lease] = {}
        self._local_until = 0.0

    async def has_slot(self, subject: Subject, running: int) -> bool:
        """Whether a request may start as the worker's request number `running` of the subject."""
        key = subject.partner_id, subject.name
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = _Lease(subject)
        lease.subject = subject
        lease.peak = max(lease.peak, running)
        now = self._clock()
        if lease.covers(running, now):
            if now > lease.renew_at and lease.renewal is None:
                lease.renewal = asyncio.create_task(self._renew_locked(lease), context=Context())
            return True
        async with lease.lock:
            running = min(running, self._running.get(key, running))
            now = self._clock()
            if not lease.covers(running, now) and now >= lease.refused_until:
                await self._renew(lease)
                now = self._clock()
            if lease.covers(running, now):
                return True
            lease.refused_until = max(lease.refused_until, now + _REFUSAL_SECONDS)
            return False

    async def _renew_locked(self, lease: _Lease) -> None:
        try:
            async with lease.lock:
                await self._renew(lease)
        finally:
            lease.renewal = None

    async def _renew(self, lease: _Lease) -> None:
        subject, limit = lease.subject, lease.limit
        lease.slots = await self._shared_slots(subject, limit, lease.wanted)
        now = self._clock()
        lease.peak = self._running.get((subject.partner_id, subject.name), 0)
        lease.renew_at = now + LEASE_SECONDS / 2
        # Earlier than in the database, where it began before the response arrived.
        lease.expires_at = now + LEASE_SECONDS - 1.0

    async def _shared_slots(self, subject: Subject, limit: int, wanted: int) -> int:
        if self._clock() < self._local_until:
            return limit
        try:
            return await self._take_slots(
                subject.partner_id, subject.name, self._worker, limit, wanted, LEASE_SECONDS
            )
        except LRSError as error:
            _log.warning("each worker applies limits by itself: %s", error.detail)
            self._local_until = self._clock() + _LOCAL_SECONDS
            return limit

    async def return_idle_slots(self) -> None:
        """Returns slots without requests, and renews leases of long requests."""
        now = self._clock()
        for key, lease in list(self._leases.items()):
            if lease.slots > lease.wanted or (lease.slots and now > lease.renew_at):
                async with lease.lock:
                    await self._renew(lease)
            lease.peak = self._running.get(key, 0)
            if not (lease.slots or lease.peak or lease.lock.locked()):
                del self._leases[key]

    async def return_all(self) -> None:
        """Returns all slots, at the end of the worker."""
        self._running.clear()
        for lease in self._leases.values():
            lease.peak = 0
        await self.return_idle_slots()
