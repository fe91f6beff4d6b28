"""The bytes of an export: rows by COPY from PostgreSQL, encoded and compressed as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Literal

from asyncpg.pool import PoolConnectionProxy

from lrs import resources
from lrs.reports import csv_cells
from lrs.reports.compression import Compression, compressor
from lrs.reports.encoders import CopyFormat, CSVOptions, Format, create_encoder
from lrs.reports.exports import ExportQuery, Snapshot
from lrs.reports.table_model import Column
from lrs.store.postgres import translate_errors

_PAYLOADS = resources.query("export_payloads")

_CHUNK_BYTES = 262_144

DEFAULT_CSV = CSVOptions()


def metadata(query: ExportQuery) -> dict[str, Any]:
    """What a JSON document and a manifest say about an export."""
    return {
        "table": query.table.name,
        "consistent_through": format_timestamp(query.watermark.consistent_through),
        "lag_seconds": query.watermark.lag_seconds,
        "uncounted": query.watermark.uncounted,
        "cursor": format_timestamp(query.cursor),
        "replaces": _replaces(query),
    }


def _replaces(query: ExportQuery) -> str | list[str]:
    if query.append_only:
        return []
    if query.by_record:
        return "records"
    if query.replaced_days is None:
        return "all"
    return [day.isoformat() for day in query.replaced_days]


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class ExportStream:
    """The file of an export; iterate over its bytes once. Then `row_count` is known.

    Raises NotFound if the format is not available.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        query: ExportQuery,
        format_: Format,
        compression: Compression | None = None,
        csv: CSVOptions = DEFAULT_CSV,
    ) -> None:
        self._encoder = create_encoder(format_, query.table, metadata(query), csv)
        copy_format = self._encoder.copy_format
        sql = _copy_sql(query, copy_format, neutralized=format_ == "csv" and not csv.raw)
        self._rows = CopyStream(snapshot.connection, sql, query.arguments, copy_format)
        self._compressor = compressor(compression)

    @property
    def row_count(self) -> int:
        """The number of rows, after the iteration."""
        return self._rows.row_count

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the file; encoded in threads, because it would block the event loop."""
        yield self._compressor.compress(self._encoder.begin())
        async with aclosing(aiter(self._rows)) as chunks:
            async for chunk in chunks:
                if data := await asyncio.to_thread(self._encode, chunk):
                    yield data
        yield await asyncio.to_thread(self._finish)

    def _encode(self, chunk: bytes) -> bytes:
        return self._compressor.compress(self._encoder.rows(chunk))

    def _finish(self) -> bytes:
        return self._compressor.compress(self._encoder.end()) + self._compressor.flush()


class CopyStream:
    """The rows of a query as bytes from COPY; each chunk has whole rows.

    PostgreSQL waits for the reader (backpressure). After the iteration, `row_count` is known.
    """

    def __init__(
        self,
        connection: PoolConnectionProxy,
        sql: str,
        arguments: tuple[Any, ...],
        copy_format: CopyFormat,
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._arguments = arguments
        self._format: Literal["csv", "text"] = "csv" if copy_format == "csv" else "text"
        self.row_count = 0

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        copying = asyncio.create_task(self._copy(queue))
        buffer = bytearray()
        try:
            while data := await queue.get():
                buffer += data
                if len(buffer) >= _CHUNK_BYTES:
                    yield bytes(buffer)
                    buffer.clear()
            with translate_errors():
                await copying
            if buffer:
                yield bytes(buffer)
        finally:
            if not copying.done():  # the reader stopped early
                await self._abort(copying, queue)

    async def _abort(self, copying: asyncio.Task[None], queue: asyncio.Queue[bytes]) -> None:
        self._connection.terminate()
        copying.cancel()
        while not queue.empty():  # a pending put would block the task
            queue.get_nowait()
        with suppress(asyncio.CancelledError, Exception):
            await copying

    async def _copy(self, queue: asyncio.Queue[bytes]) -> None:
        """Put the bytes of the COPY into the queue, then b"" as its end, also after an error."""
        try:
            status = await self._connection.copy_from_query(
                self._sql, *self._arguments, output=queue.put, format=self._format
            )
            self.row_count = int(status.rpartition(" ")[2])
        except asyncio.CancelledError:
            raise  # without a reader, the queue may be full
        except Exception:
            await queue.put(b"")
            raise
        await queue.put(b"")


def _copy_sql(query: ExportQuery, copy_format: CopyFormat, *, neutralized: bool) -> str:
    """The query whose rows COPY writes: the columns for CSV, one JSON object for JSON."""
    if copy_format == "csv":
        columns = ", ".join(_csv_expression(column, neutralized) for column in query.table.columns)
        return f"select {columns} from (\n{query.sql}\n) as report"
    if query.append_only:
        return _PAYLOADS
    columns = ", ".join(_json_expression(column) for column in query.table.columns)
    rows = f"select {columns} from (\n{query.sql}\n) as report"
    return f"select row_to_json(report) from ({rows}) as report"


_TIMESTAMP = """to_char("{}", 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""A timestamp in RFC 3339, in UTC with microseconds; sessions of exports are in UTC."""


def _json_expression(column: Column) -> str:
    """A column in JSON: timestamps as in CSV."""
    name = f'"{column.name}"'
    return f"{_TIMESTAMP.format(column.name)} as {name}" if column.type == "timestamp" else name


def _csv_expression(column: Column, neutralized: bool) -> str:
    """A column in CSV: timestamps in RFC 3339, booleans as true and false."""
    if column.type == "text" and neutralized:
        return csv_cells.neutralize_sql(f'"{column.name}"')
    if column.type == "timestamp":
        return _TIMESTAMP.format(column.name)
    return f'"{column.name}"::text' if column.type == "boolean" else f'"{column.name}"'
