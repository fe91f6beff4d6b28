"""Writing a batch of extracted events: persons, content items, groups, then the events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from lrs import resources
from lrs.projection import content_writer
from lrs.projection.content_writer import ContentId
from lrs.projection.event_batch import EventBatch, ProjectedStatement, extract_batch
from lrs.projection.events import Event, Measures
from lrs.projection.organization_writer import read_memberships
from lrs.projection.organizations import Memberships, infer_organization
from lrs.projection.partner_rules import PartnerRules
from lrs.projection.persons import Persons, ensure_persons, set_names, visible_ids, visible_names
from lrs.projection.recompute import Pair, mark_contents_changed
from lrs.store.postgres import Connection

_INSERT_GROUPS = resources.query("insert_missing_groups")
_STATEMENTS = resources.query("get_statements_to_project")
_DELETE_VOIDED = resources.query("delete_voided_events")
_INSERT_WITHOUT_EVENT = resources.query("insert_statements_without_event")
_DELETE_WITHOUT_EVENT = resources.query("delete_statements_without_event")

DELETED_LEARNER = "deleted learner"
"""Why a statement of a deleted person has no event."""

_EVENT_COLUMNS = (
    *("partner_id", "person_id", "content_id", "alias_id"),
    *("statement_id", "sequence", "organization", "is_organization_inferred"),
    *("at", "day", "agent_key", "source", "is_cumulative"),
    *Measures._fields,
)

# asyncpg sends the first and the last datetime of Python as -infinity and infinity, which have no
# day. Some senders use them for an unknown time.
_MICROSECOND = timedelta(microseconds=1)
_MIN_TIME = datetime.min.replace(tzinfo=UTC) + _MICROSECOND
_MAX_TIME = datetime.max.replace(tzinfo=UTC) - _MICROSECOND


async def write_batch(
    connection: Connection, partner_id: int, batch: EventBatch, rules: PartnerRules
) -> list[Pair]:
    """Write a batch, but not its facts and records; return the pairs to recompute."""
    persons = await ensure_persons(connection, partner_id, batch.agents)
    await set_names(connection, partner_id, visible_names(batch.agent_names, persons))
    changes = await content_writer.upsert_contents(
        connection, partner_id, batch.contents, batch.other_activities, rules
    )
    moved = await content_writer.update_courses(
        connection, partner_id, changes.moved, rules.settings
    )
    changed = [*changes.retyped_contents, *(content_id for content_id, _ in moved)]
    await mark_contents_changed(connection, partner_id, changed)
    await insert_groups(connection, partner_id, batch.organizations)
    memberships = await read_memberships(
        connection, partner_id, visible_ids(persons), rules.settings
    )
    events, hidden = split_deleted(batch.events, persons)
    pairs = await _write_events(connection, partner_id, events, persons, memberships)
    await insert_without_event(connection, partner_id, [*batch.without_event, *hidden])
    pairs += await content_writer.pairs_of_contents(connection, partner_id, moved)
    pairs += await _delete_voided(connection, partner_id, batch.voided, rules)
    await content_writer.update_track_contents(
        connection, partner_id, batch.context_pairs, changes.new_tracks
    )
    return pairs


async def _write_events(
    connection: Connection,
    partner_id: int,
    events: list[Event],
    persons: Persons,
    memberships: Memberships,
) -> list[Pair]:
    if not events:
        return []
    keys = {event.content_key for event in events}
    contents = await content_writer.content_ids(connection, partner_id, keys)
    await insert_events(connection, partner_id, events, persons, contents, memberships)
    return [
        (person_id, contents[event.content_key].content_id)
        for event in events
        if (person_id := persons[event.agent_key]) is not None
    ]


def split_deleted(
    events: Iterable[Event], persons: Persons
) -> tuple[list[Event], list[tuple[UUID, str]]]:
    """The events of persons who are not deleted; the statements of others, with the reason."""
    visible: list[Event] = []
    hidden: list[tuple[UUID, str]] = []
    for event in events:
        if persons[event.agent_key] is None:
            hidden.append((event.statement_id, DELETED_LEARNER))
        else:
            visible.append(event)
    return visible, hidden


async def insert_events(
    connection: Connection,
    partner_id: int,
    events: Iterable[Event],
    persons: Persons,
    contents: Mapping[int, ContentId],
    memberships: Memberships,
    *,
    table: str = "learning_event",
) -> None:
    """Insert events by COPY, the cheapest way for PostgreSQL and for Python.

    Each statement is projected once, so no event exists already. `persons` maps each agent key to
    a person id, `contents` each content key to a content id.
    """
    records = []
    for event in events:
        person_id, organization = persons[event.agent_key], event.organization
        if not organization and person_id in memberships:
            organization = infer_organization(memberships[person_id], event.day)
        records.append(
            (
                *(partner_id, person_id, *contents[event.content_key]),
                *(event.statement_id, event.sequence),
                *(organization, organization != event.organization),
                *(min(max(event.at, _MIN_TIME), _MAX_TIME), _finite(event.day), event.agent_key),
                *(event.source, event.is_cumulative, *event.measures),
            )
        )
    await connection.copy_records_to_table(table, columns=_EVENT_COLUMNS, records=records)


def _finite(day: date) -> date | None:
    """None, the UTC day of the time, for the days that asyncpg sends as infinite."""
    return None if day in (date.min, date.max) else day


async def _delete_voided(
    connection: Connection, partner_id: int, voided: Sequence[str], rules: PartnerRules
) -> list[Pair]:
    """Delete the events of voided statements; return the pairs they belonged to."""
    if not voided:
        return []
    await connection.execute(_DELETE_WITHOUT_EVENT, partner_id, voided)
    rows = await connection.fetch(_STATEMENTS, partner_id, voided)
    statements = (ProjectedStatement(*row) for row in rows)
    events = extract_batch(statements, rules.vocabulary, rules.time_zone).events
    deleted = await connection.fetch(
        _DELETE_VOIDED,
        partner_id,
        [event.statement_id for event in events],
        [event.agent_key for event in events],
        [event.content_key for event in events],
    )
    return [(row["person_id"], row["content_id"]) for row in deleted]


async def insert_without_event(
    connection: Connection, partner_id: int, statements: Sequence[tuple[UUID, str]]
) -> None:
    """Insert the ids of statements without an event, with the reason of each."""
    if statements:
        columns = map(list, zip(*statements, strict=True))
        await connection.execute(_INSERT_WITHOUT_EVENT, partner_id, *columns)


async def insert_groups(
    connection: Connection, partner_id: int, organizations: Iterable[str]
) -> None:
    """Insert the groups of these organizations unless they exist; "" is the partner's own."""
    await connection.execute(_INSERT_GROUPS, partner_id, sorted(organizations))
