"""The rows of an import of people: read from CSV or JSON, and each checked by itself.

A cell that is empty clears what is known; a column that is not there leaves it as it is.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import zip_longest
from typing import Any

from lrs.errors import InvalidImport, Violation
from lrs.resources import schema
from lrs.xapi import validation
from lrs.xapi.timestamps import parse_timestamp
from lrs.xapi.validation import RuleViolation
from lrs.xapi.validation_messages import excerpt

Values = dict[str, Any]

KINDS = ("user", "identifier", "group", "team", "membership", "assignment")

_DAYS = frozenset({"from", "to", "created_date", "updated_date", "deleted_date"})
_MOMENTS = frozenset({"due_at", "created_at", "updated_at", "deleted_at"})
_NUMBERS = frozenset({"xp"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row, `line` where it begins in a file; `values` are typed if it breaks no rule."""

    index: int
    line: int | None
    kind: str
    values: Values
    violations: tuple[Violation, ...] = ()

    @property
    def is_valid(self) -> bool:
        return not self.violations

    @property
    def location(self) -> str:
        """Where it stands, for people."""
        return f"line {self.line}" if self.line else f"row {self.index}"


@cache
def columns(kind: str) -> tuple[str, ...]:
    """The columns of a kind of row."""
    return tuple(schema(f"people/{kind}")["properties"])


def read_csv(text: str) -> Iterator[Row]:
    """The rows of a table whose first line names the columns. Raises InvalidImport."""
    table = _table(text)
    header = [name.strip() for name in next(table, (0, []))[1]]
    _check_header(header)
    for index, (line, cells) in enumerate(table):
        given = dict(zip_longest(header, map(str.strip, cells[: len(header)]), fillvalue=""))
        kind = given["type"] if given.get("type") in KINDS else ""
        own = columns(kind) if kind else ()
        values = {name: _cell(name, cell) for name, cell in given.items() if cell or name in own}
        too_many = len(cells) - len(header)
        yield _row(index, line, values, _surplus(too_many) if too_many > 0 else ())


def read_json(values: Any) -> Iterator[Row]:
    """The rows of an array of objects. Raises InvalidImport."""
    if not isinstance(values, list):
        raise InvalidImport(f"The body must be an array of rows, not {excerpt(values)}.")
    for index, each in enumerate(values):
        yield _row(index, None, each)


def _table(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with cells in them, and the lines that they begin in."""
    # Not splitlines(): a cell may hold what only that takes for the end of a line.
    lines = (f"{line}\n" for line in text.removeprefix("\ufeff").split("\n"))
    reader = csv.reader(lines, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidImport(f"The table cannot be read from line {line} on: {error}.") from None
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield line, cells


def _check_header(header: list[str]) -> None:
    known = dict.fromkeys(name for kind in KINDS for name in columns(kind))
    wrong = [
        Violation(f"/{name}", "is not a column of an import", "People: columns")
        for name in header
        if name and name not in known
    ]
    wrong += [
        Violation(f"/{name}", "must be a column only once", "People: columns")
        for name in dict.fromkeys(header)
        if name in known and header.count(name) > 1
    ]
    if "type" not in header:
        wrong.append(Violation("/type", "is missing among the columns", "People: columns"))
    if wrong:
        told = "; ".join(f"{excerpt(each.pointer[1:])} {each.detail}" for each in wrong[:5])
        raise InvalidImport(
            f"The first line must name the columns, separated by commas: {told}. There are "
            f"{', '.join(known)}.",
            violations=wrong,
        )


def _cell(name: str, cell: str) -> Any:
    if cell == "":
        return None
    if name in _NUMBERS:
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell


def _surplus(count: int) -> tuple[Violation, ...]:
    detail = f"expected no more cells than columns, found {count} more"
    return (Violation("", detail, "People: columns"),)


def _row(index: int, line: int | None, given: Any, wrong: Iterable[Violation] = ()) -> Row:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in KINDS:
        return Row(index, line, "", {}, (*wrong, _of_no_kind(given)))
    found = validation.violations(given, f"people/{kind}", _findings)
    if violations := (*wrong, *(map(_of_a_cell, found) if line else found)):
        return Row(index, line, kind, given, violations)
    return Row(index, line, kind, {name: _typed(name, value) for name, value in given.items()})


def _of_a_cell(violation: Violation) -> Violation:
    """In the words of tables."""
    detail = violation.detail.replace("the member ", "the column ")
    return replace(violation, detail=detail.replace(", found null", ", found nothing"))


def _of_no_kind(given: Any) -> Violation:
    expected = " or ".join((", ".join(KINDS[:-1]), KINDS[-1]))
    if not isinstance(given, dict):
        return Violation("", f"expected a row (an object), found {excerpt(given)}", "People: row")
    if given.get("type") is None:
        return Violation("/type", f"expected {expected}, found nothing", "People: type")
    return Violation(
        "/type", f"expected {expected}, found {excerpt(given['type'])}", "People: type"
    )


def _typed(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _DAYS:
        return date.fromisoformat(value)
    if name in _MOMENTS:
        return parse_timestamp(value)
    if name in _NUMBERS:
        return Decimal(str(value))
    return value


def _findings(row: Any) -> Iterator[RuleViolation]:
    """What the schemas do not say: dates that exist, and columns that depend on each other."""
    for name in (_DAYS | _MOMENTS) & row.keys():
        if isinstance(row[name], str):
            try:
                _typed(name, row[name])
            except ValueError as error:
                yield (name,), f"{error}: found {excerpt(row[name])}", name
    if row["type"] == "membership":
        yield from _membership(row)


def _membership(row: Values) -> Iterator[RuleViolation]:
    if (row.get("team") is None) == (row.get("organization") is None):
        yield ("team",), "expected either a team or an organization", "team"
    first, last = row.get("from"), row.get("to")
    if isinstance(first, str) and isinstance(last, str) and last < first:
        yield (
            ("to",),
            f"expected no day before {excerpt(first)}, found {excerpt(last)}",
            "to",
        )
