"""Limits of the sessions of reporting roles, and which sessions exceed them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """The limits of a session, and of all sessions of one role.

    transaction_seconds       age of a transaction, and so of a query
    idle_transaction_seconds  time without a query in a transaction
    writing_seconds           age of a transaction that writes: a reader has nothing to write
    memory_bytes              private memory of all sessions of a role
    temp_file_bytes           temporary files of all sessions of a role
    """

    transaction_seconds: float = 3600.0
    idle_transaction_seconds: float = 300.0
    writing_seconds: float = 3.0
    memory_bytes: int = _GIB
    temp_file_bytes: int = _GIB


@dataclass(frozen=True, slots=True)
class Session:
    """A process of a session; a parallel worker has the process id of its leader.

    `transaction_seconds` is None outside of a transaction, `idle_seconds` during a query.
    `transaction_id` is None unless the transaction writes. `is_disabled`: the role may not log in.
    """

    pid: int
    leader_pid: int
    role: str
    started_at: datetime
    transaction_seconds: float | None = None
    idle_seconds: float | None = None
    transaction_id: str | None = None
    is_disabled: bool = False


def exceeding(
    sessions: Sequence[Session],
    limits: SessionLimits,
    memory: Mapping[int, int],
    temp_files: Mapping[int, int],
) -> dict[int, str]:
    """The process ids of the sessions to end, with the reason.

    `memory` and `temp_files` are bytes by process id. A role that exceeds its limit of either loses
    its largest sessions.
    """
    reasons: dict[int, str] = {}
    for usage, limit, resource in (
        (temp_files, limits.temp_file_bytes, "temporary files"),
        (memory, limits.memory_bytes, "memory"),
    ):
        for pid in _largest_of_each_role(sessions, usage, limit):
            reasons[pid] = f"the role has more than {limit} bytes of {resource}"
    for session in sessions:
        if session.pid == session.leader_pid and (reason := _exceeded_time(session, limits)):
            reasons[session.pid] = reason
    return reasons


def _exceeded_time(session: Session, limits: SessionLimits) -> str:
    if session.is_disabled:
        return "the role may not log in any more"
    transaction, idle = session.transaction_seconds or 0.0, session.idle_seconds or 0.0
    if transaction > limits.transaction_seconds:
        return f"transaction longer than {limits.transaction_seconds:g} s"
    if idle > limits.idle_transaction_seconds:
        return f"idle in transaction for more than {limits.idle_transaction_seconds:g} s"
    if session.transaction_id and transaction > limits.writing_seconds:
        return f"writing for more than {limits.writing_seconds:g} s"
    return ""


def _largest_of_each_role(
    sessions: Sequence[Session], usage: Mapping[int, int], limit: int
) -> Iterator[int]:
    """The leaders of the largest sessions of a role, until the others are within the limit."""
    by_role: dict[str, Counter[int]] = defaultdict(Counter)
    for session in sessions:
        by_role[session.role][session.leader_pid] += usage.get(session.pid, 0)
    for sizes in by_role.values():
        excess = sizes.total() - limit
        for pid, size in sizes.most_common():
            if excess <= 0:
                break
            excess -= size
            yield pid


class WriterDetector:
    """Detects roles that write again and again: a role may alter itself, in any number of rows.

    A single change is hardly ever seen by a look each second.
    """

    def __init__(self, *, transactions: int = 3, seconds: float = 60.0) -> None:
        self._max_transactions = transactions
        self._seconds = seconds
        self._seen: dict[str, dict[str, float]] = {}

    def observe(self, sessions: Sequence[Session], now: float) -> set[str]:
        """The roles of which too many writing transactions were seen within the period."""
        for session in sessions:
            if session.transaction_id:
                self._seen.setdefault(session.role, {})[session.transaction_id] = now
        for role, seen in list(self._seen.items()):
            recent = {key: at for key, at in seen.items() if now - at < self._seconds}
            self._seen[role] = recent
            if not recent:
                del self._seen[role]
        return {role for role, seen in self._seen.items() if len(seen) >= self._max_transactions}

    def forget(self, role: str) -> None:
        self._seen.pop(role, None)
