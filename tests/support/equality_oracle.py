"""Statement equality as the specification defines it, compared member by member."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

Json = dict[str, Any]
Rule = Callable[[Any, Any], bool]


# Rules of the specification


IGNORED = {"id", "stored", "timestamp", "authority", "version", "attachments"}


def same_statement(a: Json, b: Json) -> bool:
    return same_parts(a, b, STATEMENT, IGNORED)


def same_parts(
    a: Json, b: Json, rules: Mapping[str, Rule], ignored: set[str] | None = None
) -> bool:
    ignored = ignored or set()
    keys = {key for key in {*a, *b} if key not in ignored}
    return all(key in a and key in b and rules.get(key, same_value)(a[key], b[key]) for key in keys)


def same_value(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_value, a, b))
    return type(a) is type(b) and bool(a == b)


def same_in_any_order(same: Rule) -> Rule:
    def compare(a: Any, b: Any) -> bool:
        left = a if isinstance(a, list) else [a]
        right = list(b) if isinstance(b, list) else [b]
        for item in left:
            result = next((i for i, other in enumerate(right) if same(item, other)), None)
            if result is None:
                return False
            right.pop(result)
        return not right

    return compare


def same_verb(a: Json, b: Json) -> bool:
    return bool(a["id"] == b["id"])


def same_actor(a: Json, b: Json) -> bool:
    if a.get("objectType", "Agent") != b.get("objectType", "Agent"):
        return False
    members = same_in_any_order(same_actor)
    return same_parts(a, b, {"member": members}, {"objectType"})


def same_object(a: Json, b: Json) -> bool:
    kind = a.get("objectType", "Activity")
    if kind != b.get("objectType", "Activity"):
        return False
    if kind == "SubStatement":
        return same_parts(a, b, {**STATEMENT, "timestamp": same_instant}, {"attachments"})
    if kind == "StatementRef":
        return same_uuid(a["id"], b["id"])
    return bool(a["id"] == b["id"]) if kind == "Activity" else same_actor(a, b)


def same_uuid(a: str, b: str) -> bool:
    return UUID(a) == UUID(b)


def same_instant(a: str, b: str) -> bool:
    return datetime.fromisoformat(a) == datetime.fromisoformat(b)


def same_duration(a: str, b: str) -> bool:
    def components(text: str) -> tuple[str, str, int]:
        head, whole, fraction = re.fullmatch(r"(.*?)(\d*)(?:[.,](\d+))?S?", text).groups()  # type: ignore[union-attr]
        return head, whole, int(f"{fraction or ''}00"[:2])

    return a == b if not (a.endswith("S") and b.endswith("S")) else components(a) == components(b)


def same_result(a: Json, b: Json) -> bool:
    return same_parts(a, b, {"duration": same_duration})


def same_context(a: Json, b: Json) -> bool:
    return same_parts(a, b, CONTEXT)


def same_context_activities(a: Json, b: Json) -> bool:
    return a.keys() == b.keys() and all(same_in_any_order(same_object)(a[k], b[k]) for k in a)


def same_context_agents(a: list[Json], b: list[Json]) -> bool:
    rules = {"agent": same_actor, "group": same_actor}
    return len(a) == len(b) and all(same_parts(x, y, rules) for x, y in zip(a, b, strict=True))


STATEMENT: dict[str, Rule] = {
    "actor": same_actor,
    "verb": same_verb,
    "object": same_object,
    "result": same_result,
    "context": same_context,
}
CONTEXT: dict[str, Rule] = {
    "registration": same_uuid,
    "statement": same_object,
    "instructor": same_actor,
    "team": same_actor,
    "contextActivities": same_context_activities,
    "contextAgents": same_context_agents,
    "contextGroups": same_context_agents,
}
