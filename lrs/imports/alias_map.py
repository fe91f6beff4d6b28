"""Files that say which content items are aliases of which: CSV, or a JSON array of objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lrs.errors import InvalidImport, Violation
from lrs.imports import encodings, tables
from lrs.xapi import strict_json
from lrs.xapi.validation_messages import excerpt

COLUMNS = ("content", "alias")

MAX_ROWS = 10_000
_MAX_NAME = 2000
_REQUIREMENT = "Contents: aliases"

AliasMap = dict[str, list[str]]
"""The aliases of each content item, both as identifiers."""


def read_csv(data: bytes) -> AliasMap:
    """The map in a table with the columns `content` and `alias`; others are ignored.

    Delimiter and encoding are detected. Raises InvalidImport.
    """
    lines = tables.read_lines(encodings.decode(data, None).text, None, COLUMNS)
    header = [cell.strip().lower() for cell in next(lines, tables.TableLine(1, [])).cells]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise tables.missing_columns(missing, header, COLUMNS, section="Contents")
    positions = [header.index(column) for column in COLUMNS]

    def cells() -> Iterator[tuple[str, dict[str, Any]]]:
        for number, row in lines:
            values = [row[position] if position < len(row) else "" for position in positions]
            yield f"line {number}", dict(zip(COLUMNS, values, strict=True))

    return _read(cells())


def read_json(data: bytes) -> AliasMap:
    """The map in an array of objects with the members `content` and `alias`.

    Raises InvalidImport.
    """
    document = strict_json.loads(data)
    if not isinstance(document, list):
        raise InvalidImport(f"The body must be an array of objects, not {excerpt(document)}.")
    return _read((f"row {index}", row) for index, row in enumerate(document))


def _read(rows: Iterable[tuple[str, Any]]) -> AliasMap:
    aliases: AliasMap = {}
    for count, (location, row) in enumerate(rows):
        if count == MAX_ROWS:
            raise InvalidImport(f"The file has more than {MAX_ROWS} rows. Split it.")
        if not isinstance(row, dict):
            raise _invalid(location, "", f"expected an object, found {excerpt(row)}")
        content, alias = (_name(location, column, row.get(column)) for column in COLUMNS)
        aliases.setdefault(content, []).append(alias)
    return aliases


def _name(location: str, column: str, value: Any) -> str:
    if not is_name(value):
        detail = "expected an activity id, a content_id of track events or id:N, found "
        raise _invalid(location, f"/{column}", detail + excerpt(value))
    return str(value).strip()


def is_name(value: Any) -> bool:
    """Whether a value can identify a content item."""
    return isinstance(value, str) and 0 < len(value.strip()) <= _MAX_NAME and "\0" not in value


def _invalid(location: str, pointer: str, detail: str) -> InvalidImport:
    field = pointer[1:] or "row"
    return InvalidImport(
        f"{location}, {field}: {detail}.", violations=[Violation(pointer, detail, _REQUIREMENT)]
    )
