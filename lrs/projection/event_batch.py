"""What a run of stored statements says, put together: events, and whom and what they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from lrs.projection.events import Event, content_key, extract_event
from lrs.projection.vocabulary import Vocabulary
from lrs.xapi import definitions, index_keys
from lrs.xapi.statement import as_list

Json = dict[str, Any]


class StoredStatement(NamedTuple):
    """A statement as it is stored; `voided` whether another one voids it."""

    statement_id: UUID
    organization: str | None
    payload: str
    voided: bool


class InferredContent(NamedTuple):
    """What statements say a content and its parent are, where its definition does not."""

    type: str | None = None
    parent: str | None = None

    def over(self, earlier: InferredContent | None) -> InferredContent:
        """The later word counts."""
        if earlier is None:
            return self
        return InferredContent(self.type or earlier.type, self.parent or earlier.parent)


@dataclass(slots=True)
class EventBatch:
    """What is said: `events`, and the ids of statements that are `voided`.

    Whom and what they speak of is told of voided statements as well, so that it does not depend on
    which came first. `agents` are identities by key, `contents` by activity id. `mentioned` are
    other activities that may be tracks, or contents that were defined; `around` are pairs of the
    keys of a content and of what it was worked on within.
    """

    events: list[Event] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    agents: dict[int, str] = field(default_factory=dict)
    contents: dict[str, InferredContent] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)
    around: set[tuple[int, int]] = field(default_factory=set)
    organizations: set[str] = field(default_factory=set)

    def say(self, activity: str, told: InferredContent) -> None:
        self.contents[activity] = told.over(self.contents.get(activity))


def extract_batch(stored: Iterable[StoredStatement], vocabulary: Vocabulary) -> EventBatch:
    gathered = EventBatch()
    for each in stored:
        statement = orjson.loads(each.payload)
        if statement["verb"]["id"] == index_keys.VOIDED:
            target = index_keys.statement_ref(statement)
            if target is not None:
                gathered.voided.append(target)
        else:
            _add(gathered, each, statement, vocabulary)
        gathered.mentioned.update(_defined(statement))
    return gathered


def _add(
    gathered: EventBatch, stored: StoredStatement, statement: Json, vocabulary: Vocabulary
) -> None:
    telling = extract_event(stored.statement_id, stored.organization, statement, vocabulary)
    if telling is None:
        return
    event = telling.event
    gathered.agents[event.agent_key] = telling.identity
    gathered.organizations.add(event.organization)
    gathered.say(telling.content, InferredContent(telling.type, telling.parent))
    if telling.parent:
        gathered.say(telling.parent, InferredContent(telling.parent_type))
    gathered.mentioned.update(telling.around)
    gathered.around.update((event.content_key, content_key(each)) for each in telling.around)
    if not stored.voided:
        gathered.events.append(event)


def _defined(statement: Json) -> Iterator[str]:
    """The activities that the statement defines."""
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        yield from definitions.activity_definitions(index_keys.entity_references(statement))
        return
    if "definition" in target:
        yield target["id"]
    for activities in statement.get("context", {}).get("contextActivities", {}).values():
        for each in as_list(activities):
            if "definition" in each:
                yield each["id"]
