"""The query parameters of the list of all learner records, and the cursor of its pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from lrs import cursors
from lrs.reports import record_query
from lrs.reports.compression import Compression, compression_name
from lrs.reports.identifiers import Identifier, parse_content, parse_learner
from lrs.xapi import query_params


class ListCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: the sort key of its last record.

    `updated_through` is that of the first page: records that change later are in the next
    increment. `updated_at` is part of the sort key of increments only.
    """

    updated_through: datetime
    updated_at: datetime | None
    user_id: int
    content_id: int
    organization: str


@dataclass(frozen=True, slots=True)
class RecordListQuery:
    """The filters of a list; None is no filter, the organization "" is no organization.

    `since`, `until` limit the last activity, `updated_since` the last change of the record (all but
    `until` are exclusive). Without a `limit` a file has all records. `parameters` are those of the
    request without the cursor.
    """

    learner: Identifier | None = None
    content: Identifier | None = None
    organization: str | None = None
    status: str | None = None
    success: bool | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None
    limit: int | None = None
    cursor: ListCursor | None = None
    raw: bool = False
    bom: bool = False
    compress: Compression | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def parse(
    parameters: Iterable[tuple[str, str]],
    *,
    home_page: str,
    page_size: int,
    is_file: bool,
    folds_mail_case: bool = True,
    organization: str | None = None,
) -> RecordListQuery:
    """The query of these parameters, with pages of at most `page_size`.

    `organization` is that of the path; then the parameter is not allowed. With `folds_mail_case`,
    an address of `learner` is found in any letter case. Raises InvalidParameter
    with every parameter that is unknown, repeated or malformed.
    """
    parameters = tuple(parameters)
    parsers = {**_PARSERS, **(_FILE_PARSERS if is_file else {})}
    if organization is not None:
        del parsers["organization"]
    values = query_params.parse(parameters, parsers, section=record_query.SECTION)
    cursor = values.get("cursor")
    if cursor and (cursor.updated_at is None) != ("updated_since" not in values):
        query_params.raise_if_invalid(
            [("cursor", "is of a list with other parameters: follow the `more` URL unchanged")],
            section=record_query.SECTION,
        )
    limit = values.pop("limit", 0)
    if limit or cursor or not is_file:
        values["limit"] = min(limit or page_size, page_size)
    if "learner" in values:
        values["learner"] = parse_learner(values["learner"], home_page, folds_case=folds_mail_case)
    if "content" in values:
        values["content"] = parse_content(values["content"], home_page)
    return RecordListQuery(
        parameters=tuple((name, text) for name, text in parameters if name != "cursor"),
        **{"organization": organization, **values},
    )


def _decode_cursor(text: str) -> ListCursor:
    try:
        cursor = cursors.decode(text, ListCursor)
        times = [time for time in (cursor.updated_through, cursor.updated_at) if time]
        if any(time.utcoffset() != timedelta(0) for time in times) or "\0" in cursor.organization:
            raise ValueError(text)
        if not all(0 <= number < 2**31 for number in (cursor.user_id, cursor.content_id)):
            raise ValueError(text)
    except ValueError:
        raise ValueError("the cursor of a `more` URL") from None
    return cursor


_PARSERS: dict[str, Any] = {
    "learner": query_params.text,
    "content": query_params.text,
    "organization": record_query.organization_name,
    "status": record_query.status_name,
    "success": query_params.boolean,
    "type": query_params.text,
    "since": query_params.timestamp,
    "until": query_params.timestamp,
    "updated_since": query_params.timestamp,
    "limit": query_params.limit,
    "cursor": _decode_cursor,
}
_FILE_PARSERS: dict[str, Any] = {
    "raw": query_params.boolean,
    "bom": query_params.boolean,
    "compress": compression_name,
}
