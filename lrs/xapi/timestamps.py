"""Timestamps as xAPI has them (1.0.3 Data 4.5, IEEE 9274.1.1 4.2.7).

RFC 3339, with the offset also as `+hh` or `+hhmm`; an offset is required and is never a negative
zero. Leap seconds are refused: neither Python nor the store could give them back.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lrs.resources import schema

_FORM = re.compile(schema("xapi/common")["$defs"]["timestamp"]["pattern"])


def parse_timestamp(text: str) -> datetime:
    """The instant a timestamp names, in UTC, cut to microseconds; ValueError when it names none."""
    if not _FORM.fullmatch(text):
        raise ValueError("not an RFC 3339 timestamp with an offset other than -00:00")
    return to_utc(text)


def to_utc(text: str) -> datetime:
    """The same for a text that is known to have the form."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such date and time in the years 0001 to 9999") from None
