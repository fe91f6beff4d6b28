"""CSV for spreadsheets: no text cell is taken for a formula (OWASP, "CSV Injection").

A text cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets an apostrophe in
front, also where the text is a number: the type of the column decides, not its content. Numbers,
times and booleans are never changed. Raw CSV has every cell as stored.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def neutralize(cell: Any) -> Any:
    """The cell; a text that a spreadsheet would take for a formula with an apostrophe in front."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def neutralize_sql(expression: str) -> str:
    """`neutralize` as an SQL expression of type text."""
    codes = ", ".join(str(ord(letter)) for letter in _FORMULA_STARTS)
    is_formula = f"ascii({expression}) in ({codes})"
    return f"case when {is_formula} then chr(39) || {expression} else {expression} end"


def write_csv(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, raw: bool = False
) -> str:
    """CSV with a header line. A row may lack columns; these are empty."""
    lines: list[str] = []
    table = csv.DictWriter(SimpleNamespace(write=lines.append), columns)
    table.writeheader()
    for row in rows:
        table.writerow(row if raw else {name: neutralize(cell) for name, cell in row.items()})
    return "".join(lines)
