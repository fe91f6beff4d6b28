"""How many dead letters pause a pipe: more than 1,000, or 5 % of the last 10,000 statements.

Statements are counted in ten groups of 1,000, of which the oldest is dropped.
"""

from __future__ import annotations

import msgspec

MAX_DEAD_LETTERS = 1_000
MAX_SHARE = 0.05
_GROUPS = 10
_GROUP_SIZE = 1_000


class LetterCounts(msgspec.Struct, frozen=True):
    """Statements since an operator started the pipe: dead letters, and by group both numbers."""

    letters: int = 0
    groups: tuple[tuple[int, int], ...] = ()


def add(counts: LetterCounts, settled: int, letters: int) -> LetterCounts:
    """Adds a request: how many of its statements are settled, and how many are dead letters."""
    groups = list(counts.groups) or [(0, 0)]
    if groups[-1][0] >= _GROUP_SIZE:
        groups.append((0, 0))
    groups[-1] = groups[-1][0] + settled, groups[-1][1] + letters
    return LetterCounts(counts.letters + letters, tuple(groups[-_GROUPS:]))


def pause_reason(counts: LetterCounts) -> str | None:
    """Why the pipe is paused, or None."""
    if counts.letters > MAX_DEAD_LETTERS:
        return f"More than {MAX_DEAD_LETTERS:,} statements are dead letters since the start."
    recent = sum(letters for _, letters in counts.groups)
    if recent > MAX_SHARE * _GROUPS * _GROUP_SIZE:
        return f"{recent} of the last 10,000 statements are dead letters: more than 5 %."
    return None
