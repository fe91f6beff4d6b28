"""What one statement says of a learner and a content item.

An event is all that facts and records are made of; see docs/reporting.md, How facts are made.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from lrs.projection.vocabulary import TRACK, WORKED, Vocabulary
from lrs.xapi import durations, index_keys
from lrs.xapi.canvas_callbacks import LAUNCH
from lrs.xapi.durations import InvalidDuration
from lrs.xapi.statement import as_list
from lrs.xapi.timestamps import parse_timestamp
from lrs.xapi.track_events import ORIGINAL

Json = dict[str, Any]

# Numbers beyond it mean nothing, and their sums would not fit.
_MOST = 10**12
_NOTHING: Json = {}

agent_key = lru_cache(100_000)(lambda identity: index_keys.entity_key("agent", identity))
content_key = lru_cache(100_000)(index_keys.activity_key)


class Measures(NamedTuple):
    """What was done, and every number that is told of it; null is what is not told."""

    kind: str
    registration: str | None = None
    milliseconds: int | None = None
    progress: float | None = None
    score: float | None = None
    percentile: float | None = None
    xp: Decimal | None = None
    success: bool | None = None
    is_mobile: bool | None = None


class Event(NamedTuple):
    """`total` says that the time is that of all work so far, not of this event alone."""

    statement_id: UUID
    organization: str
    at: datetime
    agent_key: int
    content_key: int
    source: str
    total: bool
    measures: Measures


class ExtractedEvent(NamedTuple):
    """An event, and what else its statement says of its learner and content.

    `type` and `parent_type` say what content and parent are as long as nothing else does; that one
    is a track, only its definition says. `around` are the activities that the content was worked on
    within; tracks may be among them.
    """

    event: Event
    identity: str
    content: str
    type: str | None = None
    parent: str | None = None
    parent_type: str | None = None
    around: tuple[str, ...] = ()


def extract_event(
    statement_id: UUID, organization: str | None, statement: Json, vocabulary: Vocabulary
) -> ExtractedEvent | None:
    """What a stored statement says, if in it a learner does something with an activity."""
    actor, target = statement["actor"], statement["object"]
    if actor.get("objectType") == "Group" or target.get("objectType", "Activity") != "Activity":
        return None
    context = statement.get("context", _NOTHING)
    extensions = context.get("extensions", _NOTHING)
    course = _course(context) if LAUNCH in extensions else None
    if course:
        source, content, measures = "canvas", course, _time_alone(statement)
    else:
        source, content = ("track" if ORIGINAL in extensions else "xapi"), target
        measures = _measures(statement, vocabulary)
    identity = str(index_keys.agent_identity(actor))
    event = Event(
        statement_id,
        organization or "",
        parse_timestamp(statement["timestamp"]),
        agent_key(identity),
        content_key(content["id"]),
        source,
        source == "track",
        measures,
    )
    if source != "xapi":
        told = content.get("definition", _NOTHING).get("type")
        return ExtractedEvent(event, identity, content["id"], vocabulary.types.get(told))
    return ExtractedEvent(
        event, identity, target["id"], None, *_relations(target, context, vocabulary)
    )


def _course(context: Json) -> Json | None:
    """The course that a tool was launched in: lrs.xapi.canvas puts it first among the parents."""
    parents = context.get("contextActivities", _NOTHING).get("parent")
    return as_list(parents)[0] if parents else None


def _time_alone(statement: Json) -> Measures:
    """A callback's time counts for the course; all else in it is about the page."""
    result = statement.get("result", _NOTHING)
    return Measures(WORKED, milliseconds=_milliseconds(result.get("duration")))


def _measures(statement: Json, vocabulary: Vocabulary) -> Measures:
    verb = statement["verb"]["id"]
    kind, success = vocabulary.verbs.get(verb, (WORKED, None))
    result = statement.get("result", _NOTHING)
    context = statement.get("context", _NOTHING)
    duration = result.get("duration")
    if duration is not None and not _counts(verb, context, vocabulary):
        duration = None
    told = [part["extensions"] for part in (result, context) if "extensions" in part]
    of_content = statement["object"].get("definition", _NOTHING).get("extensions")
    named = vocabulary.extensions
    return Measures(
        "completed" if result.get("completion") is True else kind,
        context.get("registration"),
        None if duration is None else _milliseconds(duration),
        _percent(_found([*told, of_content or _NOTHING], named["progress"])),
        _score(result["score"]) if "score" in result else None,
        _number(_found(told, named["percentile"])) if told else None,
        _decimal(_found(told, named["xp"])) if told else None,
        result.get("success", success),
        _boolean(_found(told, named["is_mobile"])) if told else None,
    )


def _counts(verb: str, context: Json, vocabulary: Vocabulary) -> bool:
    """Whether the duration counts: in a session that tells its time at its end, only that does."""
    if "contextActivities" not in context:
        return True
    for category in as_list(context["contextActivities"].get("category", [])):
        verbs = vocabulary.sessions.get(category["id"])
        if verbs is not None and verb not in verbs:
            return False
    return True


def _relations(
    target: Json, context: Json, vocabulary: Vocabulary
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The parent of a content, what it is, and all activities around."""
    parents: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    if activities := context.get("contextActivities"):
        parents = tuple(each["id"] for each in as_list(activities.get("parent", [])))
        around = parents + tuple(each["id"] for each in as_list(activities.get("grouping", [])))
    if extensions := target.get("definition", _NOTHING).get("extensions"):
        parent = _found([extensions], vocabulary.extensions["parent"])
        if isinstance(parent, str) and ":" in parent:
            told = _found([extensions], vocabulary.extensions["parent_type"])
            kind = vocabulary.types.get(told) if isinstance(told, str) else None
            return parent, None if kind == TRACK else kind, around
    return (parents[0] if parents else None), None, around


def _found(extensions: list[Json], names: tuple[str, ...]) -> Any:
    for each in extensions:
        for name in names:
            if name in each:
                return each[name]
    return None


@lru_cache(10_000)
def _milliseconds(duration: str | None) -> int | None:
    try:
        return durations.milliseconds(duration)
    except InvalidDuration:
        return None


def _score(score: Json) -> float | None:
    if "raw" in score:
        return float(score["raw"])
    return round(100 * score["scaled"], 9) if "scaled" in score else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MOST:
        return None
    return float(value)


def _percent(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 100 else None


def _decimal(value: Any) -> Decimal | None:
    """Sums of decimals do not depend on their order."""
    return None if _number(value) is None else Decimal(str(value))


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
