"""What a statement speaks of: agents, activities, its verb and its registration, as keys.

A key is a 64-bit hash of kind and identity, so that it is computed where it is needed and never
looked up. Agents and activities have two kinds each: *direct* where the `agent` and `activity`
parameters find them (xAPI 1.0.3 Communication 2.1.3), *related* where only `related_agents` and
`related_activities` do. A statement links an entity under one of the two, never both, so both
ranges stay as short as the answers they give. An actor and an activity that is the object are kept
with the statement itself, as its verb is; all others are links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

Statement = dict[str, Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Role:
    """Where an entity stands in a statement; kept with each link as a bitmask.

    Plain integers: an IntFlag costs more to combine than all the rest of this module.
    """

    ACTOR = 1
    OBJECT = 2
    AUTHORITY = 4
    INSTRUCTOR = 8
    TEAM = 16
    CONTEXT_AGENT = 32
    PARENT = 64
    GROUPING = 128
    CATEGORY = 256
    OTHER = 512
    VERB = 1024
    REGISTRATION = 2048
    SUBSTATEMENT = 4096
    INHERITED = 8192


CONTEXT_ROLES = {
    "parent": Role.PARENT,
    "grouping": Role.GROUPING,
    "category": Role.CATEGORY,
    "other": Role.OTHER,
}


# Identities longer than most are not remembered, so that what is remembered stays small.
_SHORT = 200


def key(kind: str, identity: str) -> int:
    """The key of an entity: 64 bits, signed as PostgreSQL's bigint is."""
    return _short_key(kind, identity) if len(identity) <= _SHORT else _key(kind, identity)


def _key(kind: str, identity: str) -> int:
    hashed = blake2b(f"{kind}\0{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big", signed=True)


_short_key = lru_cache(maxsize=20_000)(_key)


def verb_key(verb: str) -> int:
    return key("verb", verb)


def registration_key(registration: str) -> int:
    return key("registration", registration.lower())


def activity_key(activity: str) -> int:
    return key("activity", activity)


def related_activity_key(activity: str) -> int:
    return key("related activity", activity)


def agent_key(agent: Statement) -> int | None:
    """The key of an agent or identified group; None for an anonymous group."""
    identity = agent_identity(agent)
    return None if identity is None else key("agent", identity)


def agent_identity(agent: Statement) -> str | None:
    """The inverse functional identifier as one string (xAPI 1.0.3 Data 2.4.2.3)."""
    if (mbox := agent.get("mbox")) is not None:
        return f"mbox {mbox}"
    if (account := agent.get("account")) is not None:
        return f"account {account['homePage']} {account['name']}"
    if (openid := agent.get("openid")) is not None:
        return f"openid {openid}"
    if (digest := agent.get("mbox_sha1sum")) is not None:
        return f"mbox_sha1sum {digest.lower()}"
    return None


VOIDED_KEY = verb_key(VOIDED)


def reference(statement: Statement) -> str | None:
    """The id of the statement that this one refers to by using it as its object."""
    target = statement["object"]
    if target.get("objectType") == "StatementRef":
        return str(target["id"])
    return None


Mention = tuple[Statement, int]
"""An agent, a group or an activity, and the role that it is mentioned in."""


class Mentions(NamedTuple):
    """All that a statement mentions, as `direct` and `related` are told apart above."""

    direct: list[Mention]
    related: list[Mention]


def mentions(statement: Statement) -> Mentions:
    """Whom and what a statement speaks of.

    Its verb and authority are found by columns instead; an authority that was sent counts for
    nothing, since the LRS sets its own.
    """
    return Mentions(_direct(statement), list(_related(statement)))


def actor_key(statement: Statement) -> int | None:
    """The key of the actor; None for an anonymous group."""
    return agent_key(statement["actor"])


def object_key(statement: Statement) -> int | None:
    """The key of the object, if that is an activity."""
    target = statement["object"]
    is_activity = target.get("objectType", "Activity") == "Activity"
    return activity_key(target["id"]) if is_activity else None


