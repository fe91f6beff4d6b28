"""Learner records, by learner and by content item: one query each, name to page."""

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
    "user_id", "user", "email", "content_id", "activity_id", "title", "type", "organization",
    "status", "success", "progress", "started_at", "last_activity_at", "completed_at",
    "time_spent", "best_score", "last_score", "attempts", "source",
)  # fmt: skip
"""The columns of a record, as JSON and as CSV; times are seconds, no organization is null."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records; `subject` are the columns of the learner or content item they have in common.

    `last` is where the page ends if there is more behind it.
    """

    subject: Record
    records: list[Record]
    last_position: Position | None


async def fetch_by_learner(
    database: Database, partner_id: int, learner: Identifier, query: RecordQuery
) -> RecordPage:
    """A page of a learner's records. Raises NotFound if nobody is called so."""
    arguments = (partner_id, learner.text, learner.keys, learner.number)
    found = await _fetch(database, RECORDS_BY_LEARNER, arguments, query)
    if not found:
        raise NotFound("There is no learner of this name.")
    return _page(found, query, common=("user_id", "user", "email"), place="content_id")


async def fetch_by_content(
    database: Database, partner_id: int, content: Identifier, query: RecordQuery
) -> RecordPage:
    """A page of the records of a content item. Raises NotFound if none is called so."""
    arguments = (partner_id, content.keys, content.number)
    found = await _fetch(database, RECORDS_BY_CONTENT, arguments, query)
    if not found:
        raise NotFound("There is no content item of this name.")
    common = ("content_id", "activity_id", "title", "type")
    return _page(found, query, common=common, place="user_id")


async def _fetch(
    database: Database, sql: str, named: tuple[Any, ...], query: RecordQuery
) -> list[Record]:
    with translate_errors():
        rows = await database.lists.fetch(
            sql,
            *named,
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
    found: list[Record], query: RecordQuery, *, common: tuple[str, ...], place: str
) -> RecordPage:
    subject = {name: found[0][name] for name in common}
    records = [{name: row[name] for name in COLUMNS} for row in found if row["status"]]
    more = len(records) > query.limit
    del records[query.limit :]
    last = (records[-1][place], records[-1]["organization"] or "") if more else None
    return RecordPage(subject, records, last)
