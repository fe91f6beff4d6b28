"""Timestamps: xAPI 1.0.3 Data 4.5, IEEE 9274.1.1 4.2.7.

The format is RFC 3339, with offsets also as `+hh` or `+hhmm`. An offset is required; `-00:00` is
invalid. Leap seconds are rejected: neither Python nor PostgreSQL can represent them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lrs.resources import schema

_FORM = re.compile(schema("xapi/common")["$defs"]["timestamp"]["pattern"])


def parse_timestamp(text: str) -> datetime:
    """The instant in UTC, truncated to microseconds. Raises ValueError."""
    if not _FORM.fullmatch(text):
        raise ValueError("not an RFC 3339 timestamp with an offset other than -00:00")
    return to_utc(text)


def to_utc(text: str) -> datetime:
    """The same for a text that matches the format already. Raises ValueError."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such date and time in the years 0001 to 9999") from None
