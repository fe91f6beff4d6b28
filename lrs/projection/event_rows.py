"""Writing events, by COPY, which costs PostgreSQL and Python the least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from lrs.projection.events import Event, Measures
from lrs.store.postgres import Connection

_COLUMNS = (
    *("partner_id", "person_id", "content_id"),
    *("statement_id", "organization", "at", "agent_key", "source", "is_cumulative"),
    *Measures._fields,
)

# The driver takes Python's first and last instants for the infinite ones, which are on no day. Some
# senders tell them for want of a time.
_TICK = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC) + _TICK
_LAST = datetime.max.replace(tzinfo=UTC) - _TICK


async def insert_events(
    connection: Connection,
    partner_id: int,
    events: Iterable[Event],
    people: Mapping[int, int],
    contents: Mapping[int, int],
    *,
    table: str = "learning_event",
) -> None:
    """Each statement is followed once, so its event cannot be there yet.

    `people` and `contents` have the ids of all whom and what the events are of, by key.
    """
    await connection.copy_records_to_table(
        table,
        columns=_COLUMNS,
        records=[
            (
                *(partner_id, people[each.agent_key], contents[each.content_key]),
                *(each.statement_id, each.organization, min(max(each.at, _FIRST), _LAST)),
                *(each.agent_key, each.source, each.total, *each.measures),
            )
            for each in events
        ],
    )
