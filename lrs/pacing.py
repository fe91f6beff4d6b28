"""Pacing: heavy work of one partner leaves most of the time to lighter partners.

Work is heavy if it takes more than some milliseconds at a time: a transaction of many statements,
a function in a thread, the preparation of a batch, a body of megabytes. Its duration is charged to
its partner. While another partner is active that was charged much less, the partner rests twice as
long as its work took: heavy work has at most a third of the worker, and of the database behind it.
Without such a partner nothing waits, and two partners with much work do not slow each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_REST_RATIO = 2.0
"""Seconds of rest for each second of work, for each partner that has to rest at the time."""

_BURST_SECONDS = 0.5
"""Rest up to which nothing waits: a quarter of a second of work."""

_MAX_REST_SECONDS = 2.0
_ACTIVE_SECONDS = 1.0
"""Seconds after its last request for which a partner is active."""

_LIGHTER_RATIO = 0.25
"""A partner is lighter if it has less than this part of the rest of the other."""

_POLL_SECONDS = 0.01


@dataclass(slots=True)
class _Partner:
    """Times of the clock: the last request, and the end of the rest."""

    seen_at: float = float("-inf")
    rest_until: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pacing:
    """The charged work of partners in one worker."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._partners: dict[int, _Partner] = {}
        self._pruned_at = float("-inf")

    def seen(self, partner_id: int) -> None:
        """A request of the partner has arrived."""
        partner = self._partners.get(partner_id)
        if partner is None:
            partner = self._add(partner_id)
        partner.seen_at = self._clock()

    def charge(self, partner_id: int, seconds: float) -> None:
        """Charge the duration of heavy work."""
        partner = self._partners.get(partner_id) or self._add(partner_id)
        now = self._clock()
        heavy = sum(other.rest_until > now + _BURST_SECONDS for other in self._partners.values())
        rest_until = max(partner.rest_until, now) + seconds * _REST_RATIO * max(heavy, 1)
        partner.rest_until = min(rest_until, now + _BURST_SECONDS + _MAX_REST_SECONDS)

    def must_rest(self, partner_id: int) -> bool:
        """Whether the partner has more rest than a burst, and a lighter partner is active."""
        partner = self._partners.get(partner_id)
        if partner is None or len(self._partners) == 1:
            return False
        now = self._clock()
        rest = partner.rest_until - now
        if rest <= _BURST_SECONDS:
            return False
        active_since, light_until = now - _ACTIVE_SECONDS, now + rest * _LIGHTER_RATIO
        return any(
            other.seen_at > active_since and other.rest_until < light_until
            for other in self._partners.values()
        )

    async def rest(self, partner_id: int) -> None:
        """Wait before the next heavy work of the partner, up to two seconds."""
        while self.must_rest(partner_id):  # noqa: ASYNC110 - depends on the time and on others
            await asyncio.sleep(_POLL_SECONDS)

    def turn(self, partner_id: int, min_seconds: float = 0.005) -> Turn:
        """A context for work that may be heavy; charged if it takes at least `min_seconds`.

        Of a partner that has to rest, one enters at a time.
        """
        return Turn(self, partner_id, min_seconds)

    def lock(self, partner_id: int) -> asyncio.Lock:
        """The lock of a partner that has to rest."""
        return (self._partners.get(partner_id) or self._add(partner_id)).lock

    def _add(self, partner_id: int) -> _Partner:
        now = self._clock()
        if now > self._pruned_at + _ACTIVE_SECONDS:
            self._pruned_at, since = now, now - _ACTIVE_SECONDS
            self._partners = {
                key: partner
                for key, partner in self._partners.items()
                if max(partner.seen_at, partner.rest_until) > since
            }
        return self._partners.setdefault(partner_id, _Partner())


class Turn:
    """See `Pacing.turn`. A class, because a generator would cost a request some microseconds."""

    __slots__ = ("_began", "_lock", "_min_seconds", "_pacing", "_partner_id")

    def __init__(self, pacing: Pacing, partner_id: int, min_seconds: float) -> None:
        self._pacing = pacing
        self._partner_id = partner_id
        self._min_seconds = min_seconds
        self._lock: asyncio.Lock | None = None

    async def __aenter__(self) -> None:
        if self._pacing.must_rest(self._partner_id):
            lock = self._pacing.lock(self._partner_id)
            await lock.acquire()
            self._lock = lock
            try:
                await self._pacing.rest(self._partner_id)
            except BaseException:
                lock.release()
                raise
        self._began = time.perf_counter()

    async def __aexit__(self, *_: object) -> None:
        elapsed = time.perf_counter() - self._began
        if elapsed >= self._min_seconds:
            self._pacing.charge(self._partner_id, elapsed)
        if self._lock is not None:
            self._lock.release()
