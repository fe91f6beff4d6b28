"""Repeated log records are counted instead of written."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from lrs.observability.repeats import RepeatFilter

INTERVAL = 0.15


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def summaries(self) -> list[tuple[str, int, int, bool]]:
        return [
            (
                record.getMessage(),
                record.__dict__["repeated"],
                record.__dict__["total"],
                "ended" in record.__dict__,
            )
            for record in self.records
            if "repeated" in record.__dict__
        ]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    recorder.addFilter(RepeatFilter(INTERVAL))
    logger = logging.getLogger("test.repeats")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(recorder)
    yield recorder
    logger.removeHandler(recorder)


log = logging.getLogger("test.repeats")


def test_outage_is_one_line_a_count_and_an_end(recorder: Recorder) -> None:
    for number in range(100):
        log.error("service unavailable: %s", f"reason {number}")
    assert [record.getMessage() for record in recorder.records] == ["service unavailable: reason 0"]
    time.sleep(2.5 * INTERVAL)
    assert recorder.summaries() == [
        ("service unavailable: reason 99", 99, 99, False),
        ("service unavailable: reason 99", 0, 99, True),
    ]
    log.error("service unavailable: %s", "again")
    assert recorder.records[-1].getMessage() == "service unavailable: again"


def test_single_error_has_no_summary(recorder: Recorder) -> None:
    log.error("once")
    time.sleep(2.5 * INTERVAL)
    assert len(recorder.records) == 1


def fail(number: int) -> None:
    try:
        if number == 1:
            raise ValueError
        raise ValueError
    except ValueError:
        log.exception("unexpected error")


def test_different_exceptions_are_all_written(recorder: Recorder) -> None:
    for number in (1, 2, 1, 2):
        fail(number)
    assert len(recorder.records) == 2


def test_information_is_not_grouped(recorder: Recorder) -> None:
    for _ in range(3):
        log.info("request")
    assert len(recorder.records) == 3
