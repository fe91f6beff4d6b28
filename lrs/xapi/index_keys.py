"""What a statement speaks of: agents, activities, its verb and its registration, as keys.

A key is a 64-bit hash of kind and identity, so that it is computed where it is needed and never
looked up. Agents and activities have two kinds each: *direct* where the `agent` and `activity`
parameters find them (xAPI 1.0.3 Communication 2.1.3), *related* where only `related_agents` and
`related_activities` do. A statement links an entity under one of the two, never both, so both
ranges stay as short as the answers they give. An actor and an activity that is the object are kept
with the statement itself, as its verb is; all others are links, and so is a group that has members.

So direct links of activities, and links of verbs, are inherited, by statements whose object is no
activity; direct links of agents belong to such statements too, or to those with no actor of their
own. Lists rely on that.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Any, NamedTuple

from lrs.xapi.statement import as_list

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


_DIRECT = (Role.ACTOR, Role.OBJECT)

CONTEXT_ROLES = {
    "parent": Role.PARENT,
    "grouping": Role.GROUPING,
    "category": Role.CATEGORY,
    "other": Role.OTHER,
}


# Identities longer than most are not remembered, so that what is remembered stays small.
_SHORT = 200


def entity_key(kind: str, identity: str) -> int:
    """The key of an entity: 64 bits, signed as PostgreSQL's bigint is."""
    return _short_key(kind, identity) if len(identity) <= _SHORT else _key(kind, identity)


def _key(kind: str, identity: str) -> int:
    hashed = blake2b(f"{kind}\0{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big", signed=True)


_short_key = lru_cache(maxsize=20_000)(_key)


def verb_key(verb: str) -> int:
    return entity_key("verb", verb)


def registration_key(registration: str) -> int:
    return _key("registration", registration.lower())  # few come often


def activity_key(activity: str) -> int:
    return entity_key("activity", activity)


def related_activity_key(activity: str) -> int:
    return entity_key("related activity", activity)


def agent_key(agent: Statement) -> int | None:
    """The key of an agent or identified group; None for an anonymous group."""
    identity = agent_identity(agent)
    return None if identity is None else entity_key("agent", identity)


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


def mbox_sha1sum_identity(mbox_identity: str) -> str:
    """The `mbox_sha1sum` identity of an `mbox` identity (xAPI 1.0.3 Data 2.4.2.3)."""
    address = mbox_identity.removeprefix("mbox ").encode()
    return f"mbox_sha1sum {sha1(address, usedforsecurity=False).hexdigest()}"


VOIDED_KEY = verb_key(VOIDED)


def statement_ref(statement: Statement) -> str | None:
    """The id of the statement that this one refers to by using it as its object."""
    target = statement["object"]
    if target.get("objectType") == "StatementRef":
        return str(target["id"])
    return None


EntityReference = tuple[str, str | None, Statement, int]
"""What is mentioned: its kind, its identity (an anonymous group has none), itself, its role."""


def entity_references(statement: Statement) -> list[EntityReference]:
    """Whom and what a statement speaks of: its actor, then what else is direct, then the rest.

    Its verb and authority are found by columns instead; an authority that was sent counts for
    nothing, since the LRS sets its own.
    """
    target = statement["object"]
    found = _agent(statement["actor"], Role.ACTOR) + _object(target, Role.OBJECT)
    if "context" in statement:
        found += _context(statement["context"])
    if target.get("objectType") == "SubStatement":
        for kind, identity, each, role in entity_references(target):
            found.append((kind, identity, each, role | Role.SUBSTATEMENT))
    return found


def actor_key(statement: Statement) -> int | None:
    """The key of the actor; None for a group that is anonymous or has members."""
    actor = statement["actor"]
    return None if actor.get("member") else agent_key(actor)


def object_key(statement: Statement) -> int | None:
    """The key of the object, if that is an activity."""
    target = statement["object"]
    is_activity = target.get("objectType", "Activity") == "Activity"
    return activity_key(target["id"]) if is_activity else None


class IndexKeys(NamedTuple):
    """What a statement is found by; `links`, key to roles, is all but its actor and object."""

    actor: int | None
    object: int | None
    entries: dict[int, int]


def statement_keys(
    statement: Statement, mentioned: list[EntityReference] | None = None
) -> IndexKeys:
    """The statement's keys; `mentioned` if that is known already."""
    mentioned = mentioned or entity_references(statement)
    _, identity, _, _ = mentioned[0]  # the actor's
    actor = None if identity is None else entity_key("agent", identity)
    target = object_key(statement)
    if target is not None and len(mentioned) == 2 and "context" not in statement:
        return IndexKeys(actor, target, {})  # there is nothing else
    if statement["actor"].get("member"):
        actor = None
    found = _entities(statement, mentioned)
    for kept in (actor, target):
        if kept is not None:
            found.pop(kept, None)
    return IndexKeys(actor, target, found)


def _entities(statement: Statement, mentioned: list[EntityReference]) -> dict[int, int]:
    found: dict[int, int] = {}
    direct = set()
    for kind, identity, _, role in mentioned:
        if identity is None:
            continue
        if role in _DIRECT:
            direct.add((kind, identity))
        elif (kind, identity) not in direct:
            kind = f"related {kind}"
        each = entity_key(kind, identity)
        found[each] = found.get(each, 0) | role
    if "context" in statement and "registration" in statement["context"]:
        found[registration_key(statement["context"]["registration"])] = Role.REGISTRATION
    return found


def inherited_entries(target: Statement) -> dict[int, int]:
    """The links that a statement takes over from one it refers to (Communication 2.1.3)."""
    entities = _entities(target, entity_references(target))
    found = {each: roles | Role.INHERITED for each, roles in entities.items()}
    found[verb_key(target["verb"]["id"])] = Role.VERB | Role.INHERITED
    for _, identity, _, _ in _agent(target.get("authority", {}), Role.AUTHORITY):
        if identity is not None and entity_key("agent", identity) not in found:
            each = entity_key("related agent", identity)
            found[each] = found.get(each, 0) | Role.AUTHORITY | Role.INHERITED
    return found


def _agent(agent: Statement, role: int) -> list[EntityReference]:
    if "member" in agent:
        everybody = (agent, *agent["member"])
        return [("agent", agent_identity(each), each, role) for each in everybody]
    return [("agent", agent_identity(agent), agent, role)]


def _object(target: Statement, role: int) -> list[EntityReference]:
    kind = target.get("objectType", "Activity")
    if kind in ("Agent", "Group"):
        return _agent(target, role)
    return [_activity(target, role)] if kind == "Activity" else []


def _activity(activity: Statement, role: int) -> EntityReference:
    return "activity", activity["id"], activity, role


def _context(context: Statement) -> list[EntityReference]:
    found: list[EntityReference] = []
    if "instructor" in context:
        found += _agent(context["instructor"], Role.INSTRUCTOR)
    if "team" in context:
        found += _agent(context["team"], Role.TEAM)
    for each in context.get("contextAgents", ()):
        found += _agent(each["agent"], Role.CONTEXT_AGENT)
    for each in context.get("contextGroups", ()):
        found += _agent(each["group"], Role.CONTEXT_AGENT)
    for name, activities in context.get("contextActivities", {}).items():
        found += [_activity(each, CONTEXT_ROLES[name]) for each in as_list(activities)]
    return found
