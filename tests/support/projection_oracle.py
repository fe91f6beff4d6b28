"""The expected facts and learner records of a history, computed with plain loops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Happening:
    """Something that a learner did with a content item, and what was told of it."""

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

    def covers(self, happening: Happening) -> bool:
        if happening.organization not in ("", self.organization):
            return False
        return self.from_day <= happening.day and (
            self.to_day is None or happening.day < self.to_day
        )


Row = dict[str, Any]


def records(history: list[Happening]) -> dict[tuple[str, str, str], Row]:
    """By learner, content and organization."""
    return {
        place: _record(some)
        for place, some in _grouped(
            history, lambda each: (each.learner, each.content, each.organization)
        ).items()
    }


def _record(history: list[Happening]) -> Row:
    worked = [each for each in history if each.kind != "registered"]
    starts = [each for each in history if each.kind == "started"]
    completions = [each for each in history if each.kind == "completed"]
    registrations = {each.registration for each in history if each.registration}
    attempts = len(registrations) + sum(each.registration is None for each in starts)
    scores = [each.score for each in history if each.score is not None]
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
    history: list[Happening], memberships: list[Membership]
) -> dict[tuple[str, str, date], Row]:
    """By learner, content and day."""
    gained: dict[str, int | None] = {}
    for some in _grouped(
        history, lambda each: (each.learner, each.content, each.organization)
    ).values():
        for each, gain in zip(some, _gains(some), strict=True):
            gained[each.statement_id] = gain
    members = {each.learner for each in memberships}
    visible = [
        each
        for each in history
        if each.learner not in members
        or any(one.learner == each.learner and one.covers(each) for one in memberships)
    ]
    found = {}
    for (learner, content), some in _grouped(
        visible, lambda each: (each.learner, each.content)
    ).items():
        for day in {each.day for each in some}:
            until = [each for each in some if each.day <= day]
            found[learner, content, day] = _fact(until, day, gained)
    return found


def _fact(until: list[Happening], day: date, gained: dict[str, int | None]) -> Row:
    today = [each for each in until if each.day == day]
    worked = [each for each in until if each.kind != "registered"]
    starts = [each for each in until if each.kind == "started"]
    completions = [each for each in until if each.kind == "completed"]
    spent = _sum([gained[each.statement_id] for each in today])
    xp = _sum([each.xp for each in today])
    values = [each.is_mobile for each in today if each.is_mobile is not None]
    return {
        "started_at": (starts or worked)[0].at if worked else None,
        "completed_at": completions[0].at if completions else None,
        "time_spent": None if spent is None else spent / 1000,
        "xp": None if xp is None else float(xp),
        "score": _last(today, "score"),
        "percentile": _last(today, "percentile"),
        "is_mobile": any(values) if values else None,
    }


def _gains(history: list[Happening]) -> list[int | None]:
    """What each happening adds to the time: a total, what it is above the totals before it."""
    highest, gains = 0, []
    for each in history:
        if each.milliseconds is None or not each.total:
            gains.append(each.milliseconds)
        else:
            gains.append(max(0, each.milliseconds - highest))
            highest = max(highest, each.milliseconds)
    return gains


def _grouped(history: list[Happening], key: Any) -> dict[Any, list[Happening]]:
    """In order of time within each group."""
    groups: dict[Any, list[Happening]] = {}
    for each in sorted(history, key=lambda each: each.order):
        groups.setdefault(key(each), []).append(each)
    return groups


def _last(history: list[Happening], name: str) -> Any:
    values = [getattr(each, name) for each in history if getattr(each, name) is not None]
    return values[-1] if values else None


def _sum(values: list[int | None]) -> int | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None
