"""Definitions of activities and names of agents in statements.

The LRS merges them: Activity objects (xAPI 1.0.3 Communication 2.5), Person objects (2.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from lrs.xapi.index_keys import EntityReference
from lrs.xapi.statement import Json, Rewriter

_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")


def identity_hash(identity: str) -> bytes:
    """A 16-byte hash of an IRI, an identifier or a name."""
    return blake2b(identity.encode(), digest_size=16).digest()


def activity_definitions(references: Iterable[EntityReference]) -> dict[str, list[Json]]:
    """The definitions in a statement, by activity id, in document order.

    The store merges them (Communication 2.5): `merge_definition` in sql/schema.sql.
    """
    definitions: dict[str, list[Json]] = {}
    for _, _, entity, _ in references:
        if definition := entity.get("definition"):
            definitions.setdefault(entity["id"], []).append(definition)
    return definitions


def activity_ids(statement: Json) -> list[str]:
    """The ids of all activities in a statement, as often as they occur."""
    ids: list[str] = []

    def collect(activity: Json) -> Json:
        ids.append(activity["id"])
        return activity

    Rewriter(actor=_unchanged, verb=_unchanged, activity=collect).statement(statement)
    return ids


def agent_names(references: Iterable[EntityReference]) -> list[tuple[str, str]]:
    """Pairs of identity and name of the agents in a statement, without groups."""
    return [
        (identity, entity["name"])
        for _, identity, entity, _ in references
        if entity.get("name") and entity.get("objectType") != "Group" and identity is not None
    ]


def _unchanged(part: Json) -> Json:
    return part


def activity_object(activity_id: str, definition: Mapping[str, Any] | None) -> Json:
    """The complete Activity object (Communication 2.5)."""
    activity: Json = {"objectType": "Activity", "id": activity_id}
    return {**activity, "definition": definition} if definition else activity


def person_object(agent: Json, names: Iterable[str]) -> Json:
    """The Person object of an agent: its identifier and all stored names (Communication 2.4)."""
    person: Json = {"objectType": "Person"}
    for identifier in _IDENTIFIERS:
        if identifier in agent:
            person[identifier] = [agent[identifier]]
    all_names = dict.fromkeys([*([agent["name"]] if "name" in agent else []), *names])
    return {**person, "name": list(all_names)} if all_names else person
