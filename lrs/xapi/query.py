"""The parameters of GET /statements (xAPI 1.0.3 Communication 2.1.3), and the cursor of `more`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lrs.errors import InvalidParameter, MalformedJSON, Violation
from lrs.xapi import codec, links
from lrs.xapi.validation import agent_violations, is_iri, is_uuid, parse_timestamp

Format = Literal["exact", "ids", "canonical"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a statement in the order of a list: the next page begins beyond it.

    `through` is the bound that held for the first page; it holds for all, so that a list is what
    there was when it was asked for, and whichever page's bound a consumer keeps is the right one.
    """

    stored: datetime
    statement_id: str
    through: datetime

    def __str__(self) -> str:
        return f"{_micros(self.stored)}.{self.statement_id}.{_micros(self.through)}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ValueError for what is no cursor."""
        stored, statement_id, through = text.split(".")
        if not is_uuid(statement_id):
            raise ValueError(text)
        return cls(_moment(stored), statement_id, _moment(through))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: str) -> datetime:
    if not (micros.isascii() and micros.isdigit() and len(micros) < 20):
        raise ValueError(micros)
    try:
        return _EPOCH + timedelta(microseconds=int(micros))
    except OverflowError:
        raise ValueError(micros) from None


@dataclass(frozen=True, slots=True)
class StatementQuery:
    """What is asked for. `limit` is at least 1, `since` is exclusive, `until` inclusive."""

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


def parse(parameters: Iterable[tuple[str, str]], *, page_size: int) -> StatementQuery:
    """The query that the parameters ask for, in pages of at most `page_size`.

    Raises InvalidParameter naming every parameter that is unknown, repeated, malformed or out of
    place.
    """
    given = tuple(parameters)
    values: dict[str, Any] = {}
    violations: list[Violation] = []
    for name, text in given:
        if name not in _READERS:
            violations.append(_violation(name, "is not a parameter of this resource"))
        elif name in values:
            violations.append(_violation(name, "must be given only once"))
        else:
            values[name] = text
            try:
                values[name] = _READERS[name](text)
            except ValueError as error:
                violations.append(_violation(name, f"must be {error}"))
    violations += _out_of_place(values)
    if violations:
        raise InvalidParameter(
            "; ".join(f"{each.pointer} {each.detail}" for each in violations) + ".",
            violations=violations,
        )
    limit = min(values.pop("limit", 0) or page_size, page_size)
    named = {_NAMES.get(name, name): value for name, value in values.items()}
    kept = tuple((name, text) for name, text in given if name != "cursor")
    return StatementQuery(limit=limit, parameters=kept, **named)


def _violation(name: str, detail: str) -> Violation:
    return Violation(name, detail, "xAPI 1.0.3 Communication 2.1.3")


def _out_of_place(values: dict[str, Any]) -> list[Violation]:
    for single in ("statementId", "voidedStatementId"):
        if single in values:
            allowed = {single, "format", "attachments"}
            return [
                _violation(name, f"cannot be given together with {single}")
                for name in values
                if name not in allowed
            ]
    return []


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("a UUID")
    return text.lower()


def _iri(text: str) -> str:
    if not is_iri(text):
        raise ValueError("an IRI with a scheme")
    return text


def _agent(text: str) -> dict[str, Any]:
    try:
        agent = codec.read(text.encode())
    except (MalformedJSON, UnicodeEncodeError):
        raise ValueError("an Agent or identified Group as JSON") from None
    if violations := agent_violations(agent):
        first = violations[0]
        raise ValueError(f"an Agent or identified Group: {first.pointer} {first.detail}".strip())
    if links.agent_identity(agent) is None:
        raise ValueError("an Agent or identified Group: this Group has no identifier")
    return dict(agent)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _timestamp(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError:
        raise ValueError("an ISO 8601 timestamp with an offset") from None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("a whole number, 0 or more")
    return int(text)


def _format(text: str) -> str:
    if text not in ("exact", "ids", "canonical"):
        raise ValueError("ids, exact or canonical")
    return text


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise ValueError("taken unchanged from a `more` of this server") from None


_READERS = {
    "statementId": _uuid,
    "voidedStatementId": _uuid,
    "agent": _agent,
    "verb": _iri,
    "activity": _iri,
    "registration": _uuid,
    "related_activities": _boolean,
    "related_agents": _boolean,
    "since": _timestamp,
    "until": _timestamp,
    "limit": _limit,
    "format": _format,
    "attachments": _boolean,
    "ascending": _boolean,
    "cursor": _cursor,
}

_NAMES = {"statementId": "statement_id", "voidedStatementId": "voided_statement_id"}
