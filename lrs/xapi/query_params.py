"""Parsing of query parameters: a resource declares a parser for each parameter.

Names are case-sensitive. An unknown parameter is an error (xAPI 1.0.3 Communication 1.3, 2.1.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from lrs.errors import InvalidParameter, MalformedJSON, Violation
from lrs.xapi import index_keys, strict_json
from lrs.xapi.validation import agent_violations, is_iri, is_uuid, parse_timestamp
from lrs.xapi.validation_messages import excerpt

# Every page has a maximum size: a larger limit only has to be a number.
_MAX_DIGITS = 100
_MAX_INTEGER = 2**31 - 1

# Sent by @xapi/xapi with a fresh value, so that no cache responds.
_IGNORED = frozenset({"cachebuster"})

_MAILBOX_WITH_BLANK = re.compile(r'"mailto:[^"@]* [^"@]*@')

Parser = Callable[[str], Any]
"""Parses a value. The message of its ValueError completes "must be …"."""


def parse(
    parameters: Iterable[tuple[str, str]],
    parsers: Mapping[str, Parser],
    *,
    required: Iterable[str] = (),
    section: str,
) -> dict[str, Any]:
    """The parsed values, by name.

    Raises InvalidParameter with every parameter that is unknown, repeated, malformed or missing.
    """
    values: dict[str, Any] = {}
    errors: list[tuple[str, str]] = []
    for name, text in parameters:
        if name in _IGNORED:
            continue
        if name not in parsers:
            errors.append((name, _unknown(name, parsers)))
        elif name in values:
            errors.append((name, "must not be repeated"))
        else:
            values[name] = None
            try:
                values[name] = parsers[name](text)
            except ValueError as error:
                errors.append((name, f"must be {error}, found {excerpt(text)}{_cause(name, text)}"))
    errors += [(name, "is missing") for name in required if name not in values]
    raise_if_invalid(errors, section=section)
    return values


def reject_all(parameters: Iterable[tuple[str, str]], *, section: str) -> None:
    """For a resource without parameters. Raises InvalidParameter with the name of each."""
    raise_if_invalid(
        [(name, _unknown(name, ())) for name, _ in parameters if name not in _IGNORED],
        section=section,
    )


def _unknown(name: str, names: Iterable[str]) -> str:
    spellings = {item.lower(): item for item in names}
    similar = get_close_matches(name.lower(), spellings, n=1)
    suggestion = spellings[similar[0]] if similar else None
    hint = f"; the parameter {suggestion} is similar" if suggestion else ""
    return f"is not a parameter of this resource{hint}"


def _cause(name: str, text: str) -> str:
    """The likely cause of a malformed value."""
    if _MAILBOX_WITH_BLANK.search(text) if name == "agent" else " " in text.strip():
        return "; a + in a URL stands for a blank: send %2B"
    return ""


def raise_if_invalid(errors: Iterable[tuple[str, str]], *, section: str) -> None:
    """Raises InvalidParameter unless `errors`, pairs of parameter name and detail, is empty."""
    violations = [Violation(name[:80], detail, section) for name, detail in errors]
    if violations:
        detail = "; ".join(f"{item.pointer} {item.detail}" for item in violations)
        raise InvalidParameter(f"{detail}.", violations=violations)


def uuid(text: str) -> str:
    return uuid_as_sent(text).lower()


def uuid_as_sent(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("a UUID")
    return text


def iri(text: str) -> str:
    if not is_iri(text):
        raise ValueError("an IRI with a scheme")
    return text


def agent(text: str) -> dict[str, Any]:
    """An Agent or identified Group, as JSON."""
    try:
        value = strict_json.loads(text.encode())
    except (MalformedJSON, UnicodeEncodeError):
        raise ValueError("an Agent or identified Group as JSON") from None
    if violations := agent_violations(value):
        first = violations[0]
        detail = f"{first.pointer} {first.detail}".lstrip()
        raise ValueError(f"an Agent or identified Group: {detail}")
    if index_keys.agent_identity(value) is None:
        raise ValueError("an Agent or identified Group: this Group has no identifier")
    return dict(value)


def boolean(text: str) -> bool:
    """Case-insensitive: Python's clients send True and False."""
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def limit(text: str) -> int:
    """The maximum number of results; 0 means the server's maximum."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ValueError("a non-negative integer")
    return int(text)


def id_cursor(text: str) -> int:
    """The id of the last row of the page before, a PostgreSQL `integer`."""
    if not is_row_id(text):
        raise ValueError("a cursor from `more`, unchanged")
    return int(text)


def is_row_id(text: str) -> bool:
    """Whether the text is a value of PostgreSQL's `integer`, from 0."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return is_number and int(text) <= _MAX_INTEGER


def timestamp(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError:
        raise ValueError("an ISO 8601 timestamp with an offset") from None


def text(value: str) -> str:
    """A non-empty string that PostgreSQL can store."""
    if not value or "\0" in value:
        raise ValueError("a non-empty string without NUL")
    return value
