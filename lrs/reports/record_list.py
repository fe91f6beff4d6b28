"""The list of all learner records of a partner: pages, and files of all that match.

Without `updated_since` the order is that of learner, content item and organization, which does not
change: a reader misses no record. With it the order is that of changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lrs import resources
from lrs.reports import tables
from lrs.reports.exports import EPOCH, ExportQuery, Snapshot
from lrs.reports.record_list_query import ListCursor, RecordListQuery
from lrs.reports.tables import LEARNER_RECORD, Column
from lrs.store.postgres import Connection, Database, translate_errors

_LAST_CHANGE = resources.query("get_last_record_change")
_DELETED = resources.query("list_deleted_records")
_FIND_LEARNER = resources.query("find_learner")
_FIND_CONTENT = resources.query("find_content_item")

RECORDS = replace(
    LEARNER_RECORD,
    name="records",
    columns=tuple(
        Column("user", "text") if column.name == "external_id" else column
        for column in LEARNER_RECORD.columns
    ),
)
"""The columns of the list: those of the table, with the operator's id as `user`."""

_COLUMNS = ", ".join(
    'external_id as "user"' if column.name == "user" else column.name for column in RECORDS.columns
)
_ORGANIZATION = "coalesce(organization, '')"
_KEY = f"user_id, content_id, {_ORGANIZATION}"


@dataclass(frozen=True, slots=True)
class RecordListPage:
    """A page of records; `next_cursor` is None on the last page.

    Records that change after `updated_through` are in the next increment.
    """

    records: list[dict[str, Any]]
    updated_through: datetime
    next_cursor: ListCursor | None


class _Arguments(list[Any]):
    """The arguments of an SQL text, which names them by position."""

    def add(self, value: Any, type_: str) -> str:
        self.append(value)
        return f"${len(self)}::{type_}"


async def fetch_page(database: Database, partner_id: int, query: RecordListQuery) -> RecordListPage:
    """The next page of at most `query.limit` records. Raises Unavailable."""
    assert query.limit is not None  # noqa: S101
    with translate_errors():
        async with database.lists.acquire() as connection:
            updated_through = await _updated_through(connection, partner_id, query)
            sql, arguments = await _select(connection, partner_id, query, query.limit + 1)
            rows = [dict(row) for row in await connection.fetch(sql, *arguments)]
    records = rows[: query.limit]
    more = len(rows) > query.limit
    cursor = _cursor_after(records[-1], updated_through, query) if more else None
    return RecordListPage(records, updated_through, cursor)


async def export_query(
    snapshot: Snapshot, query: RecordListQuery
) -> tuple[ExportQuery, ListCursor | None]:
    """The query for a file of the records, and the cursor of the next file if there is a limit.

    Raises Unavailable.
    """
    connection, partner_id = snapshot.connection, snapshot.partner_id
    with translate_errors():
        updated_through = await _updated_through(connection, partner_id, query)
        sql, arguments = await _select(connection, partner_id, query, query.limit)
        cursor = None
        if query.limit is not None:
            sql_of_two, more = await _select(connection, partner_id, query, query.limit + 1)
            ends = await connection.fetch(
                f"select * from (\n{sql_of_two}\n) as page offset {query.limit - 1}", *more
            )
            if len(ends) == 2:
                cursor = _cursor_after(dict(ends[0]), updated_through, query)
    result = ExportQuery(
        RECORDS,
        sql,
        tuple(arguments),
        updated_through,
        snapshot.report_watermark,
        by_record=query.updated_since is not None,
    )
    return result, cursor


async def _updated_through(
    connection: Connection, partner_id: int, query: RecordListQuery
) -> datetime:
    """The time up to which changes are included; read before the records."""
    if query.cursor:
        return query.cursor.updated_through
    changed_at: datetime | None = await connection.fetchval(_LAST_CHANGE, partner_id)
    return changed_at or query.updated_since or EPOCH


