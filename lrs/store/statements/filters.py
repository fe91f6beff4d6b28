"""The filter of a statement list: predicates, a time window, an order and a limit.

A predicate is a disjunction of index ranges: a statement matches if it lies in one of them. A
statement must match every predicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lrs.store.statements import sequence
from lrs.xapi import index_keys
from lrs.xapi.statement_query import Cursor, StatementQuery

Column = Literal["key", "actor_key", "object_key", "verb_key", "authority_key", "organization"]
"""`key` is the column of the index entries; the others are columns of `statement`."""


@dataclass(frozen=True, slots=True)
class IndexRange:
    """The statements with one value in an indexed column.

    `null_columns`, for a range of index entries: a statement has such an entry only if one of these
    columns is null. The check is skipped for other statements.
    """

    column: Column
    value: int | str
    null_columns: tuple[Column, ...] = ()


Predicate = tuple[IndexRange, ...]


@dataclass(frozen=True, slots=True)
class StatementFilter:
    """The statements of one page, at most `limit`.

    `watermark` and `until` are inclusive, `since` is exclusive. `cursor` is the end of the previous
    page.
    """

    predicates: tuple[Predicate, ...]
    watermark: datetime
    since: datetime | None
    until: datetime | None
    cursor: Cursor | None
    ascending: bool
    limit: int

    def sequence_range(self) -> tuple[int, int]:
        """The lowest sequence of the page, inclusive, and the highest, exclusive."""
        low = sequence.first_after(self.since) if self.since else 0
        high = sequence.first_after(min(self.watermark, self.until or self.watermark))
        if self.cursor is None:
            return low, high
        if self.ascending:
            return max(low, self.cursor.sequence + 1), high
        return low, min(high, self.cursor.sequence)


def build_filter(
    query: StatementQuery,
    *,
    watermark: datetime,
    authority_key: int | None = None,
    organization: str | None = None,
) -> StatementFilter:
    """The filter of a query, limited to one authority and one organization if set.

    Predicates are ordered by their usual selectivity: the rarest first.
    """
    predicates: list[Predicate] = []
    if query.registration:
        predicates.append((IndexRange("key", index_keys.registration_key(query.registration)),))
    if query.agent:
        predicates.append(_agent(query.agent, related=query.related_agents))
    if query.activity:
        predicates.append(_activity(query.activity, related=query.related_activities))
    if organization is not None:
        predicates.append((IndexRange("organization", organization),))
    if query.verb:
        key = index_keys.verb_key(query.verb)
        predicates.append(
            (IndexRange("verb_key", key), IndexRange("key", key, null_columns=("object_key",)))
        )
    if authority_key is not None:
        predicates.append((IndexRange("authority_key", authority_key),))
    return StatementFilter(
        tuple(predicates),
        watermark,
        query.since,
        query.until,
        query.cursor,
        query.ascending,
        query.limit,
    )


def _agent(agent: dict[str, Any], *, related: bool) -> Predicate:
    identity = index_keys.agent_identity(agent)
    key = index_keys.entity_key("agent", str(identity))
    ranges = (
        IndexRange("actor_key", key),
        IndexRange("key", key, null_columns=("actor_key", "object_key")),
    )
    if not related:
        return ranges
    return (
        *ranges,
        IndexRange("key", index_keys.entity_key("related agent", str(identity))),
        IndexRange("authority_key", key),
    )


def _activity(activity: str, *, related: bool) -> Predicate:
    key = index_keys.activity_key(activity)
    ranges = (
        IndexRange("object_key", key),
        IndexRange("key", key, null_columns=("object_key",)),
    )
    if not related:
        return ranges
    return (*ranges, IndexRange("key", index_keys.related_activity_key(activity)))