class Keys(NamedTuple):
    """What a statement is found by; `links`, key to roles, is all but its actor and object."""

    actor: int | None
    object: int | None
    links: dict[int, int]


def keys(statement: Statement, mentioned: Mentions | None = None) -> Keys:
    """The statement's keys; `mentioned` if that is known already."""
    kept = (actor_key(statement), object_key(statement))
    found = _entities(statement, mentioned).items()
    return Keys(*kept, {each: roles for each, roles in found if each not in kept})


def _entities(statement: Statement, mentioned: Mentions | None = None) -> dict[int, int]:
    direct, related = mentioned or mentions(statement)
    found: dict[int, int] = {}
    agents, activities = _sort_out(direct)
    for identity, role in agents.items():
        found[key("agent", identity)] = role
    for activity, role in activities.items():
        found[key("activity", activity)] = role
    if related:
        related_agents, related_activities = _sort_out(related)
        for identity, role in related_agents.items():
            kind = "agent" if identity in agents else "related agent"
            _add(found, key(kind, identity), role)
        for activity, role in related_activities.items():
            kind = "activity" if activity in activities else "related activity"
            _add(found, key(kind, activity), role)
    if "context" in statement and "registration" in statement["context"]:
        found[registration_key(statement["context"]["registration"])] = Role.REGISTRATION
    return found


def inherited(target: Statement) -> dict[int, int]:
    """The links that a statement takes over from one it refers to (Communication 2.1.3)."""
    found = {each: roles | Role.INHERITED for each, roles in _entities(target).items()}
    found[verb_key(target["verb"]["id"])] = Role.VERB | Role.INHERITED
    for authority, _ in _agent(target.get("authority", {}), Role.AUTHORITY):
        identity = agent_identity(authority)
        if identity is not None and key("agent", identity) not in found:
            _add(found, key("related agent", identity), Role.AUTHORITY | Role.INHERITED)
    return found


def _direct(statement: Statement) -> list[Mention]:
    return [
        *_agent(statement["actor"], Role.ACTOR),
        *_object(statement["object"], Role.OBJECT),
    ]


def _related(statement: Statement) -> Iterator[Mention]:
    if "context" in statement:
        yield from _context(statement["context"])
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        for mention, role in (*_direct(target), *_related(target)):
            yield mention, role | Role.SUBSTATEMENT


def _agent(agent: Statement, role: int) -> list[Mention]:
    if "member" in agent:
        return [(each, role) for each in (agent, *agent["member"])]
    return [(agent, role)]


def _object(target: Statement, role: int) -> list[Mention]:
    kind = target.get("objectType", "Activity")
    if kind in ("Agent", "Group"):
        return _agent(target, role)
    return [(target, role)] if kind == "Activity" else []


def _context(context: Statement) -> Iterator[Mention]:
    if "instructor" in context:
        yield from _agent(context["instructor"], Role.INSTRUCTOR)
    if "team" in context:
        yield from _agent(context["team"], Role.TEAM)
    for each in context.get("contextAgents", ()):
        yield from _agent(each["agent"], Role.CONTEXT_AGENT)
    for each in context.get("contextGroups", ()):
        yield from _agent(each["group"], Role.CONTEXT_AGENT)
    for name, activities in context.get("contextActivities", {}).items():
        role = CONTEXT_ROLES[name]
        for activity in [activities] if isinstance(activities, dict) else activities:
            yield activity, role


def _sort_out(mentions: Iterable[Mention]) -> tuple[dict[str, int], dict[str, int]]:
    agents: dict[str, int] = {}
    activities: dict[str, int] = {}
    for mention, role in mentions:
        if "id" in mention:
            _add(activities, mention["id"], role)
        elif (identity := agent_identity(mention)) is not None:
            _add(agents, identity, role)
    return agents, activities


def _add(found: dict[Any, int], entity: Any, role: int) -> None:
    found[entity] = found.get(entity, 0) | role
