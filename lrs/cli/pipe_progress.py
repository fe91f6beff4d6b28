"""The progress of a pipe that a command runs: a bar over the times of `stored`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from lrs.cli.output import echo, echo_progress
from lrs.store.pipes import Pipe

_WIDTH = 20


class Progress:
    """One line on standard error, if that is a terminal: a bar, counts, and the position."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._first: datetime | None = None

    def show(self, pipe: Pipe) -> None:
        self._first = self._first or pipe.position_at
        if self._is_terminal:
            echo_progress(progress_line(pipe, self._first, datetime.now(UTC)))

    def end(self) -> None:
        if self._is_terminal:
            echo("", err=True)


def progress_line(pipe: Pipe, first: datetime | None, now: datetime) -> str:
    """The line: which part of the time between the first position and now is done."""
    counts = describe_counts(pipe)
    if first is None or pipe.position_at is None:
        return counts
    total = (now - first).total_seconds()
    part = min(max((pipe.position_at - first).total_seconds() / total, 0.0), 1.0) if total else 1.0
    done = round(part * _WIDTH)
    bar = "#" * done + "-" * (_WIDTH - done)
    return f"[{bar}] {part:4.0%} {counts} up to {pipe.position_at:%Y-%m-%d %H:%M}"


def describe_counts(pipe: Pipe) -> str:
    return " ".join(f"{outcome}={count}" for outcome, count in sorted(pipe.counts.items()))
