"""Silence of a partner, judged by its own habits: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

HISTORY = timedelta(days=28)

_HOUR = timedelta(hours=1)
_WEEK = timedelta(days=7)
_MIN_HOURS = 5
"""Hours with statements before a habit can be judged."""
_FACTOR = 2
_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a partner has stored nothing, and the usual gap; None: no habit yet."""

    since: datetime
    duration: timedelta
    usual_gap: timedelta | None
    is_unusual: bool


def judge(
    hours: Sequence[datetime],
    last_at: datetime,
    now: datetime,
    limit: timedelta | None = None,
) -> Silence:
    """The silence since `last_at`; `hours` are those with stored items, in order.

    It is unusual if it is longer than twice the usual gap, and if the partner sent in the same
    span of the weeks before: so nights and weekends are no silence. A `limit` replaces the rule.
    """
    duration = now - last_at
    gap = usual_gap(hours)
    if limit is not None:
        return Silence(last_at, duration, gap, duration > limit)
    if gap is None:
        return Silence(last_at, duration, None, False)
    is_unusual = duration > _FACTOR * gap and _sent_in_weeks_before(hours, last_at, now)
    return Silence(last_at, duration, gap, is_unusual)


def usual_gap(hours: Sequence[datetime]) -> timedelta | None:
    """The gap between hours with items that 95 % do not exceed; in the first week the longest."""
    if len(hours) < _MIN_HOURS:
        return None
    gaps = sorted(later - earlier for earlier, later in pairwise(hours))
    if hours[-1] - hours[0] < _WEEK:
        return gaps[-1]
    return gaps[min(int(len(gaps) * _SHARE), len(gaps) - 1)]


def _sent_in_weeks_before(hours: Sequence[datetime], last_at: datetime, now: datetime) -> bool:
    """Whether the span of the silence had items one and two weeks before, as far as known."""
    for weeks in (1, 2):
        start, end = last_at - weeks * _WEEK, now - weeks * _WEEK
        if start <= hours[0]:
            continue
        # Only whole hours count: the items of an hour may have come at its end.
        if not any(start < hour and hour + _HOUR <= end for hour in hours):
            return False
    return True
