"""Lists of commands: a header and one line per row, or one JSON array with `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import click
import orjson

from lrs.cli.output import echo

json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, as_json: bool
) -> None:
    """Prints the named members of the rows: tab-separated under a header, or all as JSON."""
    if as_json:
        text = orjson.dumps([*rows], option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
        for line in text.splitlines():
            echo(line)
        return
    echo(*columns)
    for row in rows:
        echo(*(_text(row[name]) for name in columns))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    return str(value)
