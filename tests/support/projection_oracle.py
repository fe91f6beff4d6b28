"""The expected facts and learner records of a history, computed with plain loops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any


@dataclass(frozen=True)
class OracleEvent:
    """A learner's event on a content item, and its measures; `stored` is its position."""

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
    raw_score: float | None = None
    percentile: float | None = None
    xp: int | None = None
    success: bool | None = None
    is_mobile: bool | None = None
    stored: int = 0
    day: date = date.min
    named_content: str = ""

    @property
    def order(self) -> tuple[datetime, int]:
        return self.at, self.stored


@dataclass(frozen=True)
class Membership:
    learner: str
    organization: str
    from_day: date
    to_day: date | None

    def includes(self, day: date) -> bool:
        return self.from_day <= day and (self.to_day is None or day < self.to_day)

    def covers(self, happening: OracleEvent) -> bool:
        if happening.organization not in ("", self.organization):
            return False
        return self.includes(happening.day)


@dataclass(frozen=True)
class Rules:
    """The settings of a partner and what its operator has imported.

    courses   the course that an item is a part of
    learners  the learner behind a name, for merged learners
    contents  the content item behind a name, for linked content items
    """

    memberships: list[Membership] = field(default_factory=list)
    time_zone: tzinfo = UTC
    infers_organizations: bool = True
    courses: Mapping[str, str] = field(default_factory=dict)
    learners: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)


Row = dict[str, Any]

WORKSPACE_KINDS = frozenset(
    {
        "created", "edited", "integrated", "published", "publish_failed", "shared", "upvoted",
        "viewed",
    }
)  # fmt: skip
"""The kinds of events that the tables of workspaces have columns for."""


def counted(history: list[OracleEvent], rules: Rules) -> list[OracleEvent]:
    """The events as reports see them."""
    return [_counted(item, rules) for item in history]


def _counted(item: OracleEvent, rules: Rules) -> OracleEvent:
    at = item.at
    if item.total and at == datetime(at.year, at.month, at.day, tzinfo=UTC):
        at = datetime(at.year, at.month, at.day, tzinfo=rules.time_zone).astimezone(UTC)
    learner = rules.learners.get(item.learner, item.learner)
    content = rules.contents.get(item.content, item.content)
    day = at.astimezone(rules.time_zone).date()
    organization = item.organization
    if not organization and rules.infers_organizations:
        organization = _organization(
            [one for one in rules.memberships if one.learner == learner and one.organization], day
        )
    return replace(
        item,
        at=at,
        day=day,
        learner=learner,
        content=content,
        organization=organization,
        named_content=item.content,
    )


def _organization(memberships: list[Membership], day: date) -> str:
    everywhere = {one.organization for one in memberships}
    present = {one.organization for one in memberships if one.includes(day)}
    for names in (everywhere, present):
        if len(names) == 1:
            return names.pop()
    return ""


def records(history: list[OracleEvent], rules: Rules) -> dict[tuple[str, str, str], Row]:
    """By learner, content and organization."""
    return {
        position: _record(some)
        for position, some in _grouped(
            counted(history, rules), lambda item: (item.learner, item.content, item.organization)
        ).items()
    }


def _record(history: list[OracleEvent]) -> Row:
    worked = [item for item in history if item.kind != "registered"]
    starts = [item for item in history if item.kind == "started"]
    completions = [item for item in history if item.kind == "completed"]
    registrations = {item.registration for item in history if item.registration}
    attempts = len(registrations) + sum(item.registration is None for item in starts)
    gains, retakes = _gains(history)
    scores = [item.score for item in history if item.score is not None]
    raw_scores = [item.raw_score for item in history if item.raw_score is not None]
    return {
        "started_at": worked[0].at if worked else None,
        "last_activity_at": history[-1].at,
        "completed_at": completions[0].at if completions else None,
        "milliseconds": _sum(list(gains.values())),
        "progress": 100.0 if completions else _progress(history),
        "best_score": max(scores, default=None),
        "last_score": _last(history, "score"),
        "best_raw_score": max(raw_scores, default=None),
        "last_raw_score": _last(history, "raw_score"),
        "attempts": max(attempts, 1) + retakes if worked else 0,
        "success": _last(history, "success"),
        "status": "completed" if completions else "in_progress" if worked else "not_started",
        "source": history[-1].source,
    }


