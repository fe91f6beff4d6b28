"""The kinds of rows of a people import, and the rules that their schemas cannot express."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lrs.errors import InvalidImport
from lrs.imports.rows import Row, RowKinds, Values
from lrs.xapi.validation import RuleViolation
from lrs.xapi.validation_messages import excerpt

KINDS = ("user", "identifier", "group", "team", "membership", "assignment")


def read_json(document: Any) -> Iterator[Row]:
    """The rows of an array of objects. Raises InvalidImport."""
    if not isinstance(document, list):
        raise InvalidImport(f"The body must be an array of rows, not {excerpt(document)}.")
    return ROWS.json_rows(document)


def _rule_violations(row: Values) -> Iterator[RuleViolation]:
    if row["type"] == "membership":
        yield from _membership_violations(row)


def _membership_violations(row: Values) -> Iterator[RuleViolation]:
    if (row.get("team") is None) == (row.get("organization") is None):
        yield ("team",), "expected either a team or an organization", "team"
    start, end = row.get("from"), row.get("to")
    if isinstance(start, str) and isinstance(end, str) and end < start:
        detail = f"expected a date not before {excerpt(start)}, found {excerpt(end)}"
        yield ("to",), detail, "to"


ROWS = RowKinds(
    section="People",
    directory="people",
    names=KINDS,
    rules=_rule_violations,
    dates=frozenset({"from", "to", "created_date", "updated_date", "deleted_date"}),
    timestamps=frozenset({"due_at", "created_at", "updated_at", "deleted_at"}),
    numbers=frozenset({"xp"}),
    default_kind="user",
    needed={
        "identifier": ("value",),
        "group": ("organization",),
        "team": ("team",),
        "membership": ("team", "organization"),
    },
)
