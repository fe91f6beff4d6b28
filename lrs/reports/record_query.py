"""The parameters of a list of learner records, and the cursor of `more`."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from lrs.xapi import query_params

SECTION = "Learner records"

STATUSES = ("not_started", "in_progress", "completed")

Position = tuple[int, str]
"""Where a page ends: the id of the content item or learner, and the organization."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """What is asked for. `since` is exclusive, `until` inclusive; an organization "" is none."""

    limit: int
    organization: str | None = None
    status: str | None = None
    success: bool | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Position = (0, "")
    parameters: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def parse(
    given: Iterable[tuple[str, str]], *, page_size: int, organization: str | None = None
) -> RecordQuery:
    """The query that the parameters ask for, in pages of at most `page_size`.

    Where the path names an organization, none can be asked for. Raises InvalidParameter naming
    every parameter that is unknown, repeated or malformed.
    """
    given = tuple(given)
    readers = dict(_READERS)
    if organization is not None:
        del readers["organization"]
    values = query_params.parse(given, readers, section=SECTION)
    limit = min(values.pop("limit", 0) or page_size, page_size)
    after = values.pop("cursor", (0, ""))
    kept = tuple((name, text) for name, text in given if name != "cursor")
    fields = {"organization": organization, "after": after, **values}
    return RecordQuery(limit=limit, parameters=kept, **fields)


def encode_cursor(place: Position) -> str:
    """A place as a parameter of `more`."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _cursor(text: str) -> Position:
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        number, organization = msgspec.json.decode(content, type=tuple[int, str])
        if not 0 <= number < 2**31 or "\0" in organization:
            raise ValueError(number)
    except (ValueError, msgspec.MsgspecError):
        raise ValueError("taken unchanged from a `more` of this server") from None
    return number, organization


def _one_of(*values: str) -> query_params.Parser:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return read


def _organization(text: str) -> str:
    if not (len(text) <= 255 and (text == "" or text.isprintable())):
        raise ValueError("at most 255 printable characters; none for records of no organization")
    return text


_READERS: dict[str, Any] = {
    "organization": _organization,
    "status": _one_of(*STATUSES),
    "success": query_params.boolean,
    "type": query_params.text,
    "since": query_params.timestamp,
    "until": query_params.timestamp,
    "limit": query_params.limit,
    "cursor": _cursor,
}
