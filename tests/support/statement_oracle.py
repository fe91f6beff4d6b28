"""A naive implementation of GET /statements (xAPI 1.0.3 Communication 2.1.3, 2.1.4).

A filter over the statements as returned, written from the text of the specification. It shares no
code with the server and uses no index and no key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

Json = dict[str, Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")


@dataclass(frozen=True)
class Stored:
    """A statement as returned by the server, and its organization."""

    statement: Json
    organization: str | None

    @property
    def id(self) -> UUID:
        return UUID(self.statement["id"])

    @property
    def at(self) -> datetime:
        return instant(self.statement["stored"])


@dataclass(frozen=True)
class ListQuery:
    """The parameters of a list; `mine` is the authority of a credential with read/mine."""

    agent: Json | None = None
    related_agents: bool = False
    verb: str | None = None
    activity: str | None = None
    related_activities: bool = False
    registration: str | None = None
    since: str | None = None
    until: str | None = None
    ascending: bool = False
    organization: str | None = None
    mine: Json | None = None


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Oracle:
    """The expected results, computed from all stored statements.

    Statements stored in the same microsecond keep the order of the input.
    """

    def __init__(self, world: Sequence[Stored]) -> None:
        self._by_id = {item.id: item for item in world}
        self._voided = {
            UUID(item.statement["object"]["id"])
            for item in world
            if item.statement["verb"]["id"] == VOIDED
        }

    def is_voided(self, statement_id: UUID) -> bool:
        """A voiding statement cannot be voided (Data 2.3.2)."""
        existing = self._by_id.get(statement_id)
        return (
            existing is not None
            and statement_id in self._voided
            and existing.statement["verb"]["id"] != VOIDED
        )

    def list(self, requested: ListQuery) -> list[Json]:
        result = [item for item in self._by_id.values() if self._listed(item, requested)]
        result.sort(key=lambda item: item.at)
        return [item.statement for item in (result if requested.ascending else reversed(result))]

    def _listed(self, item: Stored, requested: ListQuery) -> bool:
        if self.is_voided(item.id):
            return False
        if requested.organization is not None and item.organization != requested.organization:
            return False
        if requested.mine is not None and not _same_agent(
            item.statement["authority"], requested.mine
        ):
            return False
        if requested.since is not None and not item.at > instant(requested.since):
            return False
        if requested.until is not None and not item.at <= instant(requested.until):
            return False
        return self._meets_filters(item, requested)

    def _meets_filters(self, item: Stored, requested: ListQuery) -> bool:
        """Every filter matches the statement or a target, at any distance."""
        candidates = [item.statement, *self._targets(item)]
        filters: list[Callable[[Json], bool]] = []
        if (agent := requested.agent) is not None:
            filters.append(lambda one: _has_agent(one, agent, requested.related_agents))
        if requested.verb is not None:
            filters.append(lambda one: one["verb"]["id"] == requested.verb)
        if (activity := requested.activity) is not None:
            related = requested.related_activities
            filters.append(lambda one: activity in _activities(one, related))
        if requested.registration is not None:
            filters.append(lambda one: _registration(one) == requested.registration)
        return all(any(map(meets, candidates)) for meets in filters)

    def _targets(self, item: Stored) -> Iterator[Json]:
        """The stored targets; they may be voided, and may form a cycle."""
        seen = {item.id}
        target = item.statement["object"]
        while target.get("objectType") == "StatementRef":
            target_id = UUID(target["id"])
            if target_id in seen or target_id not in self._by_id:
                return
            seen.add(target_id)
            result = self._by_id[target_id].statement
            yield result
            target = result["object"]


def _same_agent(one: Json, other: Json) -> bool:
    return any(name in one and one[name] == other.get(name) for name in IDENTIFIERS)


def _matches(actor: Json, agent: Json) -> bool:
    """An Agent or Group with the identifier, or a Group with such a member."""
    return _same_agent(actor, agent) or any(
        _same_agent(member, agent) for member in actor.get("member", [])
    )


def _has_agent(statement: Json, agent: Json, related: bool) -> bool:
    return any(_matches(actor, agent) for actor in _actors(statement, related))


def _registration(statement: Json) -> str | None:
    registration: str | None = statement.get("context", {}).get("registration")
    return registration


def _actors(statement: Json, related: bool) -> Iterator[Json]:
    yield statement["actor"]
    target = statement["object"]
    if target.get("objectType") in ("Agent", "Group"):
        yield target
    if not related:
        return
    if "authority" in statement:
        yield statement["authority"]
    context = statement.get("context", {})
    for name in ("instructor", "team"):
        if name in context:
            yield context[name]
    for entry in context.get("contextAgents", []):
        yield entry["agent"]
    for entry in context.get("contextGroups", []):
        yield entry["group"]
    if target.get("objectType") == "SubStatement":
        yield from _actors(target, related=True)


def _activities(statement: Json, related: bool) -> Iterator[str]:
    target = statement["object"]
    if target.get("objectType", "Activity") == "Activity":
        yield target["id"]
    if not related:
        return
    for activities in statement.get("context", {}).get("contextActivities", {}).values():
        yield from (activity["id"] for activity in activities)
    if target.get("objectType") == "SubStatement":
        yield from _activities(target, related=True)
