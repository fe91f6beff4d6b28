"""Extracting the learning event of one statement: a learner, a content item and measures.

Facts and records are computed from events alone; see docs/reporting.md.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple
from uuid import UUID

from lrs.projection.vocabulary import TRACK, WORKED, Vocabulary
from lrs.xapi import durations, index_keys, track_events
from lrs.xapi.canvas_callbacks import LAUNCH
from lrs.xapi.durations import InvalidDuration
from lrs.xapi.statement import TRACK_EVENT, as_list
from lrs.xapi.timestamps import parse_timestamp

Json = dict[str, Any]

# Larger numbers are taken for errors: their sums would exceed the columns.
_MAX_NUMBER = 10**12
# In letters; a longer name is none of a person.
_MAX_NAME = 255
_EMPTY: Json = {}

agent_key = lru_cache(100_000)(lambda identity: index_keys.entity_key("agent", identity))
content_key = lru_cache(100_000)(index_keys.activity_key)


class Measures(NamedTuple):
    """The kind of work and its measured values; None is a value that the statement lacks.

    `progress` and `score` are in percent, `raw_score` is on the scale of the sender.
    """

    kind: str
    registration: str | None = None
    milliseconds: int | None = None
    progress: float | None = None
    score: float | None = None
    raw_score: float | None = None
    percentile: float | None = None
    xp: Decimal | None = None
    success: bool | None = None
    is_mobile: bool | None = None


class Event(NamedTuple):
    """Work of one learner on one content item.

    `organization` "" is none. `day` is that of `at` in the time zone of the partner. `source` is
    xapi, track or canvas. With `is_cumulative`, the milliseconds are those of all work so far and
    not of this event alone.
    """

    statement_id: UUID
    sequence: int
    organization: str
    at: datetime
    day: date
    agent_key: int
    content_key: int
    source: str
    is_cumulative: bool
    measures: Measures


class ExtractedEvent(NamedTuple):
    """An event, and what its statement contains about its learner and content item.

    `identity` identifies the learner, `name` is the learner's in this statement. `content` and
    `parent` are activity ids. `title` and `track_content_id` are those of a track event. `title`
    applies until a definition has a name, `type` and `parent_type` until a definition has a type;
    only a definition makes a track. `context_activities` are the activities in the context, which
    may be tracks. `is_parent_defined` says that the definition in the statement has the parent.
    """

    event: Event
    identity: str
    content: str
    name: str | None = None
    title: str | None = None
    type: str | None = None
    parent: str | None = None
    parent_type: str | None = None
    context_activities: tuple[str, ...] = ()
    track_content_id: str | None = None
    is_parent_defined: bool = False


def extract_event(
    statement_id: UUID,
    sequence: int,
    organization: str | None,
    statement: Json,
    vocabulary: Vocabulary,
    time_zone: tzinfo = UTC,
) -> ExtractedEvent | None:
    """The event of a stored statement; None unless an agent does something with an activity."""
    actor, target = statement["actor"], statement["object"]
    if actor.get("objectType") == "Group" or target.get("objectType", "Activity") != "Activity":
        return None
    context = statement.get("context", _EMPTY)
    extensions = context.get("extensions", _EMPTY)
    course = _launching_course(context) if LAUNCH in extensions else None
    if course:
        source, content, measures = "canvas", course, _duration_only(statement)
    else:
        source, content = ("track" if TRACK_EVENT in extensions else "xapi"), target
        measures = _measures(statement, vocabulary)
    identity, name = str(index_keys.agent_identity(actor)), person_name(actor)
    at, day = _time(statement["timestamp"], time_zone, has_day_precision=source == "track")
    event = Event(
        statement_id,
        sequence,
        organization or "",
        at,
        day,
        agent_key(identity),
        content_key(content["id"]),
        source,
        source == "track",
        measures,
    )
    if source != "xapi":
        activity_type = vocabulary.types.get(content.get("definition", _EMPTY).get("type"))
        title = content_id = None
        if source == "track" and isinstance(tracked := extensions[TRACK_EVENT], dict):
            title = _text_member(tracked, "title") or _text_member(tracked, "name")
            content_id = _text_member(tracked, "content_id")
        return ExtractedEvent(
            event,
            identity,
            content["id"],
            name,
            title,
            activity_type,
            track_content_id=content_id,
        )
    parent, parent_type, activities, is_parent_defined = _relations(target, context, vocabulary)
    return ExtractedEvent(
        event,
        identity,
        target["id"],
        name,
        parent=parent,
        parent_type=parent_type,
        context_activities=activities,
        is_parent_defined=is_parent_defined,
    )


def reason_without_event(statement: Json) -> str:
    """Why a statement has no event: what its actor or its object is."""
    if statement["actor"].get("objectType") == "Group":
        return "group as actor"
    return {
        "Agent": "agent as object",
        "Group": "group as object",
        "StatementRef": "statement as object",
        "SubStatement": "sub-statement as object",
    }[statement["object"]["objectType"]]


@lru_cache(100_000)
def _normal_name(name: str) -> str | None:
    text = " ".join(name.split()).strip(" ,")
    is_name = any(letter.isalnum() for letter in text) and "@" not in text
    return text if is_name and len(text) <= _MAX_NAME else None


def person_name(actor: Json) -> str | None:
    """The name of an agent with single blanks; None without one, or for an address."""
    name = actor.get("name")
    return _normal_name(name) if name and len(name) <= 4 * _MAX_NAME else None


def _text_member(track_event: Json, member: str) -> str | None:
    """A text in a track event without surrounding blanks; None without one."""
    text = track_event.get(member)
    return text.strip() or None if isinstance(text, str) else None


def _time(timestamp: str, time_zone: tzinfo, *, has_day_precision: bool) -> tuple[datetime, date]:
    """The time and its day in the time zone.

    A time at midnight, with day precision, has a date only: it is that date's begin in the zone.
    """
    at = parse_timestamp(timestamp)
    if time_zone is UTC:
        return at, at.date()
    if has_day_precision and track_events.has_day_precision(timestamp):
        at = datetime.combine(date.fromisoformat(timestamp[:10]), time(), time_zone)
    try:
        return at.astimezone(UTC), at.astimezone(time_zone).date()
    except OverflowError:
        return at, at.date()


def _launching_course(context: Json) -> Json | None:
    """The course that launched a tool: `lrs.xapi.canvas_callbacks` adds it as the first parent."""
    parents = context.get("contextActivities", _EMPTY).get("parent")
    return as_list(parents)[0] if parents else None


def _duration_only(statement: Json) -> Measures:
    """The time counts for the course; everything else in a callback is about the page."""
    result = statement.get("result", _EMPTY)
    return Measures(WORKED, milliseconds=_milliseconds(result.get("duration")))


def _measures(statement: Json, vocabulary: Vocabulary) -> Measures:
    verb = statement["verb"]["id"]
    kind, success = vocabulary.verbs.get(verb, (WORKED, None))
    result = statement.get("result", _EMPTY)
    context = statement.get("context", _EMPTY)
    duration = result.get("duration")
    if duration is not None and not _duration_counts(verb, context, vocabulary):
        duration = None
    extensions = [part["extensions"] for part in (result, context) if "extensions" in part]
    definition_extensions = statement["object"].get("definition", _EMPTY).get("extensions", _EMPTY)
    iris = vocabulary.extensions
    return Measures(
        "completed" if result.get("completion") is True else kind,
        context.get("registration"),
        None if duration is None else _milliseconds(duration),
        _percent(_first_value([*extensions, definition_extensions], iris["progress"])),
        *(_scores(result["score"]) if "score" in result else (None, None)),
        _number(_first_value(extensions, iris["percentile"])) if extensions else None,
        _decimal(_first_value(extensions, iris["xp"])) if extensions else None,
        result.get("success", success),
        _boolean(_first_value(extensions, iris["is_mobile"])) if extensions else None,
    )


def _duration_counts(verb: str, context: Json, vocabulary: Vocabulary) -> bool:
    """False for a statement within a session whose last statement has the whole time."""
    if "contextActivities" not in context:
        return True
    for category in as_list(context["contextActivities"].get("category", [])):
        verbs = vocabulary.sessions.get(category["id"])
        if verbs is not None and verb not in verbs:
            return False
    return True


def _relations(
    target: Json, context: Json, vocabulary: Vocabulary
) -> tuple[str | None, str | None, tuple[str, ...], bool]:
    """The parent of a content item, the parent's type, the activities in the context, and whether
    the definition has the parent.
    """
    parents: tuple[str, ...] = ()
    context_activities: tuple[str, ...] = ()
    if activities := context.get("contextActivities"):
        parents = _activity_ids(activities.get("parent", []))
        groups = as_list(activities.get("grouping", []))
        context_activities = parents + _activity_ids(groups)
        if not parents and _is_in_session(activities, vocabulary):
            # cmi5 names the course of an assignable unit there, if at all.
            parents = _courses(groups, vocabulary)
    if extensions := target.get("definition", _EMPTY).get("extensions"):
        parent = _first_value([extensions], vocabulary.extensions["parent"])
        if isinstance(parent, str) and ":" in parent:
            iri = _first_value([extensions], vocabulary.extensions["parent_type"])
            parent_type = vocabulary.types.get(iri) if isinstance(iri, str) else None
            return parent, None if parent_type == TRACK else parent_type, context_activities, True
    return (parents[0] if parents else None), None, context_activities, False


def _is_in_session(activities: Json, vocabulary: Vocabulary) -> bool:
    categories = as_list(activities.get("category", []))
    return any(category["id"] in vocabulary.sessions for category in categories)


def _courses(activities: list[Json], vocabulary: Vocabulary) -> tuple[str, ...]:
    """The ids of the activities that the statement defines as courses."""
    return tuple(
        activity["id"]
        for activity in activities
        if vocabulary.types.get(activity.get("definition", _EMPTY).get("type")) == "course"
    )


def _activity_ids(activities: Json | list[Json]) -> tuple[str, ...]:
    return tuple(activity["id"] for activity in as_list(activities))


def _first_value(extensions: list[Json], iris: tuple[str, ...]) -> Any:
    """The value of the first IRI in the first extensions that have one of the IRIs."""
    for values in extensions:
        for iri in iris:
            if iri in values:
                return values[iri]
    return None


@lru_cache(10_000)
def _milliseconds(duration: str | None) -> int | None:
    try:
        return durations.milliseconds(duration)
    except InvalidDuration:
        return None


def _scores(score: Json) -> tuple[float | None, float | None]:
    """The score in percent, and on the scale of the sender.

    A raw score without a maximum is taken for percent if it can be.
    """
    raw, scaled, maximum = score.get("raw"), score.get("scaled"), score.get("max")
    percent: float | None = None
    if raw is not None and maximum is not None and ("min" in score or scaled is None):
        minimum = score.get("min", min(0, raw))
        if maximum > minimum:
            percent = 100 * ((float(raw) - minimum) / (float(maximum) - minimum))
    if percent is None and scaled is not None:
        percent = 100 * scaled
    if percent is None and raw is not None and maximum is None and 0 <= raw <= 100:
        percent = raw
    if percent is not None:
        percent = round(float(percent), 9) if isfinite(percent) else None
    return percent, percent if raw is None else float(raw)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MAX_NUMBER:
        return None
    return float(value)


def _percent(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 100 else None


def _decimal(value: Any) -> Decimal | None:
    """A decimal, because sums of floats depend on their order."""
    return None if _number(value) is None else Decimal(str(value))


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
