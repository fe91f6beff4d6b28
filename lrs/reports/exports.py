"""Tables of reports, and statements, read as they stand at one moment and sent as they come.

Exports have connections of their own: one may take an hour, as long as its reader takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.errors import Overloaded
from lrs.projection import lag
from lrs.projection.lag import ReportWatermark
from lrs.reports import table_queries
from lrs.reports.encoders import CopyFormat
from lrs.reports.tables import STATEMENTS, Column, Table
from lrs.store.postgres import READER, Database, translate_errors
from lrs.store.statements import sequence
from lrs.store.statements.watermark import WatermarkReader

_CHANGED = resources.query("get_last_change")
_CHANGED_DAYS = resources.query("list_changed_days")
_STATEMENTS = resources.query("export_statements")
_PAYLOADS = resources.query("export_payloads")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Days that are sent anew by themselves; where more have changed, all are. They stand in a header,
# which proxies want short.
_MOST_DAYS = 100
# How much is handed on at a time.
_MAX_CHUNK_BYTES = 262_144
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """What is read of a table: its rows, and what a reader does with them.

    They replace everything that it had of the table (`days` is None), or what it had of some days;
    statements (`appended`) are only added. `cursor` is the `since` that the next portion follows.
    """

    table: Table
    sql: str
    arguments: tuple[Any, ...]
    cursor: datetime
    watermark: ReportWatermark
    replaced_days: tuple[date, ...] | None = None
    append_only: bool = False


class Exports:
    """A few connections for exports, and the bound that their statements are complete up to."""

    def __init__(
        self, pool: asyncpg.Pool, database: Database, watermark_reader: WatermarkReader
    ) -> None:
        self.pool = pool
        self._database = database
        self._watermark_reader = watermark_reader

    @asynccontextmanager
    async def snapshot(self, partner_id: int) -> AsyncIterator[Snapshot]:
        """The partner's tables at one moment. Raises Overloaded if too many are being read."""
        bound = await self._watermark_reader.read_watermark()
        reached = await lag.report_watermark(self._database, partner_id, bound)
        async with self._connection() as connection:
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            try:
                with translate_errors():
                    await transaction.start()
                    changed_at = await connection.fetchval(_CHANGED, partner_id)
                yield Snapshot(connection, partner_id, bound, reached, changed_at)
            finally:
                with suppress(Exception):  # the connection may be lost
                    await transaction.rollback()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """One of the few, given back whatever becomes of it."""
        with translate_errors():
            try:
                connection = await self.pool.acquire(timeout=_PATIENCE)
            except TimeoutError:
                raise Overloaded(
                    "As many exports are being read as the server sends at a time.",
                    headers={"Retry-After": "30"},
                ) from None
        try:
            yield connection
        finally:
            await self.pool.release(connection)


@asynccontextmanager
async def open_exports(
    dsn: str,
    database: Database,
    watermark_reader: WatermarkReader,
    *,
    max_connections: int = 2,
    timeout_seconds: float = 3600.0,
) -> AsyncIterator[Exports]:
    """Exports from a database, each of which may take so long; 0 is for ever.

    Raises Unavailable.
    """
    with translate_errors():
        async with asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=max_connections,
            server_settings={
                "application_name": READER,
                "jit": "off",
                "timezone": "UTC",
                "datestyle": "ISO",
                "statement_timeout": str(round(timeout_seconds * 1000)),
            },
        ) as pool:
            yield Exports(pool, database, watermark_reader)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A partner's tables at one moment, as long as its transaction lasts."""

    connection: PoolConnectionProxy
    partner_id: int
    watermark: datetime
    report_watermark: ReportWatermark
    changed_at: datetime | None

    async def query(self, table: Table, since: datetime | None = None) -> ExportQuery:
        """All of a table, or what is news of it."""
        if table is STATEMENTS:
            return self._statements(since or EPOCH)
        days = await self._changed_days(since) if since and table.daily else None
        sql, arguments = table_queries.select(table.name), list[Any]([self.partner_id])
        if days is not None:
            sql = f"select * from (\n{sql}\n) as daily where date_id = any($2::integer[])"
            arguments.append([_date_id(day) for day in days])
        cursor = self.changed_at or EPOCH
        return ExportQuery(table, sql, tuple(arguments), cursor, self.report_watermark, days)

    def _statements(self, since: datetime) -> ExportQuery:
        window, reached = (
            (sequence.first_after(since), sequence.first_after(self.watermark)),
            ReportWatermark(self.watermark, 0.0),
        )
        arguments = (self.partner_id, *window)
        return ExportQuery(
            STATEMENTS, _STATEMENTS, arguments, self.watermark, reached, append_only=True
        )

    async def _changed_days(self, since: datetime) -> tuple[date, ...] | None:
        with translate_errors():
            rows = await self.connection.fetch(_CHANGED_DAYS, self.partner_id, since)
        return None if len(rows) > _MOST_DAYS else tuple(row["day"] for row in rows)

    def rows(self, portion: ExportQuery, wire: CopyFormat) -> CopyStream:
        return CopyStream(self.connection, _wired(portion, wire), portion.arguments, wire)


class CopyStream:
    """The bytes of whole rows, some at a time; PostgreSQL waits for who reads them.

    Once all have been read, `count` says how many there were.
    """

    def __init__(
        self,
        connection: PoolConnectionProxy,
        query: str,
        arguments: tuple[Any, ...],
        wire: CopyFormat,
    ) -> None:
        self._connection = connection
        self._query = query
        self._arguments = arguments
        self._format: Literal["csv", "text"] = "csv" if wire == "csv" else "text"
        self.count = 0

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        copying = asyncio.create_task(self._copy(queue))
        waiting = bytearray()
        try:
            while chunk := await queue.get():
                waiting += chunk
                if len(waiting) >= _MAX_CHUNK_BYTES:
                    yield bytes(waiting)
                    waiting.clear()
            with translate_errors():
                await copying
            if waiting:
                yield bytes(waiting)
        finally:
            if not copying.done():  # whoever was reading has gone away
                self._connection.terminate()
                copying.cancel()
                while not queue.empty():  # there must be room for its last word
                    queue.get_nowait()
                with suppress(asyncio.CancelledError, Exception):
                    await copying

    async def _copy(self, queue: asyncio.Queue[bytes]) -> None:
        try:
            status = await self._connection.copy_from_query(
                self._query, *self._arguments, output=queue.put, format=self._format
            )
            self.count = int(status.rpartition(" ")[2])
        except asyncio.CancelledError:
            raise  # nobody is waiting any more
        except Exception:
            await queue.put(b"")
            raise
        await queue.put(b"")


def _wired(portion: ExportQuery, wire: CopyFormat) -> str:
    """The query whose COPY has the rows in a form."""
    if wire == "csv":
        columns = ", ".join(map(_csv, portion.table.columns))
        return f"select {columns} from (\n{portion.sql}\n) as report"
    if portion.append_only:
        return _PAYLOADS
    return f"select row_to_json(report) from (\n{portion.sql}\n) as report"


def _csv(column: Column) -> str:
    """A column as CSV shows it: ISO 8601, and words for true and false."""
    if column.type == "timestamp":
        return f"""to_char("{column.name}", 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f'"{column.name}"::text' if column.type == "boolean" else f'"{column.name}"'


def _date_id(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
