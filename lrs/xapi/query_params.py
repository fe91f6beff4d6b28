"""Query parameters: each resource names those that it takes, and how each is read.

Names are case-sensitive, and an unknown one is refused (xAPI 1.0.3 Communication 1.3, 2.1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from lrs.errors import InvalidParameter, MalformedJSON, Violation
from lrs.xapi import index_keys, strict_json
from lrs.xapi.validation import agent_violations, is_iri, is_uuid, parse_timestamp

Parser = Callable[[str], Any]
"""Reads a value; its ValueError says, after "must be", what was expected."""


def parse(
    parameters: Iterable[tuple[str, str]],
    readers: Mapping[str, Parser],
    *,
    required: Iterable[str] = (),
    section: str,
) -> dict[str, Any]:
    """The values of the parameters, by name.

    Raises InvalidParameter naming every one that is unknown, repeated, malformed or missing.
    """
    values: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for name, text in parameters:
        if name not in readers:
            wrong.append((name, "is not a parameter of this resource"))
        elif name in values:
            wrong.append((name, "must be given only once"))
        else:
            values[name] = None
            try:
                values[name] = readers[name](text)
            except ValueError as error:
                wrong.append((name, f"must be {error}"))
    wrong += [(name, "is missing") for name in required if name not in values]
    raise_if_invalid(wrong, section=section)
    return values


def raise_if_invalid(wrong: Iterable[tuple[str, str]], *, section: str) -> None:
    """Raises InvalidParameter if there are any; pairs of a name and what is wrong with it."""
    violations = [Violation(name[:80], detail, section) for name, detail in wrong]
    if violations:
        told = "; ".join(f"{each.pointer} {each.detail}" for each in violations)
        raise InvalidParameter(f"{told}.", violations=violations)


def uuid(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("a UUID")
    return text.lower()


def iri(text: str) -> str:
    if not is_iri(text):
        raise ValueError("an IRI with a scheme")
    return text


def agent(text: str) -> dict[str, Any]:
    """An Agent or identified Group, as JSON."""
    try:
        found = strict_json.loads(text.encode())
    except (MalformedJSON, UnicodeEncodeError):
        raise ValueError("an Agent or identified Group as JSON") from None
    if violations := agent_violations(found):
        first = violations[0]
        wrong = f"{first.pointer} {first.detail}".lstrip()
        raise ValueError(f"an Agent or identified Group: {wrong}")
    if index_keys.agent_identity(found) is None:
        raise ValueError("an Agent or identified Group: this Group has no identifier")
    return dict(found)


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def limit(text: str) -> int:
    """How many at most; 0 leaves it to the server."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("a whole number, 0 or more")
    return int(text)


def timestamp(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError:
        raise ValueError("an ISO 8601 timestamp with an offset") from None


def text(value: str) -> str:
    """Any text that can be stored."""
    if not value or "\0" in value:
        raise ValueError("a text without NUL, not empty")
    return value
