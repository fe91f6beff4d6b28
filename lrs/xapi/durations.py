"""ISO 8601 durations, converted to whole seconds or milliseconds.

A duration has years, months, days, hours, minutes and seconds, or weeks alone. Only the smallest
non-zero component may have a fraction. A year has 365 days, a month a twelfth of a year.
"""

from __future__ import annotations

import re

_WHOLE = "[0-9]{1,18}"
_NUMBER = rf"{_WHOLE}(?:[.,][0-9]{{1,18}})?"
_FORM = re.compile(
    rf"P(?=[0-9T])(?:(?P<W>{_NUMBER})W"
    rf"|(?:(?P<Y>{_NUMBER})Y)?(?:(?P<M>{_NUMBER})M)?(?:(?P<D>{_NUMBER})D)?"
    rf"(?:T(?=[0-9])(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?)"
)
_SECONDS = {
    "Y": 31_536_000,
    "M": 2_628_000,
    "W": 604_800,
    "D": 86_400,
    "h": 3_600,
    "m": 60,
    "s": 1,
}

# 31,688 years. Sums of nine million such durations still fit a bigint.
_MAX_SECONDS = 10**12


class InvalidDuration(ValueError):
    """The message completes a sentence that begins with the name of the field."""


def seconds(duration: object) -> int:
    """The duration in seconds, halves rounded up. Raises InvalidDuration."""
    return _counted(duration, 1)


def milliseconds(duration: object) -> int:
    """The same in milliseconds."""
    return _counted(duration, 1000)


def _counted(duration: object, per_second: int) -> int:
    """Integer arithmetic: exact, and faster than Fraction."""
    if isinstance(duration, str) and duration.startswith("-P"):
        raise InvalidDuration("must not be negative")
    match = _FORM.fullmatch(duration) if isinstance(duration, str) else None
    if match is None:
        raise InvalidDuration("must be an ISO 8601 duration such as PT3M0S")
    total, scale = 0, 1
    for name, unit in _SECONDS.items():
        if (value := match[name]) is None:
            continue
        digits, _, decimals = value.replace(",", ".").partition(".")
        amount = int(digits + decimals) * unit
        if scale > 1 and amount:
            raise InvalidDuration("must have a fraction in its smallest component only")
        if decimals.strip("0"):
            total, scale = total * 10 ** len(decimals), 10 ** len(decimals)
        elif decimals:
            amount //= 10 ** len(decimals)
        total += amount
    if total > _MAX_SECONDS * scale:
        raise InvalidDuration(f"must not be longer than {_MAX_SECONDS} seconds")
    return (2 * total * per_second + scale) // (2 * scale)
