"""Rows of a people import: parsing CSV and JSON, and the checks of a row alone.

An empty cell clears the stored value; a missing column leaves it unchanged.
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

_MAX_COLUMNS = 1000

_DATES = frozenset({"from", "to", "created_date", "updated_date", "deleted_date"})
_TIMESTAMPS = frozenset({"due_at", "created_at", "updated_at", "deleted_at"})
_NUMBERS = frozenset({"xp"})


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an import.

    `index` counts from 0. `line` is the line of the file on which the row begins, None for JSON.
    `kind` is one of KINDS, "" if the row has none. `values` are typed if the row is valid.
    """

    index: int
    line: int | None
    kind: str
    values: Values
    violations: tuple[Violation, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether the row, checked alone, has no violations."""
        return not self.violations

    @property
    def location(self) -> str:
        """The line or the index, for messages."""
        return f"line {self.line}" if self.line else f"row {self.index}"


@cache
def columns(kind: str) -> tuple[str, ...]:
    """The columns of a kind of row."""
    return tuple(schema(f"people/{kind}")["properties"])


def read_csv(text: str) -> Iterator[Row]:
    """The rows of a CSV table with a header line. Raises InvalidImport."""
    table = _table(text)
    header = [name.strip() for name in next(table, (0, []))[1]]
    _check_header(header)
    for index, (line, cells) in enumerate(table):
        row = dict(zip_longest(header, map(str.strip, cells[: len(header)]), fillvalue=""))
        kind = row["type"] if row.get("type") in KINDS else ""
        own = columns(kind) if kind else ()
        values = {name: _cell(name, cell) for name, cell in row.items() if cell or name in own}
        yield _row(index, line, values, _too_many_cells(cells, header))


def read_json(document: Any) -> Iterator[Row]:
    """The rows of an array of objects. Raises InvalidImport."""
    if not isinstance(document, list):
        raise InvalidImport(f"The body must be an array of rows, not {excerpt(document)}.")
    yield from json_rows(document)


def json_rows(values: Iterable[Any]) -> Iterator[Row]:
    """The rows of the elements of an array."""
    for index, value in enumerate(values):
        yield _row(index, None, value)


def _table(text: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row begins, and its cells; rows without any text are left out."""
    # Not splitlines(): it splits cells at line separators that are not line ends in CSV.
    lines = (f"{line}\n" for line in text.removeprefix("\ufeff").split("\n"))
    reader = csv.reader(lines, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidImport(f"Invalid CSV at line {line}: {error}.") from None
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield line, cells


def _check_header(header: list[str]) -> None:
    """Raise InvalidImport for unknown and repeated columns, and without a `type` column."""
    if len(header) > _MAX_COLUMNS:
        raise InvalidImport(
            f"The header line has {len(header)} columns; at most {_MAX_COLUMNS} are expected."
        )
    supported = dict.fromkeys(name for kind in KINDS for name in columns(kind))
    details = {
        name: "unknown column" if name not in supported else "repeated column"
        for name in header
        if name and (name not in supported or header.count(name) > 1)
    }
    if "type" not in header:
        details["type"] = "missing column"
    if details:
        violations = [Violation(f"/{name}", details[name], "People: columns") for name in details]
        listed = ", ".join(f"{details[name]} {excerpt(name)}" for name in [*details][:5])
        raise InvalidImport(
            f"Invalid header line: {listed}. The columns are {', '.join(supported)}.",
            violations=violations,
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


def _too_many_cells(cells: list[str], header: list[str]) -> tuple[Violation, ...]:
    if len(cells) <= len(header):
        return ()
    detail = f"expected at most {len(header)} cells, found {len(cells)}"
    return (Violation("", detail, "People: columns"),)


def _row(
    index: int, line: int | None, values: Any, table_violations: tuple[Violation, ...] = ()
) -> Row:
    kind = values.get("type") if isinstance(values, dict) else None
    if kind not in KINDS:
        return Row(index, line, "", {}, (*table_violations, _invalid_type(values)))
    violations = validation.violations(values, f"people/{kind}", _rule_violations)
    if line:
        violations = [_in_terms_of_tables(violation) for violation in violations]
    if table_violations or violations:
        return Row(index, line, kind, values, (*table_violations, *violations))
    return Row(index, line, kind, {name: _typed(name, value) for name, value in values.items()})


def _in_terms_of_tables(violation: Violation) -> Violation:
    detail = violation.detail.replace("the member ", "the column ")
    return replace(violation, detail=detail.replace(", found null", ", found no value"))


def _invalid_type(values: Any) -> Violation:
    if not isinstance(values, dict):
        return Violation("", f"expected a row (an object), found {excerpt(values)}", "People: row")
    actual = "no value" if values.get("type") is None else excerpt(values["type"])
    expected = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
    return Violation("/type", f"expected {expected}, found {actual}", "People: type")


def _typed(name: str, value: Any) -> Any:
    """A date, datetime or Decimal where the column has that type. Raises ValueError."""
    if value is None:
        return None
    if name in _DATES:
        return date.fromisoformat(value)
    if name in _TIMESTAMPS:
        return parse_timestamp(value)
    if name in _NUMBERS:
        return Decimal(str(value))
    return value


def _rule_violations(row: Any) -> Iterator[RuleViolation]:
    """Rules that the schemas cannot express: existing dates, and columns that depend on others."""
    for name in (_DATES | _TIMESTAMPS) & row.keys():
        if isinstance(row[name], str):
            try:
                _typed(name, row[name])
            except ValueError as error:
                yield (name,), f"{error}: found {excerpt(row[name])}", name
    if row["type"] == "membership":
        yield from _membership_violations(row)


def _membership_violations(row: Values) -> Iterator[RuleViolation]:
    if (row.get("team") is None) == (row.get("organization") is None):
        yield ("team",), "expected either a team or an organization", "team"
    start, end = row.get("from"), row.get("to")
    if isinstance(start, str) and isinstance(end, str) and end < start:
        detail = f"expected a date not before {excerpt(start)}, found {excerpt(end)}"
        yield ("to",), detail, "to"
