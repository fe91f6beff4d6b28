"""What a list is limited to: conditions that are met in ranges of indexes, and a window of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lrs.store.statements import sequence
from lrs.xapi import index_keys
from lrs.xapi.statement_query import Cursor, StatementQuery

Column = Literal["key", "actor_key", "object_key", "verb_key", "authority_key", "organization"]


@dataclass(frozen=True, slots=True)
class Range:
    """The statements with one value in a column, which is one of `link` or of `statement`.

    Only statements that have nothing in one of the columns `lacking` have such links.
    """

    column: Column
    value: int | str
    lacking: tuple[Column, ...] = ()


Condition = tuple[Range, ...]
"""Statements must be in one of the ranges."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which statements, in which order. Conditions are all to be met."""

    conditions: tuple[Condition, ...]
    horizon: datetime
    since: datetime | None
    until: datetime | None
    cursor: Cursor | None
    ascending: bool
    limit: int

    def window(self) -> tuple[int, int]:
        """The places in which the page lies: from the first to before the second."""
        low = sequence.after(self.since) if self.since else 0
        high = sequence.after(min(self.horizon, self.until or self.horizon))
        if self.cursor is None:
            return low, high
        if self.ascending:
            return max(low, self.cursor.place + 1), high
        return low, min(high, self.cursor.place)


def select(
    query: StatementQuery,
    *,
    horizon: datetime,
    authority_key: int | None = None,
    organization: str | None = None,
) -> Selection:
    """What a query asks for, limited to one authority and one organization if they are given.

    Conditions that are met by few statements, as a rule, come first.
    """
    conditions: list[Condition] = []
    if query.registration:
        conditions.append((Range("key", index_keys.registration_key(query.registration)),))
    if query.agent:
        conditions.append(_agent(query.agent, related=query.related_agents))
    if query.activity:
        conditions.append(_activity(query.activity, related=query.related_activities))
    if organization is not None:
        conditions.append((Range("organization", organization),))
    if query.verb:
        key = index_keys.verb_key(query.verb)
        conditions.append((Range("verb_key", key), Range("key", key, lacking=("object_key",))))
    if authority_key is not None:
        conditions.append((Range("authority_key", authority_key),))
    return Selection(
        tuple(conditions),
        horizon,
        query.since,
        query.until,
        query.cursor,
        query.ascending,
        query.limit,
    )


def _agent(agent: dict[str, Any], *, related: bool) -> Condition:
    identity = index_keys.agent_identity(agent)
    direct = index_keys.entity_key("agent", str(identity))
    found = (
        Range("actor_key", direct),
        Range("key", direct, lacking=("actor_key", "object_key")),
    )
    if not related:
        return found
    return (
        *found,
        Range("key", index_keys.entity_key("related agent", str(identity))),
        Range("authority_key", direct),
    )


def _activity(activity: str, *, related: bool) -> Condition:
    direct = index_keys.activity_key(activity)
    found = (Range("object_key", direct), Range("key", direct, lacking=("object_key",)))
    if not related:
        return found
    return (*found, Range("key", index_keys.related_activity_key(activity)))
