"""The tables of reports in the database: one select for each, and how far they have come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lrs import resources
from lrs.store.database import Connection, errors_translated

_POSITION = resources.sql("reporting/position")


@dataclass(frozen=True, slots=True)
class Position:
    """How far the statements were followed, and when facts last changed; None for never."""

    through: datetime | None
    changed_at: datetime | None


async def position(connection: Connection, partner_id: int) -> Position:
    with errors_translated():
        (row,) = await connection.fetch(_POSITION, partner_id)
    return Position(**row)


def select(table: str) -> str:
    """The rows of a table; its only argument is the partner's id."""
    return resources.sql(f"reporting/tables/{table}").rstrip()
