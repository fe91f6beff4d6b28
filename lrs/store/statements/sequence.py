"""The sequence: the 64-bit sort key of a statement, unique within a partner.

The upper bits are the `stored` time in microseconds since 1970; the low 10 bits tell apart
transactions that store in the same microsecond. A time therefore maps to a range of 1,024
sequences, and a sequence maps to one time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TIEBREAK_BITS = 10

_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def first_at(moment: datetime) -> int:
    """The lowest sequence of a statement stored at `moment`."""
    return _lowest((moment - _EPOCH) // _MICROSECOND)


def first_after(moment: datetime) -> int:
    """The lowest sequence of a statement stored after `moment`."""
    return _lowest((moment - _EPOCH) // _MICROSECOND + 1)


def stored_at(sequence: int) -> datetime:
    """The `stored` time of the statement with this sequence, in UTC."""
    return _EPOCH + (sequence >> TIEBREAK_BITS) * _MICROSECOND


def _lowest(microseconds: int) -> int:
    return min(max(0, microseconds << TIEBREAK_BITS), _MAX)
