"""Grouping of repeated log records: an outage fails every request, and needs few lines.

The first warning or error of a kind is written as it is. Repetitions are counted. Every ten seconds
one record has the latest message and their number, and the last one has their total.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

_INTERVAL_SECONDS = 10.0
_IS_SUMMARY = "repeats_summary"


@dataclass(slots=True)
class _Group:
    """Equal records since the first one; `unreported` since the last summary."""

    latest: logging.LogRecord
    began: float = field(default_factory=time.monotonic)
    total: int = 0
    unreported: int = 0


class RepeatFilter(logging.Filter):
    """A filter of a handler. Records are equal by logger, level, message template and exception."""

    def __init__(self, interval: float = _INTERVAL_SECONDS) -> None:
        super().__init__()
        self._interval = interval
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._lock = threading.Lock()
        self._is_registered = False

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or hasattr(record, _IS_SUMMARY):
            return True
        key = (record.name, record.levelno, str(record.msg), *_exception_key(record))
        with self._lock:
            group = self._groups.get(key)
            if group is not None:
                group.latest = record
                group.total += 1
                group.unreported += 1
                return False
            if not self._groups:
                self._start_timer()
            self._groups[key] = _Group(record)
        return True

    def _start_timer(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._summarize)
        timer = threading.Timer(self._interval, self._run)
        timer.daemon = True
        timer.start()

    def _run(self) -> None:
        self._summarize()
        with self._lock:
            if self._groups:
                self._start_timer()

    def _summarize(self) -> None:
        """Write a summary of each group; forget groups without a repetition since the last one."""
        with self._lock:
            summaries = [summary for group in self._groups.values() if (summary := _summary(group))]
            self._groups = {key: group for key, group in self._groups.items() if group.unreported}
            for group in self._groups.values():
                group.unreported = 0
        for summary in summaries:
            logging.getLogger(summary.name).handle(summary)


def _exception_key(record: logging.LogRecord) -> tuple[object, ...]:
    """The type of the exception and the line that raised it."""
    if not record.exc_info or record.exc_info[0] is None:
        return ()
    kind, _, traceback = record.exc_info
    last: TracebackType | None = traceback
    while last and last.tb_next:
        last = last.tb_next
    return (kind, last.tb_frame.f_code.co_filename, last.tb_lineno) if last else (kind,)


def _summary(group: _Group) -> logging.LogRecord | None:
    if not group.total:
        return None
    record, seconds = group.latest, time.monotonic() - group.began
    fields: dict[str, Any] = {"repeated": group.unreported, "total": group.total}
    if not group.unreported:
        fields["ended"] = True
    fields |= {"seconds": round(seconds), _IS_SUMMARY: True}
    summary = logging.LogRecord(
        record.name, record.levelno, record.pathname, record.lineno, record.msg, record.args, None
    )
    summary.__dict__.update(fields)
    return summary
