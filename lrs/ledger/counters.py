"""Counts of items by hour, and the limits of what one hour of a partner can hold.

Reasons and organizations come from clients: beyond a number per hour they are counted together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lrs.store.intake import HourNames, IntakeCount, IntakeKey, Names, merged
from lrs.store.storable_text import replace_unstorable

OTHER = "_other"
"""Pointer or organization of what exceeds the limits of an hour."""

MAX_REASONS = 200
MAX_ORGANIZATIONS = 500
MAX_ROWS = 5000
"""Per partner and hour."""

# Each code can have one more reason, with the pointer OTHER.
_MAX_NAMED_REASONS = MAX_REASONS - 40
_MAX_POINTER_LENGTH = 150
_NO_NAMES = HourNames()

_INDEX = re.compile(r"/[0-9]+(?=/|$)")


def storable(text: str, length: int) -> str:
    """A text from a request as the database can store it, cut to `length` characters."""
    return replace_unstorable(text[:length])


def generalize(pointer: str) -> str:
    """A JSON pointer with `*` instead of indexes: the same for all items with the same error."""
    return storable(_INDEX.sub("/*", pointer), _MAX_POINTER_LENGTH)


def hour_of(seconds: float) -> datetime:
    """The UTC hour of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds // 3600 * 3600, UTC)


def limit_names(counts: Sequence[IntakeCount], names: Names) -> list[IntakeCount]:
    """The counts with `OTHER` for reasons and organizations beyond the limits of their hour.

    `names` is what the hours have already. Keys stay distinct.
    """
    hours: dict[tuple[int, datetime], _Hour] = {}
    limited = []
    for count in counts:
        hour = hours.get(count.key[:2])
        if hour is None:
            hour = hours[count.key[:2]] = _Hour(names.get(count.key[:2], _NO_NAMES))
        limited.append(replace(count, key=hour.admit(count.key)))
    return merged(limited)


class _Hour:
    """The names of one hour of a partner, with those that are added."""

    def __init__(self, names: HourNames) -> None:
        self._reasons = set(names.reasons)
        self._organizations = set(names.organizations)
        self._rows = names.rows

    def admit(self, key: IntakeKey) -> IntakeKey:
        is_full = self._rows >= MAX_ROWS
        reason = f"{key.code} {key.pointer}"
        if reason not in self._reasons and (is_full or len(self._reasons) >= _MAX_NAMED_REASONS):
            key = key._replace(pointer=OTHER if key.code else "")
        if key.organization not in self._organizations and (
            is_full or len(self._organizations) >= MAX_ORGANIZATIONS
        ):
            key = key._replace(organization=OTHER)
        self._reasons.add(f"{key.code} {key.pointer}")
        self._organizations.add(key.organization)
        self._rows += 1
        return key


class Counters:
    """The counts that one worker has not written yet."""

    def __init__(self) -> None:
        self._counts: dict[IntakeKey, list[float]] = {}
        self._keys: Counter[int] = Counter()

    def add(self, key: IntakeKey, items: int, size: int, at: float) -> None:
        """Adds items of `size` bytes that arrived at `at`, in seconds since 1970."""
        count = self._counts.get(key)
        if count is None and self._keys[key.partner_id] >= MAX_ROWS:  # during an outage
            key = key._replace(
                pointer=OTHER if key.code else "", organization=OTHER if key.organization else ""
            )
            count = self._counts.get(key)
        if count is None:
            self._keys[key.partner_id] += 1
            count = self._counts[key] = [0, 0, 0.0]
        count[0] += items
        count[1] += size
        count[2] = max(count[2], at)

    def take(self) -> list[IntakeCount]:
        """Removes and returns the counts."""
        taken, self._counts = self._counts, {}
        self._keys.clear()
        return [
            IntakeCount(key, int(items), int(size), datetime.fromtimestamp(at, UTC))
            for key, (items, size, at) in taken.items()
        ]

    def put_back(self, counts: Sequence[IntakeCount]) -> None:
        """Adds counts that could not be written."""
        for count in counts:
            self.add(count.key, count.items, count.bytes, count.last_at.timestamp())
