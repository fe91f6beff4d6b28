"""The query parameters of learner records, and the cursor of `more` (keyset pagination)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lrs import cursors
from lrs.xapi import query_params

SECTION = "Learner records"

STATUSES = ("not_started", "in_progress", "completed")

Position = tuple[int, str]
"""The sort key of a page's last record: content item id or learner id, and organization."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """The filters of a query; None is no filter.

    `since` is exclusive, `until` inclusive; the organization "" is no organization. The page begins
    after the position `after`. `raw` is CSV with every cell as stored, `bom` CSV
    with a byte order mark. `parameters` are those of
    the request without the cursor.
    """

    limit: int
    organization: str | None = None
    status: str | None = None
    success: bool | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Position = (0, "")
    raw: bool = False
    bom: bool = False
    parameters: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def parse(
    parameters: Iterable[tuple[str, str]], *, page_size: int, organization: str | None = None
) -> RecordQuery:
    """The query of these parameters, with pages of at most `page_size`.

    `organization` is that of the path; then the parameter is not allowed. Raises InvalidParameter
    with every parameter that is unknown, repeated or malformed.
    """
    parameters = tuple(parameters)
    parsers = dict(_PARSERS)
    if organization is not None:
        del parsers["organization"]
    values = query_params.parse(parameters, parsers, section=SECTION)
    limit = min(values.pop("limit", 0) or page_size, page_size)
    after = values.pop("cursor", (0, ""))
    return RecordQuery(
        limit=limit,
        after=after,
        parameters=tuple((name, text) for name, text in parameters if name != "cursor"),
        **{"organization": organization, **values},
    )


def _decode_cursor(text: str) -> Position:
    try:
        number, organization = cursors.decode(text, tuple[int, str])
        if not 0 <= number < 2**31 or "\0" in organization:
            raise ValueError(number)
    except ValueError:
        raise ValueError("the cursor of a `more` URL") from None
    return number, organization


def _one_of(*values: str) -> query_params.Parser:
    def parse_one(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return parse_one


status_name = _one_of(*STATUSES)


def organization_name(text: str) -> str:
    if not (len(text) <= 255 and (text == "" or text.isprintable())):
        raise ValueError(
            "at most 255 printable characters; empty for records without an organization"
        )
    return text


_PARSERS: dict[str, Any] = {
    "organization": organization_name,
    "status": status_name,
    "success": query_params.boolean,
    "type": query_params.text,
    "since": query_params.timestamp,
    "until": query_params.timestamp,
    "limit": query_params.limit,
    "raw": query_params.boolean,
    "bom": query_params.boolean,
    "cursor": _decode_cursor,
}
