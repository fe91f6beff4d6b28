"""Learner records, by learner and by content item: one query for identifier and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrs import resources
from lrs.errors import NotFound
from lrs.reports.identifiers import Identifier
from lrs.reports.record_query import Position, RecordQuery
from lrs.store.postgres import Database, translate_errors

RECORDS_BY_LEARNER = resources.query("list_records_of_learner")
RECORDS_BY_CONTENT = resources.query("list_records_of_content")

COLUMNS = (
    "user_id", "user", "name", "email", "content_id", "activity_id", "title", "type",
    "organization",
    "status", "success", "progress", "started_at", "last_activity_at", "completed_at",
    "time_spent", "best_score", "last_score", "best_raw_score", "last_raw_score", "attempts",
    "source",
)  # fmt: skip
"""The columns of a record in JSON and CSV; times are in seconds, no organization is None."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A page of records.

    subject        the columns that all records share: of the learner or of the content item
    last_position  of the last record if there are more, else None
    """

    subject: Record
    records: list[Record]
    last_position: Position | None


async def fetch_by_learner(
    database: Database, partner_id: int, learner: Identifier, query: RecordQuery
) -> RecordPage:
    """A page of a learner's records. Raises NotFound without such a learner, and Unavailable."""
    arguments = (partner_id, learner.text, learner.keys, learner.number)
    rows = await _fetch(database, RECORDS_BY_LEARNER, arguments, query)
    if not rows:
        raise NotFound("Learner not found.")
    return _page(rows, query, shared=("user_id", "user", "name", "email"), sort_key="content_id")


async def fetch_by_content(
    database: Database, partner_id: int, content: Identifier, query: RecordQuery
) -> RecordPage:
    """A page of a content item's records. Raises NotFound without such an item, and Unavailable."""
    arguments = (partner_id, content.keys, content.number)
    rows = await _fetch(database, RECORDS_BY_CONTENT, arguments, query)
    if not rows:
        raise NotFound("Content item not found.")
    shared = ("content_id", "activity_id", "title", "type")
    return _page(rows, query, shared=shared, sort_key="user_id")


async def _fetch(
    database: Database, sql: str, identifier: tuple[Any, ...], query: RecordQuery
) -> list[Record]:
    """One row more than the limit; one row without a status if there are no records."""
    with translate_errors():
        rows = await database.lists.fetch(
            sql,
            *identifier,
            *query.after,
            query.organization,
            query.status,
            query.success,
            query.type,
            query.since,
            query.until,
            query.limit + 1,
        )
    return [dict(row) for row in rows]


def _page(
    rows: list[Record], query: RecordQuery, *, shared: tuple[str, ...], sort_key: str
) -> RecordPage:
    subject = {name: rows[0][name] for name in shared}
    records = [{name: row[name] for name in COLUMNS} for row in rows if row["status"]]
    if len(records) <= query.limit:
        return RecordPage(subject, records, None)
    records = records[: query.limit]
    last = records[-1]
    return RecordPage(subject, records, (last[sort_key], last["organization"] or ""))
