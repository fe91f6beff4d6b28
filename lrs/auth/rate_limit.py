"""How often one credential may ask (429). Counted in each worker, with the `limits` library."""

from __future__ import annotations

import math
import time

import limits

from lrs.errors import TooManyRequests


class RateLimit:
    """`rate` as in "100/second"; empty for none. Raises ValueError if it cannot be read."""

    def __init__(self, rate: str) -> None:
        self._rate = limits.parse(rate) if rate else None
        self._limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())

    def check(self, key: str) -> None:
        """Counts one request of the credential `key`. Raises TooManyRequests."""
        if self._rate is None or self._limiter.hit(self._rate, key):
            return
        reset_at, _ = self._limiter.get_window_stats(self._rate, key)
        wait = max(1, math.ceil(reset_at - time.time()))
        raise TooManyRequests(
            f"This credential may make {self._rate} requests; try again in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