def _cursor_after(
    record: dict[str, Any], updated_through: datetime, query: RecordListQuery
) -> ListCursor:
    return ListCursor(
        updated_through,
        record["updated_at"] if query.updated_since else None,
        record["user_id"],
        record["content_id"],
        record["organization"] or "",
    )


async def _select(
    connection: Connection, partner_id: int, query: RecordListQuery, limit: int | None
) -> tuple[str, list[Any]]:
    """The SQL for the records after the cursor, in order, and its arguments."""
    arguments = _Arguments([partner_id])
    conditions = await _conditions(connection, partner_id, query, arguments)
    if query.updated_since is None:
        return _ordered(tables.select(LEARNER_RECORD.name), conditions, _KEY, limit), arguments
    # Each part has its own limit, so that an index delivers it in order.
    order = f"updated_at, {_KEY}"
    time = arguments.add(query.updated_since, "timestamptz")
    conditions.append(f"updated_at > {time}")
    parts = [_ordered(tables.select(LEARNER_RECORD.name), conditions, order, limit)]
    if query.status is None:
        deleted = _DELETED.replace("$2", time)
        parts.append(_ordered(deleted, conditions, order, limit))
    changes = "\nunion all\n".join(f"({part})" for part in parts)
    last = "" if limit is None else f"\nlimit {limit}"
    return f"select * from (\n{changes}\n) as change\norder by {order}{last}", arguments


def _ordered(rows: str, conditions: list[str], order: str, limit: int | None) -> str:
    where = f"\nwhere {' and '.join(conditions)}" if conditions else ""
    last = "" if limit is None else f"\nlimit {limit}"
    # A file of all records needs no order; sorting a million rows would take memory.
    ordered = "" if limit is None else f"\norder by {order}"
    return f"select {_COLUMNS} from (\n{rows}\n) as record{where}{ordered}{last}"


async def _conditions(
    connection: Connection, partner_id: int, query: RecordListQuery, arguments: _Arguments
) -> list[str]:
    conditions = []
    for column, operator, value, type_ in (
        (_ORGANIZATION, "=", query.organization, "text"),
        ("status", "=", query.status, "text"),
        ("success", "=", query.success, "boolean"),
        ("last_activity_at", ">", query.since, "timestamptz"),
        ("last_activity_at", "<=", query.until, "timestamptz"),
    ):
        if value is not None:
            conditions.append(f"{column} {operator} {arguments.add(value, type_)}")
    if query.type is not None:
        conditions.append(
            "content_id in (select content_id from content_item where partner_id = $1"
            f" and {arguments.add(query.type, 'text')} in (type, defined_type))"
        )
    if query.learner is not None:
        own = query.learner
        row = await connection.fetchrow(
            _FIND_LEARNER, partner_id, own.text, own.keys, own.number, False
        )
        conditions.append(f"user_id = {arguments.add(row['user_id'] if row else 0, 'integer')}")
    if query.content is not None:
        content_id = await connection.fetchval(
            _FIND_CONTENT, partner_id, query.content.keys, query.content.number
        )
        conditions.append(f"content_id = {arguments.add(content_id or 0, 'integer')}")
    if cursor := query.cursor:
        key = [
            arguments.add(cursor.user_id, "integer"),
            arguments.add(cursor.content_id, "integer"),
            arguments.add(cursor.organization, "text"),
        ]
        columns, first = _KEY, ["user_id", "content_id"]
        if query.updated_since is not None:
            key.insert(0, arguments.add(cursor.updated_at, "timestamptz"))
            columns, first = f"updated_at, {_KEY}", ["updated_at", "user_id", "content_id"]
        # The first condition is one that the index has; the second one excludes its first rows.
        conditions.append(f"({', '.join(first)}) >= ({', '.join(key[:-1])})")
        conditions.append(f"({columns}) > ({', '.join(key)})")
    return conditions
