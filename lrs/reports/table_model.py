"""A report table: its kind, its columns and their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["integer", "double", "text", "boolean", "date", "timestamp"]
Kind = Literal["fact", "dimension", "bridge", "records", "list", "statements"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its type, which every file format keeps."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Rows of a `daily` table belong to a day: an export can contain changed days only.
    """

    name: str
    kind: Kind
    description: str
    columns: tuple[Column, ...]
    daily: bool = False


def table(name: str, description: str, *groups: str, daily: bool = False) -> Table:
    """A table; each group is a type and the columns of that type: "integer: user_id date_id"."""
    columns = []
    for group in groups:
        type_, _, names = group.partition(": ")
        columns += [Column(column, type_) for column in names.split()]  # type: ignore[arg-type]
    return Table(name, _kind(name), description, tuple(columns), daily)


def _kind(name: str) -> Kind:
    kinds: dict[str, Kind] = {
        "fact": "fact",
        "dim": "dimension",
        "bridge": "bridge",
        "record": "records",
        "uncounted": "list",
        "statements": "statements",
    }
    return kinds[name.rpartition("_")[2]]
