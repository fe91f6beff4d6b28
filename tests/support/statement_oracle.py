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
    """A statement as the server gives it back, and the organization it was sent to."""

    statement: Json
    organization: str | None

    @property
    def id(self) -> UUID:
        return UUID(self.statement["id"])

    @property
    def at(self) -> datetime:
        return instant(self.statement["stored"])


@dataclass(frozen=True)
class Asked:
    """The parameters of a list, and whose list it is; `mine` is an authority agent."""

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
    """What the store must answer, given all that it holds.

    What was stored in the same microsecond is listed in the order given.
    """

    def __init__(self, world: Sequence[Stored]) -> None:
        self._by_id = {each.id: each for each in world}
        self._voided = {
            UUID(each.statement["object"]["id"])
            for each in world
            if each.statement["verb"]["id"] == VOIDED
        }

    def is_voided(self, statement_id: UUID) -> bool:
        """A voiding statement cannot be voided (Data 2.3.2)."""
        known = self._by_id.get(statement_id)
        return (
            known is not None
            and statement_id in self._voided
            and known.statement["verb"]["id"] != VOIDED
        )

    def list(self, asked: Asked) -> list[Json]:
        found = [each for each in self._by_id.values() if self._listed(each, asked)]
        found.sort(key=lambda each: each.at)
        return [each.statement for each in (found if asked.ascending else reversed(found))]

    def _listed(self, each: Stored, asked: Asked) -> bool:
        if self.is_voided(each.id):
            return False
        if asked.organization is not None and each.organization != asked.organization:
            return False
        if asked.mine is not None and not _same_agent(each.statement["authority"], asked.mine):
            return False
        if asked.since is not None and not each.at > instant(asked.since):
            return False
        if asked.until is not None and not each.at <= instant(asked.until):
            return False
        return self._meets_filters(each, asked)

    def _meets_filters(self, each: Stored, asked: Asked) -> bool:
        """Every filter is met by the statement or by one that it targets, at any distance."""
        candidates = [each.statement, *self._targets(each)]
        filters: list[Callable[[Json], bool]] = []
        if (agent := asked.agent) is not None:
            filters.append(lambda one: _has_agent(one, agent, asked.related_agents))
        if asked.verb is not None:
            filters.append(lambda one: one["verb"]["id"] == asked.verb)
        if (activity := asked.activity) is not None:
            related = asked.related_activities
            filters.append(lambda one: activity in _activities(one, related))
        if asked.registration is not None:
            filters.append(lambda one: _registration(one) == asked.registration)
        return all(any(map(meets, candidates)) for meets in filters)

    def _targets(self, each: Stored) -> Iterator[Json]:
        """The targets there are; they may be voided, and may lead back to where they began."""
        seen = {each.id}
        target = each.statement["object"]
        while target.get("objectType") == "StatementRef":
            target_id = UUID(target["id"])
            if target_id in seen or target_id not in self._by_id:
                return
            seen.add(target_id)
            found = self._by_id[target_id].statement
            yield found
            target = found["object"]


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
