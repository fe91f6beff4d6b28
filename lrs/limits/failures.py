"""Throttles failed authentication: per client address, per key, and per key from one address.

Each is a rate of this worker, kept in memory. Whoever sends wrong secrets for the key of somebody
else does not lock out its holder:

- A caller that this worker has authenticated before is not checked.
- From another address, the right secret is accepted, even while the key is throttled: only
  addresses that have sent a wrong secret for it are refused.
- A key that was used successfully is accepted from a throttled address, for example that of a
  proxy, unless the wrong secrets for the same key came from there.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache

from lrs.errors import TooManyRequests
from lrs.limits import gcra
from lrs.limits.model import Rate
from lrs.observability import metrics

_WINDOW_SECONDS = 60


class _Failures:
    """When the failures of an address or key are forgiven, by the arithmetic of a rate."""

    def __init__(self, rate: Rate, max_entries: int) -> None:
        self._rate = rate
        self._max_entries = max_entries
        self._arrivals: OrderedDict[Hashable, float] = OrderedDict()

    def wait(self, entry: Hashable, now: float) -> float:
        """Seconds until another failure is allowed; 0 if it is allowed now."""
        grant = gcra.take(self._rate, self._arrivals.get(entry, 0.0), now, 0, 0)
        return grant.retry_after

    def has(self, entry: Hashable, now: float) -> bool:
        """Whether a failure is not forgiven yet."""
        return self._arrivals.get(entry, 0.0) > now

    def add(self, entry: Hashable, now: float) -> None:
        grant = gcra.take(self._rate, self._arrivals.get(entry, 0.0), now, 0, 1)
        self._arrivals[entry] = grant.arrival
        self._arrivals.move_to_end(entry)
        if len(self._arrivals) > self._max_entries:
            self._arrivals.popitem(last=False)

    def __len__(self) -> int:
        return len(self._arrivals)


class FailureThrottle:
    """Failed authentications of one worker; `per_minute` 0 is no limit.

    Keeps at most `max_entries` addresses, keys, pairs of both, and used keys; beyond it, the oldest
    is dropped.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_entries: int = 10_000,
    ) -> None:
        self._is_enabled = per_minute > 0
        rate = Rate(max(per_minute, 1), _WINDOW_SECONDS)
        self._by_address = _Failures(rate, max_entries)
        self._by_key = _Failures(rate, max_entries)
        self._by_both = _Failures(rate, max_entries)
        self._used_keys: OrderedDict[str, None] = OrderedDict()
        self._max_entries = max_entries
        self._clock = clock

    @property
    def size(self) -> int:
        """The number of entries in memory."""
        failures = (self._by_address, self._by_key, self._by_both, self._used_keys)
        return sum(len(entries) for entries in failures)

    def check(self, address: str, key: str | None) -> None:
        """Raises TooManyRequests if the credentials must not be verified.

        `key` is None for credentials that name none, such as an access token.
        """
        if not self._is_enabled:
            return
        network, now = _network(address), self._clock()
        wait = 0.0
        if key is None or key not in self._used_keys:
            wait = self._by_address.wait(network, now)
        if key is not None:
            wait = max(wait, self._by_both.wait((network, key), now))
            if self._by_both.has((network, key), now):
                wait = max(wait, self._by_key.wait(key, now))
        if wait > 0:
            raise _too_many_failures(wait)

    def failed(self, address: str, key: str | None) -> None:
        """Counts a failure."""
        if not self._is_enabled:
            return
        network, now = _network(address), self._clock()
        self._by_address.add(network, now)
        if key is not None:
            self._by_key.add(key, now)
            self._by_both.add((network, key), now)

    def succeeded(self, key: str) -> None:
        """Remembers that the key is used by its holder."""
        self._used_keys[key] = None
        self._used_keys.move_to_end(key)
        if len(self._used_keys) > self._max_entries:
            self._used_keys.popitem(last=False)


@lru_cache(maxsize=10_000)
def _network(address: str) -> str:
    """The address, or the /64 network of an IPv6 address: one client has all of it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return address


def _too_many_failures(wait: float) -> TooManyRequests:
    metrics.LIMITED_REQUESTS.labels("authentication").inc()
    seconds = max(1, math.ceil(wait))
    return TooManyRequests(
        f"Too many failed authentications; retry in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )
