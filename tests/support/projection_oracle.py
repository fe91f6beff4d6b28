"""The expected facts and learner records of a history, computed with plain loops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class OracleEvent:
    """A learner's event on a content item, and its measures."""

    statement_id: str
    learner: str
    content: str
    organization: str
    source: str
    at: datetime
    kind: str
    milliseconds: int | None = None
    total: bool = False
    registration: str | None = None
    progress: float | None = None
    score: float | None = None
    percentile: float | None = None
    xp: int | None = None
    success: bool | None = None
    is_mobile: bool | None = None

    @property
    def day(self) -> date:
        return self.at.date()

    @property
    def order(self) -> tuple[datetime, str]:
        return self.at, self.statement_id


@dataclass(frozen=True)
class Membership:
    learner: str
    organization: str
    from_day: date
    to_day: date | None

    def covers(self, happening: OracleEvent) -> bool:
        if happening.organization not in ("", self.organization):
            return False
        return self.from_day <= happening.day and (
            self.to_day is None or happening.day < self.to_day
        )


Row = dict[str, Any]


def records(history: list[OracleEvent]) -> dict[tuple[str, str, str], Row]:
    """By learner, content and organization."""
    return {
        position: _record(some)
        for position, some in _grouped(
            history, lambda item: (item.learner, item.content, item.organization)
        ).items()
    }


def _record(history: list[OracleEvent]) -> Row:
    worked = [item for item in history if item.kind != "registered"]
    starts = [item for item in history if item.kind == "started"]
    completions = [item for item in history if item.kind == "completed"]
    registrations = {item.registration for item in history if item.registration}
    attempts = len(registrations) + sum(item.registration is None for item in starts)
    scores = [item.score for item in history if item.score is not None]
    return {
        "started_at": (starts or worked)[0].at if worked else None,
        "last_activity_at": history[-1].at,
        "completed_at": completions[0].at if completions else None,
        "milliseconds": _sum(_gains(history)),
        "progress": 100.0 if completions else _last(history, "progress"),
        "best_score": max(scores, default=None),
        "last_score": _last(history, "score"),
        "attempts": max(attempts, 1) if worked else 0,
        "success": _last(history, "success"),
        "status": "completed" if completions else "in_progress" if worked else "not_started",
        "source": history[-1].source,
    }


def days(
    history: list[OracleEvent], memberships: list[Membership]
) -> dict[tuple[str, str, date], Row]:
    """By learner, content and day."""
    gained = _all_gains(history)
    visible = [item for item in history if _is_member(item, memberships)]
    actual = {}
    for (learner, content), some in _grouped(
        visible, lambda item: (item.learner, item.content)
    ).items():
        for day in {item.day for item in some}:
            until = [item for item in some if item.day <= day]
            actual[learner, content, day] = _fact(until, day, gained)
    return actual


def content_days(
    history: list[OracleEvent], memberships: list[Membership]
) -> dict[tuple[str, str, str, date], Row]:
    """By learner, content, organization and day; also outside memberships."""
    gained = _all_gains(history)
    actual = {}
    for (learner, content, organization), some in _grouped(
        history, lambda item: (item.learner, item.content, item.organization)
    ).items():
        for day in {item.day for item in some}:
            until = [item for item in some if item.day <= day]
            actual[learner, content, organization, day] = _content_day(
                until, day, gained, memberships
            )
    return actual


def _content_day(
    until: list[OracleEvent],
    day: date,
    gained: dict[str, int | None],
    memberships: list[Membership],
) -> Row:
    today = [item for item in until if item.day == day]
    kinds = {item.kind for item in until}
    completed, spent = "completed" in kinds, _sum([gained[item.statement_id] for item in today])
    xp = _sum([item.xp for item in today])
    empty = [
        item
        for item in today
        if item.kind == "registered"
        and item.milliseconds is item.xp is item.score is item.progress is None
    ]
    return {
        "time_spent": None if spent is None else spent / 1000,
        "xp": None if xp is None else float(xp),
        "score": _last(today, "score"),
        "progress": 100.0 if completed else _last(today, "progress"),
        "status": "completed"
        if completed
        else "not_started"
        if kinds == {"registered"}
        else "in_progress",
        "statements": len(today),
        "enrolments": len(empty),
        "is_member": _is_member(today[0], memberships),
    }


def content_counts(
    days_of_contents: dict[tuple[str, str, str, date], Row],
) -> dict[str, tuple[int, int, int]]:
    """Statements, enrolments of members, and statements outside memberships, by content."""
    counts: dict[str, tuple[int, int, int]] = {}
    for (_, content, _, _), row in days_of_contents.items():
        statements, enrolments, outside = counts.get(content, (0, 0, 0))
        inside = row["is_member"]
        counts[content] = (
            statements + row["statements"],
            enrolments + (row["enrolments"] if inside else 0),
            outside + (0 if inside else row["statements"]),
        )
    return counts


def _is_member(item: OracleEvent, memberships: list[Membership]) -> bool:
    """Whether the learner was a member on the day of the event, or is in no group."""
    own = [one for one in memberships if one.learner == item.learner]
    return not own or any(one.covers(item) for one in own)


def _all_gains(history: list[OracleEvent]) -> dict[str, int | None]:
    """The time that each event adds, by statement id."""
    gained: dict[str, int | None] = {}
    for some in _grouped(
        history, lambda item: (item.learner, item.content, item.organization)
    ).values():
        gained |= zip([item.statement_id for item in some], _gains(some), strict=True)
    return gained


def _fact(until: list[OracleEvent], day: date, gained: dict[str, int | None]) -> Row:
    today = [item for item in until if item.day == day]
    worked = [item for item in until if item.kind != "registered"]
    starts = [item for item in until if item.kind == "started"]
    completions = [item for item in until if item.kind == "completed"]
    spent = _sum([gained[item.statement_id] for item in today])
    xp = _sum([item.xp for item in today])
    values = [item.is_mobile for item in today if item.is_mobile is not None]
    return {
        "started_at": (starts or worked)[0].at if worked else None,
        "completed_at": completions[0].at if completions else None,
        "time_spent": None if spent is None else spent / 1000,
        "xp": None if xp is None else float(xp),
        "score": _last(today, "score"),
        "percentile": _last(today, "percentile"),
        "is_mobile": any(values) if values else None,
    }


def _gains(history: list[OracleEvent]) -> list[int | None]:
    """The time that each event adds; a total adds its excess over earlier totals."""
    highest, gains = 0, []
    for item in history:
        if item.milliseconds is None or not item.total:
            gains.append(item.milliseconds)
        else:
            gains.append(max(0, item.milliseconds - highest))
            highest = max(highest, item.milliseconds)
    return gains


def _grouped(history: list[OracleEvent], key: Any) -> dict[Any, list[OracleEvent]]:
    """In order of time within each group."""
    groups: dict[Any, list[OracleEvent]] = {}
    for item in sorted(history, key=lambda item: item.order):
        groups.setdefault(key(item), []).append(item)
    return groups


def _last(history: list[OracleEvent], name: str) -> Any:
    values = [getattr(item, name) for item in history if getattr(item, name) is not None]
    return values[-1] if values else None


def _sum(values: list[int | None]) -> int | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None
