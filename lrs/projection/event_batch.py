"""A batch of statements as events, with the learners, content items and groups they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from lrs.projection.events import Event, content_key, extract_event, reason_without_event
from lrs.projection.vocabulary import Vocabulary
from lrs.xapi import definitions, index_keys
from lrs.xapi.statement import as_list

Json = dict[str, Any]


class ProjectedStatement(NamedTuple):
    """A statement as it is stored; `voided` if another statement voids it."""

    sequence: int
    statement_id: UUID
    organization: str | None
    payload: str
    voided: bool


class InferredContent(NamedTuple):
    """What statements say of a content item beside its definition.

    `title` and `track_content_id` are those of track events, `source` is the source of the newest
    statement. `parent` is the newest one that a definition has, or else the first one in a context:
    a content item in several contexts would move with every statement.
    """

    type: str | None = None
    parent: str | None = None
    title: str | None = None
    source: str | None = None
    track_content_id: str | None = None
    is_parent_defined: bool = False

    def merged_over(self, earlier: InferredContent | None) -> InferredContent:
        """These values, and the earlier ones where these are None."""
        if earlier is None:
            return self
        return InferredContent(
            self.type or earlier.type,
            self.parent if self.is_parent_defined else earlier.parent or self.parent,
            self.title or earlier.title,
            self.source or earlier.source,
            self.track_content_id or earlier.track_content_id,
            self.is_parent_defined or earlier.is_parent_defined,
        )


@dataclass(slots=True)
class EventBatch:
    """The content of a batch of statements.

    events            of statements that are not voided
    voided            ids of the statements that this batch voids
    without_event     ids of statements that are no event, with the reason; none is voided
    agents            identities by agent key
    agent_names       the newest name of agents that have one, by agent key
    contents          inferred content by activity id, in the order of first appearance
    other_activities  ids of activities that may be tracks, or are defined in a statement
    context_pairs     content keys of a content item and of an activity in its context
    organizations     "" is no organization

    All but `events` and `without_event` include voided statements: the result must not depend on
    whether a statement or its voiding is stored first.
    """

    events: list[Event] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    without_event: list[tuple[UUID, str]] = field(default_factory=list)
    agents: dict[int, str] = field(default_factory=dict)
    agent_names: dict[int, str] = field(default_factory=dict)
    contents: dict[str, InferredContent] = field(default_factory=dict)
    other_activities: set[str] = field(default_factory=set)
    context_pairs: set[tuple[int, int]] = field(default_factory=set)
    organizations: set[str] = field(default_factory=set)

    def record(self, activity: str, content: InferredContent) -> None:
        """Add inferred content; later values take precedence."""
        self.contents[activity] = content.merged_over(self.contents.get(activity))


def extract_batch(
    statements: Iterable[ProjectedStatement], vocabulary: Vocabulary, time_zone: tzinfo = UTC
) -> EventBatch:
    """The batch of these statements, which are in the order of their sequences."""
    batch = EventBatch()
    for stored in statements:
        statement = orjson.loads(stored.payload)
        if statement["verb"]["id"] == index_keys.VOIDED:
            target = index_keys.statement_ref(statement)
            if target is not None:
                batch.voided.append(target)
        else:
            _add_event(batch, stored, statement, vocabulary, time_zone)
        batch.other_activities.update(_defined_activities(statement))
    return batch


def _add_event(
    batch: EventBatch,
    stored: ProjectedStatement,
    statement: Json,
    vocabulary: Vocabulary,
    time_zone: tzinfo,
) -> None:
    extracted = extract_event(
        stored.statement_id, stored.sequence, stored.organization, statement, vocabulary, time_zone
    )
    if extracted is None:
        if not stored.voided:
            batch.without_event.append((stored.statement_id, reason_without_event(statement)))
        return
    event = extracted.event
    batch.agents[event.agent_key] = extracted.identity
    if extracted.name:
        batch.agent_names[event.agent_key] = extracted.name
    batch.organizations.add(event.organization)
    batch.record(
        extracted.content,
        InferredContent(
            extracted.type,
            extracted.parent,
            extracted.title,
            event.source,
            extracted.track_content_id,
            extracted.is_parent_defined,
        ),
    )
    if extracted.parent:
        batch.record(extracted.parent, InferredContent(extracted.parent_type))
    batch.other_activities.update(extracted.context_activities)
    batch.context_pairs.update(
        (event.content_key, content_key(activity)) for activity in extracted.context_activities
    )
    if not stored.voided:
        batch.events.append(event)


def _defined_activities(statement: Json) -> Iterator[str]:
    """The ids of activities whose definitions are in the statement."""
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        yield from definitions.activity_definitions(index_keys.entity_references(statement))
        return
    if "definition" in target:
        yield target["id"]
    for activities in statement.get("context", {}).get("contextActivities", {}).values():
        for activity in as_list(activities):
            if "definition" in activity:
                yield activity["id"]
