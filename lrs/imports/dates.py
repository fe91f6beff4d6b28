"""Dates in tables, as their systems write them, to ISO 8601.

A cell that does not match its format is returned as it is: the schema of the row refuses it.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

DateFormat = Literal["yyyy-mm-dd", "dd.mm.yyyy", "mm/dd/yyyy", "dd/mm/yyyy"]

DATE_FORMATS: tuple[DateFormat, ...] = get_args(DateFormat)

EXAMPLES: dict[DateFormat, str] = {
    "yyyy-mm-dd": "2026-05-08",
    "dd.mm.yyyy": "08.05.2026",
    "mm/dd/yyyy": "05/08/2026",
    "dd/mm/yyyy": "08/05/2026",
}

_TIME = (
    r"(?:[T ]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:\.[0-9]+)?))?)?"
)
_DAY, _MONTH = "(?P<day>[0-9]{1,2})", "(?P<month>[0-9]{1,2})"
_YEAR = "(?P<year>[0-9]{4})"
_ISO = re.compile(rf"{_YEAR}-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}}){_TIME}")
_PATTERNS: dict[DateFormat, re.Pattern[str]] = {
    "yyyy-mm-dd": _ISO,
    "dd.mm.yyyy": re.compile(rf"{_DAY}\.{_MONTH}\.{_YEAR}{_TIME}"),
    "mm/dd/yyyy": re.compile(rf"{_MONTH}/{_DAY}/{_YEAR}{_TIME}"),
    "dd/mm/yyyy": re.compile(rf"{_DAY}/{_MONTH}/{_YEAR}{_TIME}"),
}
_OTHER_FORMAT = re.compile(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}\b.*")


def iso_date(cell: str, date_format: DateFormat) -> str:
    """A date as `2026-05-08`; a time of midnight, which spreadsheets add, is left out."""
    match = _match(cell, date_format)
    if match is None or not _is_midnight(match):
        return cell
    return _day(match)


def iso_timestamp(cell: str, date_format: DateFormat) -> str:
    """A timestamp as `2026-05-08T14:44:01Z`: without an offset it is in UTC."""
    match = _match(cell, date_format)
    if match is None:
        return cell
    hour, minute, second = match["hour"] or "0", match["minute"] or "00", match["second"] or "00"
    return f"{_day(match)}T{int(hour):02}:{minute}:{second}Z"


def has_other_format(cell: str) -> bool:
    """Whether this looks like a date that is not in the form of ISO 8601."""
    return _OTHER_FORMAT.fullmatch(cell) is not None


def _match(cell: str, date_format: DateFormat) -> re.Match[str] | None:
    return _PATTERNS[date_format].fullmatch(cell) or _ISO.fullmatch(cell)


def _is_midnight(match: re.Match[str]) -> bool:
    return not any(match[part] and match[part].strip("0.") for part in ("hour", "minute", "second"))


def _day(match: re.Match[str]) -> str:
    return f"{match['year']}-{int(match['month']):02}-{int(match['day']):02}"
