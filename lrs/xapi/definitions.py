"""What a statement tells of the activities and agents that it speaks of.

The LRS gathers it: activities with their definitions (xAPI 1.0.3 Communication 2.5), the names that
agents go by (2.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from lrs.xapi.index_keys import EntityReference
from lrs.xapi.statement import Json, Rewriter

_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")


def identity_hash(identity: str) -> bytes:
    """16 bytes that stand for an IRI, an identifier or a name."""
    return blake2b(identity.encode(), digest_size=16).digest()


def activity_definitions(mentioned: Iterable[EntityReference]) -> dict[str, list[Json]]:
    """The definitions that a statement gives to activities, by activity id, in document order.

    The store merges them (Communication 2.5): `merge_definition` in sql/schema.sql.
    """
    found: dict[str, list[Json]] = {}
    for _, _, each, _ in mentioned:
        if definition := each.get("definition"):
            found.setdefault(each["id"], []).append(definition)
    return found


def activity_ids(statement: Json) -> set[str]:
    """The ids of all activities that a statement speaks of."""
    found: set[str] = set()

    def note(activity: Json) -> Json:
        found.add(activity["id"])
        return activity

    Rewriter(actor=_as_it_is, verb=_as_it_is, activity=note).statement(statement)
    return found


def agent_names(mentioned: Iterable[EntityReference]) -> list[tuple[str, str]]:
    """Pairs of an agent's identity and a name that a statement gives it; a group is no person."""
    return [
        (identity, each["name"])
        for _, identity, each, _ in mentioned
        if each.get("name") and each.get("objectType") != "Group" and identity is not None
    ]


def _as_it_is(part: Json) -> Json:
    return part


def activity_object(activity_id: str, definition: Mapping[str, Any] | None) -> Json:
    """The complete Activity object (Communication 2.5)."""
    known = {"objectType": "Activity", "id": activity_id}
    return {**known, "definition": definition} if definition else known


def person_object(agent: Json, known_names: Iterable[str]) -> Json:
    """The Person object of an agent: the identifier asked for, and all names it went by (2.4)."""
    gathered: Json = {"objectType": "Person"}
    for identifier in _IDENTIFIERS:
        if identifier in agent:
            gathered[identifier] = [agent[identifier]]
    all_names = dict.fromkeys([*([agent["name"]] if "name" in agent else []), *known_names])
    return {**gathered, "name": list(all_names)} if all_names else gathered
