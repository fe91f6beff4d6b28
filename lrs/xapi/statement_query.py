"""Query parameters of GET /statements (xAPI 1.0.3 Communication 2.1.3) and the cursor in `more`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lrs.xapi import query_params, requirements
from lrs.xapi.validation import Version

Format = Literal["exact", "ids", "canonical"]

# jxapi takes a URL for that of a next page only if it contains the word.
_CURSOR_PREFIX = "more-"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position after the last statement of a page (keyset pagination).

    `sequence` is the sort key of that statement. `consistent_through` is the watermark of the first
    page; it limits every following page, so all pages together are one consistent result.
    """

    sequence: int
    consistent_through: datetime

    def __str__(self) -> str:
        microseconds = (self.consistent_through - _EPOCH) // _TICK
        return f"{_CURSOR_PREFIX}{self.sequence}.{microseconds}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ValueError. Cursors of earlier versions have no prefix."""
        numbers = text.removeprefix(_CURSOR_PREFIX).split(".")
        sequence, microseconds = map(_bigint, numbers)
        try:
            return cls(sequence, _EPOCH + microseconds * _TICK)
        except OverflowError:
            raise ValueError(text) from None


def _bigint(text: str) -> int:
    """A positive PostgreSQL bigint. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) >= 2**63 - 1:
        raise ValueError(text)
    return int(text)


@dataclass(frozen=True, slots=True)
class StatementQuery:
    """Parsed parameters. `limit` is at least 1; `since` is exclusive, `until` inclusive.

    `parameters` are the pairs as sent, without `cursor`, for the URL of the next page.
    """

    limit: int
    statement_id: str | None = None
    voided_statement_id: str | None = None
    agent: dict[str, Any] | None = None
    verb: str | None = None
    activity: str | None = None
    registration: str | None = None
    related_activities: bool = False
    related_agents: bool = False
    since: datetime | None = None
    until: datetime | None = None
    format: Format = "exact"
    attachments: bool = False
    ascending: bool = False
    cursor: Cursor | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def parse(
    pairs: Iterable[tuple[str, str]], *, page_size: int, version: Version = "1.0.3"
) -> StatementQuery:
    """The query with pages of at most `page_size` statements. Errors name a section of `version`.

    Raises InvalidParameter with every parameter that is unknown, repeated, malformed or not
    allowed beside another one.
    """
    pairs, section = tuple(pairs), requirements.GET_STATEMENTS[version]
    values = query_params.parse(pairs, _PARSERS, section=section)
    query_params.raise_if_invalid(_conflicts(values), section=section)
    limit = min(values.pop("limit", 0) or page_size, page_size)
    fields = {_FIELDS.get(name, name): value for name, value in values.items()}
    parameters = tuple((name, text) for name, text in pairs if name != "cursor")
    return StatementQuery(limit=limit, parameters=parameters, **fields)


def _conflicts(values: Iterable[str]) -> list[tuple[str, str]]:
    for single in ("statementId", "voidedStatementId"):
        if single in values:
            allowed = {single, "format", "attachments"}
            detail = f"cannot be given together with {single}"
            return [(name, detail) for name in values if name not in allowed]
    return []


def _format(text: str) -> str:
    if text not in ("exact", "ids", "canonical"):
        raise ValueError("ids, exact or canonical")
    return text


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise ValueError("the cursor of a `more` URL") from None


_PARSERS: dict[str, query_params.Parser] = {
    "statementId": query_params.uuid,
    "voidedStatementId": query_params.uuid,
    "agent": query_params.agent,
    "verb": query_params.iri,
    "activity": query_params.iri,
    "registration": query_params.uuid,
    "related_activities": query_params.boolean,
    "related_agents": query_params.boolean,
    "since": query_params.timestamp,
    "until": query_params.timestamp,
    "limit": query_params.limit,
    "format": _format,
    "attachments": query_params.boolean,
    "ascending": query_params.boolean,
    "cursor": _cursor,
}

_FIELDS = {"statementId": "statement_id", "voidedStatementId": "voided_statement_id"}
