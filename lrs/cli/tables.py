"""Lists of commands: a header and one line per row, or one JSON array with `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import click
import msgspec

from lrs.cli.output import UNSAFE, echo

json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
object_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, as_json: bool
) -> None:
    """Prints the named members of the rows: tab-separated under a header, or all as JSON."""
    if as_json:
        print_json([*rows])
        return
    echo(*columns)
    for row in rows:
        echo(*(cell(row[name]) for name in columns))


def print_json(content: Any) -> None:
    """Prints JSON; what could control the terminal is escaped as JSON escapes it."""
    text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    for line in text.split("\n"):
        echo(UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line))


def cell(value: Any) -> str:
    """The text of a value in a table; a mapping as `stored=10 duplicate=2`."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={cell(item)}" for name, item in value.items())
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    return str(value)
