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
from lrs.reports.table_model import Column
from lrs.reports.tables import LEARNER_RECORD
from lrs.store.postgres import Connection, Database, translate_errors

_LAST_CHANGE = resources.query("get_last_record_change")
_DELETED = resources.query("list_deleted_records").replace("$2", "'-infinity'")
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

_KEY = "person_id, content_id, organization"

# The rows of a list, and what has their keys and the times of their changes: records and, in
# increments, tombstones of deleted ones.
_SOURCES = {
    tables.select(LEARNER_RECORD.name): "learner_record",
    _DELETED: f"(select partner_id, {_KEY}, deleted_at as updated_at from deleted_record)",
}


@dataclass(frozen=True, slots=True)
class RecordListPage:
    """A page of records; `next_cursor` is None on the last page.

    Records that change after `updated_through` are in the next increment.
    """

    records: list[dict[str, Any]]
    updated_through: datetime
    next_cursor: ListCursor | None


async def fetch_page(database: Database, partner_id: int, query: RecordListQuery) -> RecordListPage:
    """The next page of at most `query.limit` records. Raises Unavailable."""
    assert query.limit is not None  # noqa: S101
    with translate_errors():
        async with database.lists.acquire() as connection:
            updated_through = await _updated_through(connection, partner_id, query)
            selection = await _select(connection, partner_id, query)
            sql = selection.page(query.limit + 1)
            rows = [dict(row) for row in await connection.fetch(sql, *selection.arguments)]
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
    connection, cursor = snapshot.connection, None
    with translate_errors():
        updated_through = await _updated_through(connection, snapshot.partner_id, query)
        selection = await _select(connection, snapshot.partner_id, query)
        if query.limit is None:
            sql = selection.everything()
        else:
            sql = selection.page(query.limit)
            keys = f"{selection.keys(query.limit + 1)}\noffset {query.limit - 1}"
            ends = await connection.fetch(keys, *selection.arguments)
            if len(ends) == 2:
                cursor = _cursor_after(dict(ends[0]), updated_through, query)
    result = ExportQuery(
        RECORDS,
        sql,
        tuple(selection.arguments),
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


@dataclass(slots=True)
class _Selection:
    """A list as SQL: the conditions for the stored keys, by the query for the rows.

    A page reads as many keys as it has rows, in the order of an index, and looks up the rest.
    A file without a limit joins whole tables, and has no order.
    """

    arguments: list[Any]
    order: str
    conditions: dict[str, list[str]]

    def keys(self, limit: int) -> str:
        last = f"order by {self.order}\nlimit {limit}"
        parts = [f"({self._keys_of(rows)}\n{last})" for rows in self.conditions]
        return f"select *, person_id as user_id from ({' union all '.join(parts)}) as key\n{last}"

    def page(self, limit: int) -> str:
        details = "\nunion all\n".join(
            f"select {_COLUMNS} from (\n{rows}\n) as record"
            f" where key.source = {number} and user_id = key.person_id"
            " and content_id = key.content_id and coalesce(organization, '') = key.organization"
            for number, rows in enumerate(self.conditions)
        )
        return (
            f"select detail.* from (\n{self.keys(limit)}\n) as key\n"
            f"cross join lateral (\n{details}\noffset 0) as detail\n"
            f"order by {', '.join(f'key.{name}' for name in self.order.split(', '))}"
        )

    def everything(self) -> str:
        return "\nunion all\n".join(
            f"select {_COLUMNS} from (\n{rows}\n) as record"
            f" where (user_id, content_id, coalesce(organization, '')) in ("
            f"select {_KEY} from ({self._keys_of(rows)}) as key)"
            if len(conditions) > 1
            else f"select {_COLUMNS} from (\n{rows}\n) as record"
            for rows, conditions in self.conditions.items()
        )

    def _keys_of(self, rows: str) -> str:
        number = list(self.conditions).index(rows)
        return (
            f"select {_KEY}, updated_at, {number} as source from {_SOURCES[rows]} as record\n"
            f"where {' and '.join(self.conditions[rows])}"
        )


class _Arguments(list[Any]):
    """The arguments of an SQL text, which refers to them by position."""

    def condition(self, column: str, operator: str, value: Any, type_: str) -> str:
        self.append(value)
        return f"{column} {operator} ${len(self)}::{type_}"


async def _select(connection: Connection, partner_id: int, query: RecordListQuery) -> _Selection:
    arguments = _Arguments([partner_id])
    conditions = ["partner_id = $1"]
    conditions += await _identifier_conditions(connection, partner_id, query, arguments)
    order = _KEY
    if query.updated_since is not None:
        order = f"updated_at, {_KEY}"
        conditions.append(
            arguments.condition("updated_at", ">", query.updated_since, "timestamptz")
        )
    if query.cursor:
        conditions.append(_condition_after(query.cursor, order, arguments))
    records, deleted = _SOURCES
    selected = {records: conditions + _record_conditions(query, arguments)}
    if query.updated_since is not None and query.status is None:
        selected[deleted] = conditions
    return _Selection(arguments, order, selected)


async def _identifier_conditions(
    connection: Connection, partner_id: int, query: RecordListQuery, arguments: _Arguments
) -> list[str]:
    """Conditions for learner, content item, type and organization. 0 is the id of nothing."""
    conditions = []
    if query.organization is not None:
        conditions.append(arguments.condition("organization", "=", query.organization, "text"))
    if (learner := query.learner) is not None:
        row = await connection.fetchrow(
            _FIND_LEARNER, partner_id, learner.text, learner.keys, learner.number, False
        )
        person_id = row["user_id"] if row else 0
        conditions.append(arguments.condition("person_id", "=", person_id, "integer"))
    if (content := query.content) is not None:
        content_id = await connection.fetchval(
            _FIND_CONTENT, partner_id, content.keys, content.number
        )
        conditions.append(arguments.condition("content_id", "=", content_id or 0, "integer"))
    if query.type is not None:
        is_of_type = arguments.condition("", "", query.type, "text")
        conditions.append(
            "exists (select from content_item where partner_id = $1"
            f" and content_id = record.content_id and {is_of_type} in (type, defined_type))"
        )
    return conditions


def _record_conditions(query: RecordListQuery, arguments: _Arguments) -> list[str]:
    filters = (
        ("status", "=", query.status, "text"),
        ("success", "=", query.success, "boolean"),
        ("last_activity_at", ">", query.since, "timestamptz"),
        ("last_activity_at", "<=", query.until, "timestamptz"),
    )
    return [arguments.condition(*item) for item in filters if item[2] is not None]


def _condition_after(cursor: ListCursor, order: str, arguments: _Arguments) -> str:
    values: list[tuple[Any, str]] = [
        (cursor.user_id, "integer"),
        (cursor.content_id, "integer"),
        (cursor.organization, "text"),
    ]
    if order != _KEY:
        values.insert(0, (cursor.updated_at, "timestamptz"))
    key = [arguments.condition("", "", *value) for value in values]
    return f"({order}) > ({', '.join(key)})"
