"""What a list is limited to: conditions that are met in ranges of indexes, and a window of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lrs.xapi import links
from lrs.xapi.query import Cursor, StatementQuery

Column = Literal["key", "verb_key", "authority_key", "organization"]

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True)
class Range:
    """The statements with one value in a column, which is one of `link` or of `statement`."""

    column: Column
    value: int | str


Condition = tuple[Range, ...]
"""Statements must be in one of the ranges."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a statement stands in a list."""

    stored: datetime
    statement_id: str


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

    def window(self) -> tuple[Place, Place]:
        """The places between which the page lies, neither included."""
        until = min(self.horizon, self.until or self.horizon)
        low = Place(self.since or _BEGINNING, _LAST_ID)
        high = Place(until + _TICK, _FIRST_ID)
        if self.cursor:
            cursor = Place(self.cursor.stored, self.cursor.statement_id.lower())
            low, high = (max(low, cursor), high) if self.ascending else (low, min(high, cursor))
        return low, high


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
        conditions.append((Range("key", links.registration_key(query.registration)),))
    if query.agent:
        conditions.append(_agent(query.agent, related=query.related_agents))
    if query.activity:
        conditions.append(_activity(query.activity, related=query.related_activities))
    if organization is not None:
        conditions.append((Range("organization", organization),))
    if query.verb:
        key = links.verb_key(query.verb)
        conditions.append((Range("verb_key", key), Range("key", key)))
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
    identity = links.agent_identity(agent)
    direct = links.key("agent", str(identity))
    if not related:
        return (Range("key", direct),)
    return (
        Range("key", direct),
        Range("key", links.key("related agent", str(identity))),
        Range("authority_key", direct),
    )


def _activity(activity: str, *, related: bool) -> Condition:
    direct = Range("key", links.activity_key(activity))
    if not related:
        return (direct,)
    return (direct, Range("key", links.related_activity_key(activity)))
