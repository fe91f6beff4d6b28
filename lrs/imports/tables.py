"""CSV tables: the delimiter is detected, and columns are found by their headers."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lrs.errors import InvalidImport, Violation
from lrs.imports.dates import DateFormat
from lrs.xapi.validation_messages import excerpt

DELIMITERS = {"tab": "\t", "semicolon": ";", "pipe": "|", "comma": ","}
"""By name. Of several that divide a header alike, the first one is used: texts have commas."""


MAX_COLUMNS = 1000
_LISTED = 20


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table is read; None is detected.

    kind       the type of all rows; None: of each row in the column `type`
    headers    the header of a column, by the name of the column
    constants  the value of a column that the table lacks, by its name
    """

    kind: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    date_format: DateFormat = "yyyy-mm-dd"
    delimiter: str | None = None
    encoding: str | None = None


class TableLine(NamedTuple):
    """The line on which a row begins, counted from 1, and its cells without surrounding blanks."""

    number: int
    cells: list[str]


def read_lines(text: str, delimiter: str | None, names: Collection[str]) -> Iterator[TableLine]:
    """The rows of a table, the header first; rows without any text are left out.

    `names` are headers that are expected. Raises InvalidImport.
    """
    text, own_delimiter, skipped = _without_delimiter_line(text)
    delimiter = delimiter or own_delimiter or detect_delimiter(text, names)
    # Not splitlines(): it splits cells at line separators that are not line ends in CSV.
    lines = (f"{line}\n" for line in text.split("\n"))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidImport(f"Invalid CSV at line {line}: {error}.") from None
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield TableLine(line, [cell.strip() for cell in cells])


def detect_delimiter(text: str, names: Collection[str]) -> str:
    """The delimiter that gives the first line most expected headers, else most columns."""
    first = next((line for line in text.split("\n", 20) if line.strip()), "")[:100_000]

    def score(delimiter: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([first], delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return sum(cell.strip() in names for cell in cells), len(cells)

    best = max(DELIMITERS.values(), key=score)
    return best if score(best)[1] > 1 else ","


def _without_delimiter_line(text: str) -> tuple[str, str | None, int]:
    """The text without a first line such as `sep=;`, its delimiter, and the lines left out."""
    if "\n" not in text and "\r" in text:
        text = text.replace("\r", "\n")
    first, _, rest = text.partition("\n")
    declaration = first.strip('"\r ')
    if len(declaration) == 5 and declaration.lower().startswith("sep="):
        return rest, declaration[4], 1
    return text, None, 0


class Columns(NamedTuple):
    """Where the columns of a table are: the index of the cell by name, and ignored headers."""

    cells: dict[str, int]
    ignored: list[str]


def find_columns(
    header: list[str], supported: Collection[str], options: TableOptions, *, section: str
) -> Columns:
    """The supported columns of a table. Raises InvalidImport.

    A column has the header that the options name for it, else its own name.
    """
    if len(header) > MAX_COLUMNS:
        raise InvalidImport(
            f"The header line has {len(header)} columns; at most {MAX_COLUMNS} are expected."
        )
    _check_names(options, supported, section)
    wanted = {
        name: options.headers.get(name, name) for name in supported if name not in options.constants
    }
    details: dict[str, str] = {}
    cells: dict[str, int] = {}
    for name, text in wanted.items():
        positions = _positions(header, text, exact=name not in options.headers)
        if len(positions) > 1:
            details[name] = f"repeated column {excerpt(text)}"
        elif positions:
            cells[name] = positions[0]
        elif name in options.headers:
            details[name] = f"missing column {excerpt(text)}"
    if details:
        raise _invalid_header(details, header, section)
    used = set(cells.values())
    return Columns(cells, [name for index, name in enumerate(header) if name and index not in used])


def _positions(header: list[str], text: str, *, exact: bool) -> list[int]:
    positions = [index for index, name in enumerate(header) if name == text]
    if exact or positions:
        return positions
    folded = text.strip().casefold()
    return [index for index, name in enumerate(header) if name.casefold() == folded]


def _check_names(options: TableOptions, supported: Collection[str], section: str) -> None:
    """Raise InvalidImport for a mapping or a value of a column that the rows do not have."""
    unknown = [name for name in (*options.headers, *options.constants) if name not in supported]
    both = [name for name in options.headers if name in options.constants]
    if unknown or both:
        name = (unknown or both)[0]
        detail = (
            f"the columns are {', '.join(supported)}" if unknown else "it has a header and a value"
        )
        raise InvalidImport(
            f"The column {excerpt(name)} cannot be mapped: {detail}.",
            violations=[Violation(f"/{name}", detail, f"{section}: columns")],
        )


def _invalid_header(
    details: Mapping[str, str], header: Iterable[str], section: str
) -> InvalidImport:
    listed = "; ".join([*details.values()][:5])
    columns = ", ".join(excerpt(name) for name in [*filter(None, header)][:_LISTED])
    return InvalidImport(
        f"Invalid header line: {listed}. The table has the columns {columns or 'of no name'}.",
        violations=[
            Violation(f"/{name}", detail, f"{section}: columns") for name, detail in details.items()
        ],
    )


def missing_columns(
    names: Iterable[str], header: Iterable[str], supported: Iterable[str], *, section: str
) -> InvalidImport:
    """The error for a table without columns that every row needs."""
    details = {name: f'missing column "{name}"' for name in names}
    columns = ", ".join(excerpt(name) for name in [*filter(None, header)][:_LISTED])
    return InvalidImport(
        f"Invalid header line: {'; '.join(details.values())}. The table has the columns "
        f"{columns or 'of no name'}: map one of them. The columns are {', '.join(supported)}.",
        violations=[
            Violation(f"/{name}", detail, f"{section}: columns") for name, detail in details.items()
        ],
    )
