"""Equality of statements: xAPI 1.0.3 Data 2.3.1 and Communication 2.1.1, IEEE 9274.1.1 4.2.

Two statements are equal when their canonical forms are equal. The canonical form

- omits what an LRS sets (id, stored, timestamp, authority, version), attachments, verb displays,
  activity definitions, and default object types;
- sorts the members of a group and the activities of each role of contextActivities;
- omits the track event that a statement was made from: its fields are members of the statement;
- normalizes a single context activity to a list, identifiers of agents, UUIDs and the language tag
  to lower case where case has no meaning, durations to 0.01 s, equal numbers to one form, and
  timestamps of a SubStatement to UTC.

All other values are compared exactly; texts are case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

import orjson

from lrs.xapi.identifiers import normal_agent
from lrs.xapi.statement import TRACK_EVENT, as_list, derived_uuid, instant

Json = dict[str, Any]

_MAX_DIFFERENCES = 20
# orjson parses integers outside this range as floats.
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
_FRACTION = re.compile(r"[.,](\d+)S$")


def digest(statement: Json) -> bytes:
    """A 16-byte hash of the canonical form."""
    return blake2b(_dumps(canonical_form(statement)), digest_size=16).digest()


def canonical_form(statement: Json) -> Json:
    """The canonical form of a statement (xAPI 1.0.3 Data 2.3.1). It may share objects with it."""
    form = {
        "actor": _actor(statement["actor"]),
        "verb": {"id": statement["verb"]["id"]},
        "object": _object(statement["object"]),
    }
    if "result" in statement:
        form["result"] = _result(statement["result"])
    if "context" in statement:
        form["context"] = _context(statement["context"])
    return form


def differences(a: Json, b: Json) -> list[str]:
    """JSON pointers (RFC 6901) to the members where the canonical forms differ, at most 20.

    A list that differs is named as a whole: most lists are unordered.
    """
    return sorted(_differing(canonical_form(a), canonical_form(b), ""))[:_MAX_DIFFERENCES]


def derived_id(statement: Json, organization: str | None) -> str:
    """The id of a statement with a timestamp and without an id; equal for a retry."""
    hashes = sorted(attachment["sha2"].lower() for attachment in statement.get("attachments", ()))
    return derived_uuid(
        "statement",
        canonical_form(statement),
        instant(statement["timestamp"]),
        hashes,
        organization,
    )


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _differing(a: Any, b: Any, pointer: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in a.keys() | b.keys():
            child = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in a and key in b:
                yield from _differing(a[key], b[key], child)
            else:
                yield child
    elif _dumps(a) != _dumps(b):
        yield pointer


def _actor(actor: Json) -> Json:
    actor = normal_agent(actor)
    kind = actor.get("objectType")
    if kind == "Agent":
        actor = {**actor}
        del actor["objectType"]
    elif kind == "Group" and "member" in actor:
        actor = {**actor, "member": _unordered(_actor, actor["member"])}
    return actor


def _object(target: Json) -> Json:
    kind = target.get("objectType", "Activity")
    if kind == "Activity":
        return {"id": target["id"]}
    if kind == "StatementRef":
        return _reference(target)
    if kind == "SubStatement":
        return _sub_statement(target)
    return {**_actor(target), "objectType": kind}


def _sub_statement(target: Json) -> Json:
    form = {**canonical_form(target), "objectType": "SubStatement"}
    if "timestamp" in target:
        form["timestamp"] = instant(target["timestamp"])
    return form


def _reference(reference: Json) -> Json:
    return {**reference, "id": reference["id"].lower()}


def _context_activities(roles: Json) -> Json:
    return {role: _unordered(_object, as_list(items)) for role, items in roles.items()}


def _context_agents(entries: list[Json]) -> list[Json]:
    return [_rewritten(_CONTEXT_AGENT, entry) for entry in entries]


def _duration(duration: str) -> str:
    return _FRACTION.sub(_hundredths, duration)


def _hundredths(fraction: re.Match[str]) -> str:
    digits = fraction[1][:2].rstrip("0")
    return f".{digits}S" if digits else "S"


def _result(result: Json) -> Json:
    return _rewritten(_RESULT, result)


def _context(context: Json) -> Json:
    return _rewritten(_CONTEXT, context)


def _context_extensions(extensions: Json) -> Json:
    if TRACK_EVENT in extensions:
        extensions = {**extensions}
        del extensions[TRACK_EVENT]
    form: Json = _value(extensions)
    return form


def _rewritten(rules: dict[str, Callable[[Any], Any]], part: Json) -> Json:
    copy = {**part}
    for key in part:
        if key in rules:
            copy[key] = rules[key](part[key])
    return copy


def _unordered(rule: Callable[[Json], Json], items: list[Json]) -> list[Json]:
    forms = [rule(item) for item in items]
    return sorted(forms, key=_dumps) if len(forms) > 1 else forms


def _value(value: Any) -> Any:
    """Any JSON value; a float with an integer value becomes an integer."""
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, float) and value.is_integer() and _MIN_INTEGER <= value <= _MAX_INTEGER:
        return int(value)
    return value


_RESULT: dict[str, Callable[[Any], Any]] = {
    "score": _value,
    "duration": _duration,
    "extensions": _value,
}
_CONTEXT: dict[str, Callable[[Any], Any]] = {
    "registration": str.lower,
    "instructor": _actor,
    "team": _actor,
    "contextActivities": _context_activities,
    "contextAgents": _context_agents,
    "contextGroups": _context_agents,
    "statement": _reference,
    "language": str.lower,
    "extensions": _context_extensions,
}
_CONTEXT_AGENT: dict[str, Callable[[Any], Any]] = {"agent": _actor, "group": _actor}
