"""Places: where statements stand in every list of their partner, each a number of its own.

The microseconds of storing since 1970, and ten bits that tell apart those who write at the same
time. An instant is thus a range of places, and a place tells its instant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BITS = 10

_LAST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def first(moment: datetime) -> int:
    """The first place of this instant."""
    return _place((moment - _EPOCH) // _TICK)


def after(moment: datetime) -> int:
    """The first place of the instant after this one."""
    return _place((moment - _EPOCH) // _TICK + 1)


def stored(place: int) -> datetime:
    """When a statement at this place was stored."""
    return _EPOCH + (place >> BITS) * _TICK


def _place(micros: int) -> int:
    return min(max(0, micros << BITS), _LAST)
