"""Times in header fields of HTTP (RFC 9110, sections 5.6.7 and 10.2.3)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_RETRY_AFTER_SECONDS = 86_400.0


def http_date(text: str) -> datetime | None:
    """The time of an HTTP date, or None."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def retry_after(value: str, now: datetime) -> float | None:
    """The seconds of Retry-After from `now`, at most a day; None without a valid value."""
    try:
        seconds = float(value)
    except ValueError:
        moment = http_date(value)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return None if math.isnan(seconds) else min(max(0.0, seconds), _MAX_RETRY_AFTER_SECONDS)
