"""Rate limit per credential (429), as a moving window; every worker counts for itself."""

from __future__ import annotations

import math
import time

import limits

from lrs.errors import TooManyRequests


class RateLimit:
    """`rate` is a limit such as "100/second", or empty for no limit. Raises ValueError."""

    def __init__(self, rate: str) -> None:
        self._rate = limits.parse(rate) if rate else None
        self._limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())

    def check(self, key: str) -> None:
        """Counts a request of the credential `key`. Raises TooManyRequests."""
        if self._rate is None or self._limiter.hit(self._rate, key):
            return
        reset_at, _ = self._limiter.get_window_stats(self._rate, key)
        wait = max(1, math.ceil(reset_at - time.time()))
        raise TooManyRequests(
            f"The limit is {self._rate}; retry in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
