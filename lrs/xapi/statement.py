"""Helpers for statements: a rewriter of actors, verbs and activities; instants; derived ids.

The rewriter visits every member that xAPI 1.0.3 Data 2.4 and xAPI 2.0 4.2.2 define, SubStatements
included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from lrs.xapi.timestamps import parse_timestamp

Json = dict[str, Any]
Rewrite = Callable[[Json], Json]

TRACK_EVENT = "urn:x-lrs:track-event"
"""The context extension with the track event that a statement was made from."""

_DERIVED = uuid5(NAMESPACE_URL, "urn:x-lrs:derived")


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Copies a statement and replaces each actor, verb and activity; the original is unchanged."""

    actor: Rewrite
    verb: Rewrite
    activity: Rewrite

    def statement(self, statement: Json) -> Json:
        copy = {**statement}
        copy["actor"] = self.actor(statement["actor"])
        copy["verb"] = self.verb(statement["verb"])
        copy["object"] = self._object(statement["object"])
        if "context" in statement:
            copy["context"] = self._context(statement["context"])
        if "authority" in statement:
            copy["authority"] = self.actor(statement["authority"])
        return copy

    def _object(self, target: Json) -> Json:
        match target.get("objectType", "Activity"):
            case "Activity":
                return self.activity(target)
            case "Agent" | "Group":
                return self.actor(target)
            case "SubStatement":
                return self.statement(target)
            case _:
                return target

    def _context(self, context: Json) -> Json:
        copy = {**context}
        for key in ("instructor", "team"):
            if key in context:
                copy[key] = self.actor(context[key])
        if "contextActivities" in context:
            copy["contextActivities"] = {
                role: [self.activity(activity) for activity in as_list(activities)]
                for role, activities in context["contextActivities"].items()
            }
        for key, inner in (("contextAgents", "agent"), ("contextGroups", "group")):
            if key in context:
                copy[key] = [{**entry, inner: self.actor(entry[inner])} for entry in context[key]]
        return copy


def as_list(activities: Json | list[Json]) -> list[Json]:
    """The activities of one role of contextActivities, which may be one object or a list."""
    return activities if isinstance(activities, list) else [activities]


def instant(timestamp: str) -> str:
    """A timestamp normalized to UTC and microseconds (xAPI 1.0.3 Data 4.5)."""
    return parse_timestamp(timestamp).isoformat()


def derived_uuid(*parts: Any) -> str:
    """A UUID of version 5 (RFC 9562 5.5) derived from `parts` only.

    Version 8 is not used: clients in the field reject UUID versions above 5.
    """
    return str(uuid5(_DERIVED, orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()))
