"""The generic cell rate algorithm (ITU-T I.371): a rate with a burst, kept in one number.

The arrival is the time at which the quota would be whole again, in seconds. It moves by one
interval (window / quota) for each token and is at most one window ahead of now. The query
`take_tokens` has the same arithmetic with the clock of the database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lrs.limits.model import Rate

_ROUNDING = 1e-3
"""Part of a token that is lost to the rounding of times."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The result of a request for tokens.

    `remaining` are the tokens left. `retry_after` is the time until there is one, in seconds.
    """

    tokens: int
    remaining: int
    retry_after: float
    arrival: float


def take(rate: Rate, arrival: float, now: float, kept: int, wanted: int) -> Grant:
    """Takes up to `wanted` tokens; a negative number returns tokens.

    `kept` tokens were taken before and are not used yet. They are taken again: otherwise they would
    come on top of a quota that is whole again.
    """
    interval = rate.window_seconds / rate.quota
    ahead = min(arrival - now, rate.window_seconds)
    ahead = max(ahead - kept * interval, 0.0) + kept * interval
    available = math.floor((rate.window_seconds - ahead) / interval + _ROUNDING)
    tokens = min(wanted, available)
    ahead += tokens * interval
    retry_after = max(0.0, ahead + interval - rate.window_seconds)
    return Grant(tokens, available - tokens, retry_after, now + ahead)
