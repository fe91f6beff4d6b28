"""Options of commands that import a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from lrs.errors import InvalidImport, InvalidParameter
from lrs.imports.dates import DATE_FORMATS
from lrs.imports.tables import DELIMITERS, TableOptions

Command = Callable[..., Any]


def table_options(command: Command) -> Command:
    """The options of a table; `read_table_options` takes their values."""
    for option in reversed(
        (
            click.option(
                "--type", "row_type", help="Type of all rows, for a table without a column type."
            ),
            click.option(
                "--map",
                "mapped",
                multiple=True,
                metavar="COLUMN=HEADER",
                help='Take a column from another header, such as email="Work E-mail"; repeatable.',
            ),
            click.option(
                "--set",
                "constants",
                multiple=True,
                metavar="COLUMN=VALUE",
                help="Set a column to one value in all rows; repeatable.",
            ),
            click.option(
                "--dates",
                "date_format",
                type=click.Choice(DATE_FORMATS),
                default=DATE_FORMATS[0],
                show_default=True,
                help="Form of dates in the table.",
            ),
            click.option(
                "--delimiter",
                type=click.Choice(list(DELIMITERS)),
                help="Delimiter of the table.  [default: detected]",
            ),
            click.option(
                "--encoding", help="Encoding of the table.  [default: detected]", metavar="NAME"
            ),
        )
    ):
        command = option(command)
    return command


def read_table_options(options: dict[str, Any]) -> TableOptions:
    """The values of `table_options`, which are removed from the options."""
    delimiter = options.pop("delimiter")
    return TableOptions(
        kind=options.pop("row_type"),
        headers=_pairs("--map", options.pop("mapped")),
        constants=_pairs("--set", options.pop("constants")),
        date_format=options.pop("date_format"),
        delimiter=DELIMITERS[delimiter] if delimiter else None,
        encoding=options.pop("encoding"),
    )


def read_file(file: Path) -> bytes:
    """The bytes of a file. Raises InvalidImport."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidImport(f"{file} cannot be read: {error}.") from None


def _pairs(option: str, values: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, separator, text = value.partition("=")
        if not separator or not name.strip() or not text.strip():
            raise InvalidParameter(f"{option} {value!r}: expected a column, =, and a text.")
        if name.strip() in pairs:
            raise InvalidParameter(f"{option}: the column {name.strip()!r} is repeated.")
        pairs[name.strip()] = text.strip()
    return pairs
