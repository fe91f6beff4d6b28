"""What a database holds: rows of each table, and a hash of each partner's statements by day."""

from __future__ import annotations

import msgspec

from lrs import resources
from lrs.plurals import quantity
from lrs.reports.report_schema import quoted
from lrs.store.postgres import Connection


class Day(msgspec.Struct, frozen=True):
    """The statements that one partner stored on one UTC day.

    `hash` is over ids, digests and texts, in no order.
    """

    partner: str
    day: str
    statements: int
    hash: str


class Contents(msgspec.Struct, frozen=True):
    """Rows by table, and statements by partner and day."""

    tables: dict[str, int]
    days: list[Day]

    @property
    def statements(self) -> dict[str, int]:
        """The number of statements by partner."""
        counts: dict[str, int] = {}
        for day in self.days:
            counts[day.partner] = counts.get(day.partner, 0) + day.statements
        return counts


async def read(connection: Connection) -> Contents:
    """The contents of a database, as the transaction of the connection sees them."""
    rows = await connection.fetch(resources.query("list_durable_tables"))
    tables = {
        name: await connection.fetchval(f"select count(*) from {quoted(name)}")  # noqa: S608 - quoted
        for name in (row["name"] for row in rows)
    }
    days = await connection.fetch(resources.query("hash_statements_by_day"))
    return Contents(tables, [Day(**{**row, "day": str(row["day"])}) for row in days])


async def table_bytes(connection: Connection) -> int:
    """The size of all tables without their indexes: the work of a dump."""
    return int(await connection.fetchval(resources.query("get_tables_size")))


def differences(expected: Contents, actual: Contents) -> list[str]:
    """What differs, in sentences; empty if both are equal."""
    lines = [
        f"table {name}: {quantity(actual.tables.get(name, 0), 'row')} instead of {count}"
        for name, count in expected.tables.items()
        if actual.tables.get(name) != count
    ]
    days = {(day.partner, day.day): day for day in actual.days}
    for day in expected.days:
        restored = days.pop((day.partner, day.day), None)
        if restored is None:
            lines.append(
                f"partner {day.partner}, {day.day}: {quantity(day.statements, 'statement')} missing"
            )
        elif restored.statements != day.statements:
            lines.append(
                f"partner {day.partner}, {day.day}: {quantity(restored.statements, 'statement')} "
                f"instead of {day.statements}"
            )
        elif restored.hash != day.hash:
            lines.append(f"partner {day.partner}, {day.day}: statements differ")
    lines += [f"partner {partner}, {day}: not in the backup" for partner, day in days]
    return lines
