"""Index keys: the 64-bit hashes by which statements are found.

A key is a hash of an entity's kind (verb, agent, activity, registration) and identity. It is
computed where it is needed; there is no table of keys. Agents and activities have two kinds:

- *direct*: matched by the `agent` and `activity` parameters (xAPI 1.0.3 Communication 2.1.3);
- *related*: matched only with `related_agents` or `related_activities`.

A statement has an entity under one of the two kinds, never both. The keys of the verb, of an actor
without members and of an object that is an activity are columns of the statement. All others are
index entries.

The page query relies on this: index entries of verbs, and direct entries of activities, exist only
for inherited filters, so only for statements whose object is a StatementRef.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Any, NamedTuple

from lrs.xapi.identifiers import normal_mailbox
from lrs.xapi.statement import as_list

Statement = dict[str, Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Role:
    """Bits for the roles of an entity in a statement; stored with each index entry.

    Plain integers: combining members of an IntFlag takes longer than the rest of this module.
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


# Longer identities are not cached: the cache stays below a few megabytes.
_CACHED_LENGTH = 200


def entity_key(kind: str, identity: str) -> int:
    """The key of an entity: 64 bits, signed, for a PostgreSQL bigint."""
    return _short_key(kind, identity) if len(identity) <= _CACHED_LENGTH else _key(kind, identity)


def _key(kind: str, identity: str) -> int:
    hashed = blake2b(f"{kind}\0{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big", signed=True)


_short_key = lru_cache(maxsize=20_000)(_key)


def verb_key(verb: str) -> int:
    return entity_key("verb", verb)


def registration_key(registration: str) -> int:
    return _key("registration", registration.lower())  # not cached: few registrations repeat


def activity_key(activity: str) -> int:
    return entity_key("activity", activity)


def related_activity_key(activity: str) -> int:
    return entity_key("related activity", activity)


def agent_key(agent: Statement) -> int | None:
    """The key of an agent or identified group; None for an anonymous group."""
    identity = agent_identity(agent)
    return None if identity is None else entity_key("agent", identity)


def agent_identity(agent: Statement) -> str | None:
    """The inverse functional identifier as one string, normalized (xAPI 1.0.3 Data 2.4.2.3)."""
    if (mbox := agent.get("mbox")) is not None:
        return f"mbox {normal_mailbox(mbox)}"
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
    """The id in the StatementRef that is the object; None for any other object."""
    target = statement["object"]
    if target.get("objectType") == "StatementRef":
        return str(target["id"])
    return None


EntityReference = tuple[str, str | None, Statement, int]
"""Kind, identity (None for an anonymous group), the object itself, and its role."""


def entity_references(statement: Statement) -> list[EntityReference]:
    """The agents and activities of a statement: the actor, then other direct ones, then related.

    The verb and the authority are columns of the statement. A sent authority is ignored: the LRS
    sets its own.
    """
    target = statement["object"]
    references = _agent(statement["actor"], Role.ACTOR) + _object(target, Role.OBJECT)
    if "context" in statement:
        references += _context(statement["context"])
    if target.get("objectType") == "SubStatement":
        for kind, identity, entity, role in entity_references(target):
            references.append((kind, identity, entity, role | Role.SUBSTATEMENT))
    return references


def actor_key(statement: Statement) -> int | None:
    """The key of the actor; None for a group that is anonymous or has members."""
    actor = statement["actor"]
    return None if actor.get("member") else agent_key(actor)


def object_key(statement: Statement) -> int | None:
    """The key of the object; None unless it is an activity."""
    target = statement["object"]
    is_activity = target.get("objectType", "Activity") == "Activity"
    return activity_key(target["id"]) if is_activity else None


class IndexKeys(NamedTuple):
    """The keys of a statement; `entries` maps each key but actor and object to its roles."""

    actor: int | None
    object: int | None
    entries: dict[int, int]


def statement_keys(
    statement: Statement, references: list[EntityReference] | None = None
) -> IndexKeys:
    """The index keys of a statement. `references` avoids a second call of `entity_references`."""
    references = references or entity_references(statement)
    _, identity, _, _ = references[0]  # the actor
    actor = None if identity is None else entity_key("agent", identity)
    target = object_key(statement)
    if target is not None and len(references) == 2 and "context" not in statement:
        return IndexKeys(actor, target, {})
    if statement["actor"].get("member"):
        actor = None
    entries = _entries(statement, references)
    for column in (actor, target):
        if column is not None:
            entries.pop(column, None)
    return IndexKeys(actor, target, entries)


def _entries(statement: Statement, references: list[EntityReference]) -> dict[int, int]:
    entries: dict[int, int] = {}
    direct = set()
    for kind, identity, _, role in references:
        if identity is None:
            continue
        if role in _DIRECT:
            direct.add((kind, identity))
        elif (kind, identity) not in direct:
            kind = f"related {kind}"
        hashed = entity_key(kind, identity)
        entries[hashed] = entries.get(hashed, 0) | role
    if "context" in statement and "registration" in statement["context"]:
        entries[registration_key(statement["context"]["registration"])] = Role.REGISTRATION
    return entries


def inherited_entries(target: Statement, limit: int) -> dict[int, int]:
    """The index entries that a StatementRef inherits from its target (Communication 2.1.3).

    Of the agents and activities of a target, those count that stand before `limit` is reached: the
    actor, the object, then those of the context.
    """
    entries = {verb_key(target["verb"]["id"]): Role.VERB | Role.INHERITED}
    references = entity_references(target)
    authority = _agent(target.get("authority", {}), Role.AUTHORITY)
    own = _entries(target, references[: max(0, limit - len(entries) - len(authority) - 1)])
    for hashed, roles in own.items():
        entries[hashed] = roles | Role.INHERITED
    for _, identity, _, _ in authority:
        if identity is not None and entity_key("agent", identity) not in entries:
            hashed = entity_key("related agent", identity)
            entries[hashed] = entries.get(hashed, 0) | Role.AUTHORITY | Role.INHERITED
    return entries


def _agent(agent: Statement, role: int) -> list[EntityReference]:
    if "member" in agent:
        agents = (agent, *agent["member"])
        return [("agent", agent_identity(item), item, role) for item in agents]
    return [("agent", agent_identity(agent), agent, role)]


def _object(target: Statement, role: int) -> list[EntityReference]:
    kind = target.get("objectType", "Activity")
    if kind in ("Agent", "Group"):
        return _agent(target, role)
    return [_activity(target, role)] if kind == "Activity" else []


def _activity(activity: Statement, role: int) -> EntityReference:
    return "activity", activity["id"], activity, role


def _context(context: Statement) -> list[EntityReference]:
    references: list[EntityReference] = []
    if "instructor" in context:
        references += _agent(context["instructor"], Role.INSTRUCTOR)
    if "team" in context:
        references += _agent(context["team"], Role.TEAM)
    for entry in context.get("contextAgents", ()):
        references += _agent(entry["agent"], Role.CONTEXT_AGENT)
    for entry in context.get("contextGroups", ()):
        references += _agent(entry["group"], Role.CONTEXT_AGENT)
    for name, activities in context.get("contextActivities", {}).items():
        role = CONTEXT_ROLES[name]
        references += [_activity(activity, role) for activity in as_list(activities)]
    return references