def _progress(history: list[OracleEvent]) -> float | None:
    """The last progress; of track events at the same time the highest."""
    with_progress = [item for item in history if item.progress is not None]
    if not with_progress:
        return None
    last = [item for item in with_progress if item.at == with_progress[-1].at]
    tracked = [item.progress for item in last if item.total]
    return max(tracked) if tracked else last[-1].progress


def days(history: list[OracleEvent], rules: Rules) -> dict[tuple[str, str, date], Row]:
    """By learner, content and day."""
    history = counted(history, rules)
    gained = _all_gains(history)
    visible = [item for item in history if _is_member(item, rules.memberships)]
    actual = {}
    for (learner, content), some in _grouped(
        visible, lambda item: (item.learner, item.content)
    ).items():
        for day in {item.day for item in some if not _is_enrolment(item)}:
            actual[learner, content, day] = _fact(some, day, gained)
    return _rolled_up(actual, rules)


def content_days(history: list[OracleEvent], rules: Rules) -> dict[tuple[str, str, str, date], Row]:
    """By learner, content, organization and day; also outside memberships."""
    history = counted(history, rules)
    gained = _all_gains(history)
    actual = {}
    for (learner, content, organization), some in _grouped(
        history, lambda item: (item.learner, item.content, item.organization)
    ).items():
        for day in {item.day for item in some}:
            until = [item for item in some if item.day <= day]
            actual[learner, content, organization, day] = _content_day(
                until, day, gained, rules.memberships
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
    empty = [item for item in today if _is_enrolment(item)]
    return {
        "time_spent": None if spent is None else spent / 1000,
        "xp": None if xp is None else float(xp),
        "score": _last(today, "score"),
        "raw_score": _last(today, "raw_score"),
        "progress": 100.0 if completed else _progress(today),
        "status": "completed"
        if completed
        else "not_started"
        if kinds == {"registered"}
        else "in_progress",
        "statements": len(today),
        "enrolments": len(empty),
        "without_workspace_column": sum(item.kind not in WORKSPACE_KINDS for item in today),
        "is_member": _is_member(today[0], memberships),
    }


def content_counts(
    days_of_contents: dict[tuple[str, str, str, date], Row],
) -> dict[str, tuple[int, int, int, int]]:
    """By content: statements; of members, enrolments and statements without a column of workspaces;
    statements outside memberships.
    """
    counts: dict[str, tuple[int, int, int, int]] = {}
    for (_, content, _, _), row in days_of_contents.items():
        statements, enrolments, without, outside = counts.get(content, (0, 0, 0, 0))
        inside = row["is_member"]
        counts[content] = (
            statements + row["statements"],
            enrolments + (row["enrolments"] if inside else 0),
            without + (row["without_workspace_column"] if inside else 0),
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
        gained |= _gains(some)[0]
    return gained


def _is_enrolment(item: OracleEvent) -> bool:
    measures = (item.milliseconds, item.xp, item.score, item.raw_score, item.percentile)
    return item.kind == "registered" and measures == (None,) * 5


def _fact(history: list[OracleEvent], day: date, gained: dict[str, int | None]) -> Row:
    today = [item for item in history if item.day == day]
    worked = [item for item in history if item.kind != "registered"]
    completions = [item for item in history if item.kind == "completed" and item.day <= day]
    spent = _sum([gained[item.statement_id] for item in today])
    xp = _sum([item.xp for item in today])
    values = [item.is_mobile for item in today if item.is_mobile is not None]
    return {
        "started_at": worked[0].at if worked else None,
        "completed_at": completions[0].at if completions else None,
        "time_spent": None if spent is None else spent / 1000,
        "xp": None if xp is None else float(xp),
        "score": _last(today, "score"),
        "raw_score": _last(today, "raw_score"),
        "percentile": _last(today, "percentile"),
        "is_mobile": any(values) if values else None,
        "course_started_at": None,
        "course_time_spent": None,
        "course_xp": None,
        "has_events": True,
    }


_NO_EVENTS: Row = {
    **dict.fromkeys(("started_at", "completed_at", "time_spent", "xp", "score", "raw_score")),
    **dict.fromkeys(("percentile", "is_mobile", "course_started_at")),
    **dict.fromkeys(("course_time_spent", "course_xp")),
    "has_events": False,
}


def _rolled_up(
    own: dict[tuple[str, str, date], Row], rules: Rules
) -> dict[tuple[str, str, date], Row]:
    """With the work on their parts in the rows of courses."""
    actual = {key: dict(row) for key, row in own.items()}
    parts: dict[tuple[str, str], dict[date, list[Row]]] = {}
    for (learner, content, day), row in own.items():
        if course := rules.courses.get(content):
            parts.setdefault((learner, course), {}).setdefault(day, []).append(row)
    for (learner, course), by_day in parts.items():
        for day in by_day:
            actual.setdefault((learner, course, day), dict(_NO_EVENTS))
        rows = {key[2]: row for key, row in actual.items() if key[:2] == (learner, course)}
        starts = [
            row["started_at"]
            for row in (*rows.values(), *(row for some in by_day.values() for row in some))
            if row["started_at"] is not None
        ]
        completions = [row["completed_at"] for row in rows.values() if row["completed_at"]]
        for day, row in rows.items():
            with_parts = [row, *by_day.get(day, [])]
            row["course_started_at"] = min(starts, default=None)
            row["course_time_spent"] = _sum([item["time_spent"] for item in with_parts])
            row["course_xp"] = _sum([item["xp"] for item in with_parts])
            earlier = [at for other, at in _completions(rows) if other <= day]
            row["completed_at"] = min(earlier, default=None) if completions else None
    return actual


def _completions(rows: dict[date, Row]) -> list[tuple[date, datetime]]:
    return [(day, row["completed_at"]) for day, row in rows.items() if row["completed_at"]]


def _gains(history: list[OracleEvent]) -> tuple[dict[str, int | None], int]:
    """The time that each event adds, and the attempts that begin without a start.

    The totals of each name of a content item are apart.
    """
    gains = {item.statement_id: None if item.total else item.milliseconds for item in history}
    retakes = 0
    for name in {item.named_content for item in history}:
        tracked = [item for item in history if item.total and item.named_content == name]
        own, own_retakes = _gains_of_totals(tracked)
        gains |= own
        retakes += own_retakes
    return gains, retakes


def _gains_of_totals(tracked: list[OracleEvent]) -> tuple[dict[str, int | None], int]:
    """A total adds its excess over the highest one of its attempt.

    After a completion or a further start, a total below the one before it begins an attempt. Of
    totals at the same time only the highest counts.
    """
    gains: dict[str, int | None] = {}
    highest, previous, retakes = 0, None, 0
    may_restart = has_started = False
    for at in sorted({item.at for item in tracked}):
        some = [item for item in tracked if item.at == at]
        if any(item.kind == "started" for item in some):
            has_started = True
            may_restart = may_restart or previous is not None
        totals = [item for item in some if item.milliseconds is not None]
        if totals:
            last = max(totals, key=lambda item: item.milliseconds or 0)
            value = last.milliseconds or 0
            if previous is not None and value < previous and may_restart:
                highest, may_restart = 0, False
                retakes += not has_started
            for item in totals:
                gains[item.statement_id] = 0
            gains[last.statement_id] = max(0, value - highest)
            highest, previous, has_started = max(highest, value), value, False
        if previous is not None and any(item.kind == "completed" for item in some):
            may_restart = True
    return gains, retakes


def _grouped(history: list[OracleEvent], key: Any) -> dict[Any, list[OracleEvent]]:
    """In order of time within each group."""
    groups: dict[Any, list[OracleEvent]] = {}
    for item in sorted(history, key=lambda item: item.order):
        groups.setdefault(key(item), []).append(item)
    return groups


def _last(history: list[OracleEvent], name: str) -> Any:
    values = [getattr(item, name) for item in history if getattr(item, name) is not None]
    return values[-1] if values else None


def _sum(values: list[Any]) -> Any:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None
