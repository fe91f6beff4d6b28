"""Limits of the sessions of reporting roles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lrs.reports.session_limits import Session, SessionLimits, WriterDetector, exceeding

LIMITS = SessionLimits(
    transaction_seconds=100,
    idle_transaction_seconds=10,
    writing_seconds=3,
    memory_bytes=1000,
    temp_file_bytes=500,
)
SESSION = Session(1, 1, "reports_a", datetime(2026, 5, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, None),
        ({"transaction_seconds": 100.0}, None),
        ({"transaction_seconds": 100.1}, "transaction longer than 100 s"),
        ({"transaction_seconds": 50.0, "idle_seconds": 9.0}, None),
        (
            {"transaction_seconds": 50.0, "idle_seconds": 11.0},
            "idle in transaction for more than 10 s",
        ),
        ({"transaction_seconds": 2.0, "transaction_id": "7"}, None),
        ({"transaction_seconds": 4.0, "transaction_id": "7"}, "writing for more than 3 s"),
    ],
)
def test_session_over_a_time_limit_is_ended(state: dict[str, object], reason: str | None) -> None:
    session = replace(SESSION, **state)  # type: ignore[arg-type]
    assert exceeding([session], LIMITS, {}, {}).get(1) == reason


def test_parallel_worker_is_not_ended_itself() -> None:
    worker = replace(SESSION, pid=2, transaction_seconds=200.0)
    assert set(exceeding([SESSION, worker], LIMITS, {}, {})) == set()
    assert set(exceeding([SESSION, worker], LIMITS, {2: 1001}, {})) == {1}


def test_largest_sessions_of_a_role_end_until_the_others_are_within_the_limit() -> None:
    sessions = [replace(SESSION, pid=pid, leader_pid=pid) for pid in range(1, 5)]
    other = replace(SESSION, pid=9, leader_pid=9, role="reports_b")
    memory = {1: 300, 2: 700, 3: 400, 4: 200, 9: 999}
    assert set(exceeding([*sessions, other], LIMITS, memory, {})) == {2}
    assert set(exceeding([*sessions, other], LIMITS, {}, memory)) == {2, 3, 9}
    assert exceeding(sessions, LIMITS, {1: 1000}, {1: 500}) == {}


def test_role_with_many_writing_transactions_is_detected() -> None:
    detector = WriterDetector(transactions=3, seconds=60)
    writing = [replace(SESSION, transaction_id=str(number)) for number in range(9)]
    for now, session in enumerate(writing[:2]):
        assert detector.observe([session, session], now) == set()
    assert detector.observe([writing[1]], 30) == set()
    assert detector.observe([writing[2]], 61) == set()  # the first is forgotten
    assert detector.observe([writing[3]], 62) == {"reports_a"}
    assert detector.observe([], 200) == set()
