"""The kinds of rows of a catalog, and the documents that contain them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lrs.errors import InvalidImport, MalformedJSON
from lrs.imports import encodings
from lrs.imports.rows import ParsedTable, Row, RowKinds
from lrs.imports.tables import TableOptions
from lrs.xapi import strict_json
from lrs.xapi.validation import RuleViolation
from lrs.xapi.validation_messages import excerpt

CONTENT_KINDS = (
    "course",
    "chapter",
    "exercise",
    "assessment",
    "practice",
    "project",
    "track",
    "workspace",
    "certification",
)
"""Kinds of rows that describe a content item; the type of the item in reports."""

KINDS = (*CONTENT_KINDS, "track_version", "track_content")

PARENT_COLUMNS = ("chapter", "course", "certification")
"""Columns with the item that an item is part of, the closest one first."""


def _rules(_row: Any) -> Iterable[RuleViolation]:
    return ()


ROWS = RowKinds(
    section="Catalog",
    directory="catalog",
    names=KINDS,
    rules=_rules,
    dates=frozenset({"launched_date"}),
    timestamps=frozenset({"published_live_at", "archived_at"}),
    numbers=frozenset(
        {
            "xp",
            "nb_hours_needed",
            "nb_exercises",
            "number",
            "nb_megabytes",
            "valid_days",
            "version_number",
            "position",
        }
    ),
    booleans=frozenset(
        {
            "is_guided",
            "is_certification",
            "is_custom",
            "is_featured",
            "is_current_version",
            "removed",
        }
    ),
    needed={
        **dict.fromkeys(CONTENT_KINDS, ("content",)),
        "track_version": ("track",),
        "track_content": ("track",),
    },
)


def read(data: bytes, options: TableOptions | None = None) -> ParsedTable:
    """The rows of a file: CSV, NDJSON or a JSON array, as its first character says.

    Raises InvalidImport, also while the rows are read.
    """
    options = options or TableOptions()
    decoded = encodings.decode(data, options.encoding)
    start = decoded.text.lstrip()[:1]
    if start == "[":
        return ParsedTable(ROWS.json_rows(_array(decoded.text)), decoded.notes)
    if start == "{":
        return ParsedTable(_line_rows(decoded.text), decoded.notes)
    table = ROWS.read_csv(decoded.text, options)
    table.notes[:0] = decoded.notes
    return table


def _array(text: str) -> list[Any]:
    document = strict_json.loads(text.encode())
    if not isinstance(document, list):
        raise InvalidImport(f"The catalog must be an array of rows, not {excerpt(document)}.")
    return document


def _line_rows(text: str) -> Iterator[Row]:
    """The rows of the lines; empty lines are left out."""
    # Not splitlines(): JSON strings may contain other line separators.
    lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1))
    filled = ((number, line) for number, line in lines if line.strip())
    for index, (number, line) in enumerate(filled):
        try:
            value = strict_json.loads(line.encode())
        except MalformedJSON as error:
            raise InvalidImport(f"Line {number}: {error.detail}") from None
        yield ROWS.row(index, number, value)
