"""Rows of an import: parsing CSV and JSON, and the checks of a row alone.

An empty cell clears the stored value; a missing column leaves it unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from lrs.errors import InvalidImport, Violation
from lrs.imports import dates, tables
from lrs.imports.dates import DateFormat
from lrs.imports.tables import Columns, TableLine, TableOptions
from lrs.plurals import quantity
from lrs.resources import schema
from lrs.xapi import validation
from lrs.xapi.timestamps import parse_timestamp
from lrs.xapi.validation import RuleViolation
from lrs.xapi.validation_messages import excerpt

Values = dict[str, Any]

_LISTED_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an import.

    `index` counts from 0. `line` is the line of the file on which the row begins, None for JSON.
    `kind` is one of the kinds of the import, "" if the row has none. `values` are typed if the row
    is valid.
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


@dataclass(frozen=True, slots=True)
class ParsedTable:
    """The rows of a table, read once, and notes on what was detected or left out.

    The notes are complete after the rows are read.
    """

    rows: Iterator[Row]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowKinds:
    """The kinds of rows of one import, each with a JSON Schema.

    section       begins the names of requirements
    directory     of the schemas
    names         of the kinds, the values of the column `type`
    rules         what the schemas cannot express
    default_kind  of a table without the column `type`; None: the column is required
    needed        columns by kind: a row with a fixed kind is left out if all of these are empty
    """

    section: str
    directory: str
    names: tuple[str, ...]
    rules: Callable[[Any], Iterable[RuleViolation]]
    dates: frozenset[str]
    timestamps: frozenset[str]
    numbers: frozenset[str]
    booleans: frozenset[str] = frozenset()
    default_kind: str | None = None
    needed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def columns(self, kind: str) -> tuple[str, ...]:
        """The columns of a kind of row."""
        return tuple(schema(f"{self.directory}/{kind}")["properties"])

    def all_columns(self) -> list[str]:
        """The columns of all kinds."""
        return list(dict.fromkeys(name for kind in self.names for name in self.columns(kind)))

    def read_csv(self, text: str, options: TableOptions | None = None) -> ParsedTable:
        """The rows of a table with a header line. Raises InvalidImport, also while reading."""
        options = options or TableOptions()
        if options.kind is not None and options.kind not in self.names:
            raise InvalidImport(
                f"Unknown type of rows {excerpt(options.kind)}; expected {self._listed_names()}."
            )
        names = {*self.all_columns(), *options.headers.values()}
        lines = tables.read_lines(text, options.delimiter, names)
        header = next(lines, TableLine(1, [])).cells
        kind, notes = self._kind(header, options)
        supported = [name for name in self.columns(kind) if name != "type"] if kind else None
        columns = tables.find_columns(
            header, supported or self.all_columns(), options, section=self.section
        )
        if kind:
            self._require_columns(kind, header, columns, options)
        if columns.ignored:
            notes.append(_ignored(columns.ignored))
        table = _Table(self, kind, header, columns, options, notes)
        return ParsedTable(table.rows(lines), notes)

    def _kind(self, header: list[str], options: TableOptions) -> tuple[str | None, list[str]]:
        """The kind of all rows, None if the column `type` has it, and notes."""
        if options.kind or "type" in header or "type" in options.headers:
            return options.kind, []
        if "type" in options.constants:
            raise InvalidImport("Choose the type of all rows instead of a value for a column type.")
        if self.default_kind is None or not any(header):
            raise tables.missing_columns(["type"], header, self.all_columns(), section=self.section)
        note = f"The table has no column type: its rows are of the type {self.default_kind}."
        return self.default_kind, [note]

    def _require_columns(
        self, kind: str, header: list[str], columns: Columns, options: TableOptions
    ) -> None:
        required = [
            name
            for name in schema(f"{self.directory}/{kind}")["required"]
            if name != "type" and name not in columns.cells and name not in options.constants
        ]
        if required:
            supported = self.columns(kind)
            raise tables.missing_columns(required, header, supported, section=self.section)

    def json_rows(self, values: Iterable[Any]) -> Iterator[Row]:
        """The rows of the elements of an array."""
        for index, value in enumerate(values):
            yield self.row(index, None, value)

    def row(
        self,
        index: int,
        line: int | None,
        values: Any,
        table_violations: tuple[Violation, ...] = (),
        date_format: DateFormat = "yyyy-mm-dd",
    ) -> Row:
        """The row with typed values, or with its violations."""
        kind = values.get("type") if isinstance(values, dict) else None
        if kind not in self.names:
            return Row(index, line, "", {}, (*table_violations, self._invalid_type(values)))
        violations = validation.violations(values, f"{self.directory}/{kind}", self._all_rules)
        if line:
            violations = [_in_terms_of_tables(item, values, date_format) for item in violations]
        if table_violations or violations:
            return Row(index, line, kind, values, (*table_violations, *violations))
        typed = {name: self._typed(name, value) for name, value in values.items()}
        return Row(index, line, kind, typed)

    def _listed_names(self) -> str:
        return f"{', '.join(self.names[:-1])} or {self.names[-1]}"

    def _invalid_type(self, values: Any) -> Violation:
        if not isinstance(values, dict):
            detail = f"expected a row (an object), found {excerpt(values)}"
            return Violation("", detail, f"{self.section}: row")
        actual = "no value" if values.get("type") is None else excerpt(values["type"])
        detail = f"expected {self._listed_names()}, found {actual}"
        return Violation("/type", detail, f"{self.section}: type")

    def _typed(self, name: str, value: Any) -> Any:
        """A date, datetime or Decimal where the column has that type. Raises ValueError."""
        if value is None:
            return None
        if name in self.dates:
            return date.fromisoformat(value)
        if name in self.timestamps:
            return parse_timestamp(value)
        if name in self.numbers:
            return Decimal(str(value))
        return value

    def _all_rules(self, row: Any) -> Iterator[RuleViolation]:
        """Existing dates, and the rules of the import."""
        for name in (self.dates | self.timestamps) & row.keys():
            if isinstance(row[name], str):
                try:
                    self._typed(name, row[name])
                except ValueError as error:
                    yield (name,), f"{error}: found {excerpt(row[name])}", name
        yield from self.rules(row)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table whose header is read; `kind` is that of all rows, None: of each row."""

    kinds: RowKinds
    kind: str | None
    header: list[str]
    columns: Columns
    options: TableOptions
    notes: list[str]

    def rows(self, lines: Iterable[TableLine]) -> Iterator[Row]:
        left_out = index = 0
        needed = self.kinds.needed.get(self.kind or "", ())
        for line in lines:
            values = self._values(line.cells)
            if needed and not any(values.get(name) for name in needed):
                left_out += 1
                continue
            yield self.kinds.row(
                index, line.number, values, self._surplus(line.cells), self.options.date_format
            )
            index += 1
        if left_out:
            names = " and ".join(needed)
            self.notes.append(f"Rows without a value for {names} are left out: {left_out}.")

    def _values(self, cells: list[str]) -> Values:
        texts = {
            name: cells[index] if index < len(cells) else ""
            for name, index in self.columns.cells.items()
        }
        texts |= self.options.constants
        if self.kind:
            texts["type"] = self.kind
        kind = texts.get("type")
        own = self.kinds.columns(kind) if kind in self.kinds.names else ()
        # A cell in a column of another kind of row is an error; an empty one has no meaning.
        return {name: self._cell(name, text) for name, text in texts.items() if text or name in own}

    def _cell(self, name: str, cell: str) -> Any:
        kinds, date_format = self.kinds, self.options.date_format
        if cell == "":
            return None
        if name in kinds.dates:
            return dates.iso_date(cell, date_format)
        if name in kinds.timestamps:
            return dates.iso_timestamp(cell, date_format)
        if name in kinds.booleans:
            return {"true": True, "false": False}.get(cell.lower(), cell)
        if name in kinds.numbers:
            try:
                return float(cell)
            except ValueError:
                return cell
        return cell

    def _surplus(self, cells: list[str]) -> tuple[Violation, ...]:
        requirement = f"{self.kinds.section}: columns"
        if len(cells) > len(self.header):
            detail = f"expected at most {quantity(len(self.header), 'cell')}, found {len(cells)}"
            return (Violation("", detail, requirement),)
        for name, cell in zip(self.header, cells, strict=False):
            if cell and not name:
                detail = f"expected no value in a column without a header, found {excerpt(cell)}"
                return (Violation("/", detail, requirement),)
        return ()


def _ignored(headers: list[str]) -> str:
    listed = ", ".join(excerpt(name) for name in headers[:_LISTED_COLUMNS])
    more = f" and {len(headers) - _LISTED_COLUMNS} more" if len(headers) > _LISTED_COLUMNS else ""
    return f"Ignored columns: {listed}{more}."


def _in_terms_of_tables(violation: Violation, values: Values, date_format: DateFormat) -> Violation:
    detail = violation.detail.replace("the member ", "the column ")
    detail = detail.replace(", found null", ", found no value")
    cell = values.get(violation.pointer[1:])
    if isinstance(cell, str) and dates.has_other_format(cell) and "2026-05-08" in detail:
        if date_format == "yyyy-mm-dd":
            detail += "; choose the format of dates if it is another one"
        else:
            detail = detail.replace("2026-05-08", dates.EXAMPLES[date_format])
    return replace(violation, detail=detail)
