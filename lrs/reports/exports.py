"""Exports: which rows of a table to send, read from one snapshot of the database.

Exports have their own connections, because one may last as long as its reader takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.errors import Overloaded
from lrs.projection import lag
from lrs.projection.lag import ReportWatermark
from lrs.reports import tables
from lrs.reports.table_model import Table
from lrs.reports.tables import LEARNER_RECORD, STATEMENTS
from lrs.store.keepalive import KeepaliveConnection, session_settings
from lrs.store.postgres import READER, Database, close_pools, translate_errors
from lrs.store.statements import sequence
from lrs.store.statements.partner_keys import key_salt
from lrs.store.statements.watermark import WatermarkReader

_CHANGED = resources.query("get_last_change")
_RECORDS_CHANGED = resources.query("get_last_record_change")
_DELETED_RECORDS = resources.query("list_deleted_records")
_CHANGED_DAYS = resources.query("list_changed_days")
_STATEMENTS = resources.query("export_statements")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# With more changed days, all days are sent: the days are in a response header, and proxies limit
# its length.
_MAX_CHANGED_DAYS = 100

RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """The rows of one export of a table, and how the reader applies them.

    table           the exported table
    sql, arguments  the query for the rows
    cursor          the `since` of the next export
    watermark       of the rows
    replaced_days   the rows replace those of these days; None replaces the whole table
    append_only     the rows are appended and replace nothing
    by_record       the rows replace those of the same learner, content item and organization
    """

    table: Table
    sql: str
    arguments: tuple[Any, ...]
    cursor: datetime
    watermark: ReportWatermark
    replaced_days: tuple[date, ...] | None = None
    append_only: bool = False
    by_record: bool = False


class Exports:
    """The connections for exports, and the watermark reader of the database."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        database: Database,
        watermark_reader: WatermarkReader,
        *,
        acquire_timeout_seconds: float = 5.0,
    ) -> None:
        self.pool = pool
        self._database = database
        self._watermark_reader = watermark_reader
        self.acquire_timeout_seconds = acquire_timeout_seconds

    @asynccontextmanager
    async def snapshot(self, partner_id: int) -> AsyncIterator[Snapshot]:
        """A snapshot of the partner's tables.

        Raises Overloaded if no connection is free within the timeout, Unavailable on a failure.
        """
        watermark = await self._watermark_reader.read_watermark(partner_id)
        report_watermark = await lag.report_watermark(self._database, partner_id, watermark)
        async with self._connection() as connection:
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            try:
                with translate_errors():
                    await transaction.start()
                    changed_at = await connection.fetchval(_CHANGED, partner_id)
                yield Snapshot(connection, partner_id, watermark, report_watermark, changed_at)
            finally:
                with suppress(Exception):  # the connection may be lost
                    await transaction.rollback()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """A connection; it is released to the pool even if it is lost or closed."""
        with translate_errors():
            try:
                connection = await self.pool.acquire(timeout=self.acquire_timeout_seconds)
            except TimeoutError:
                raise Overloaded(
                    f"Too many concurrent exports; retry after {RETRY_AFTER_SECONDS} s.",
                    headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
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
    """Open the connections for exports; `timeout_seconds` is per query, 0 is no limit.

    Raises Unavailable.
    """
    with translate_errors():
        async with asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=max_connections,
            connection_class=KeepaliveConnection,
            server_settings={
                **session_settings(READER),
                "jit": "off",
                "timezone": "UTC",
                "datestyle": "ISO",
                "statement_timeout": str(round(timeout_seconds * 1000)),
            },
            setup=_end_with_client,
        ) as pool:
            try:
                yield Exports(pool, database, watermark_reader)
            finally:
                await close_pools(pool)


async def _end_with_client(connection: PoolConnectionProxy) -> None:
    """Let PostgreSQL end the query, and its snapshot, of an export whose process is killed.

    Not a setting of the session: PostgreSQL refuses it on platforms that do not support it.
    """
    with suppress(asyncpg.InvalidParameterValueError):
        await connection.execute("set client_connection_check_interval = '5s'")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repeatable-read transaction on the tables of one partner.

    `watermark` is that of the statements, `report_watermark` that of the other tables. `changed_at`
    is the last change of any fact, None before the first.
    """

    connection: PoolConnectionProxy
    partner_id: int
    watermark: datetime
    report_watermark: ReportWatermark
    changed_at: datetime | None

    async def query(self, table: Table, since: datetime | None = None) -> ExportQuery:
        """The query for a table; with `since`, for the changes after that cursor."""
        if table is STATEMENTS:
            return self._statements_query(since or EPOCH)
        if table is LEARNER_RECORD:
            return await self._records_query(since)
        days = await self._changed_days(since) if since and table.daily else None
        sql = tables.select(table.name)
        arguments: tuple[Any, ...] = (self.partner_id,)
        if days is not None:
            sql = f"select * from (\n{sql}\n) as daily where date_id = any($2::integer[])"
            arguments = (self.partner_id, [_date_id(day) for day in days])
        cursor = self.changed_at or EPOCH
        return ExportQuery(table, sql, arguments, cursor, self.report_watermark, days)

    def _statements_query(self, since: datetime) -> ExportQuery:
        start, end = sequence.first_after(since), sequence.first_after(self.watermark)
        return ExportQuery(
            STATEMENTS,
            _STATEMENTS,
            (self.partner_id, start, end, key_salt(self.partner_id)),
            cursor=self.watermark,
            watermark=ReportWatermark(self.watermark, 0.0, self.report_watermark.uncounted),
            append_only=True,
        )

    async def _records_query(self, since: datetime | None) -> ExportQuery:
        """All records; with `since`, those that changed, and tombstones of the deleted ones."""
        with translate_errors():
            changed_at = await self.connection.fetchval(_RECORDS_CHANGED, self.partner_id)
        cursor, sql = changed_at or since or EPOCH, tables.select(LEARNER_RECORD.name)
        if since is None:
            return ExportQuery(
                LEARNER_RECORD, sql, (self.partner_id,), cursor, self.report_watermark
            )
        changed = f"select * from (\n{sql}\n) as record where updated_at > $2"
        return ExportQuery(
            LEARNER_RECORD,
            f"{changed}\nunion all\n({_DELETED_RECORDS})",
            (self.partner_id, since),
            cursor,
            self.report_watermark,
            by_record=True,
        )

    async def _changed_days(self, since: datetime) -> tuple[date, ...] | None:
        """The days whose facts changed after `since`; None if there are too many."""
        with translate_errors():
            rows = await self.connection.fetch(_CHANGED_DAYS, self.partner_id, since)
        return None if len(rows) > _MAX_CHANGED_DAYS else tuple(row["day"] for row in rows)


def _date_id(day: date) -> int:
    """The id of the day in date_dim, such as 20260508."""
    return day.year * 10_000 + day.month * 100 + day.day
