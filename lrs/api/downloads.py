"""Exports over HTTP: one of each partner at a time, spooled between the database and the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakValueDictionary

from lrs.api.spool import Spool
from lrs.errors import TooManyRequests, Unavailable
from lrs.reports import record_list
from lrs.reports.compression import Compression
from lrs.reports.encoders import CSVOptions, Format
from lrs.reports.export_stream import DEFAULT_CSV, ExportStream
from lrs.reports.exports import RETRY_AFTER_SECONDS, ExportQuery, Exports
from lrs.reports.record_list_query import ListCursor, RecordListQuery
from lrs.reports.table_model import Table


@dataclass(frozen=True, slots=True)
class FileRequest:
    """The requested file of one table, or of the list of records: see ExportStream."""

    table: Table
    since: datetime | None
    format: Format
    compression: Compression | None
    csv: CSVOptions = DEFAULT_CSV
    records: RecordListQuery | None = None


class Downloads:
    """Opens downloads, one of each partner at a time.

    `timeout_seconds` is the time in which the client must read a file, `max_spool_bytes` the part
    of a file that it has not read yet, in a temporary file in `spool_directory`.
    """

    def __init__(
        self,
        exports: Exports,
        *,
        timeout_seconds: float = 3600.0,
        max_spool_bytes: int = 1 << 28,
        spool_directory: str | None = None,
    ) -> None:
        self._exports = exports
        self._timeout_seconds = timeout_seconds
        self._max_spool_bytes = max_spool_bytes
        self._spool_directory = spool_directory
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def open(self, partner_id: int, file: FileRequest) -> AsyncIterator[Download]:
        """A download; the connection to the database is released as soon as all is spooled.

        Raises TooManyRequests while another download of the partner lasts, Overloaded without a
        free connection, Unavailable on a failure, NotFound if the format is not available.
        """
        async with self._partner_turn(partner_id):
            spool = Spool(self._max_spool_bytes, self._spool_directory)
            download = Download(spool)
            producing = asyncio.create_task(self._produce(partner_id, file, download))
            try:
                await download.wait_until_open()
                yield download
            finally:
                producing.cancel()
                with suppress(asyncio.CancelledError):
                    await producing
                spool.close()

    @asynccontextmanager
    async def _partner_turn(self, partner_id: int) -> AsyncIterator[None]:
        lock = self._locks.setdefault(partner_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self._exports.acquire_timeout_seconds):
                await lock.acquire()
        except TimeoutError:
            raise TooManyRequests(
                "Another export of this partner is in progress; retry after "
                f"{RETRY_AFTER_SECONDS} s.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            ) from None
        try:
            yield
        finally:
            lock.release()

    async def _produce(self, partner_id: int, file: FileRequest, download: Download) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._spool_file(partner_id, file, download)
        except TimeoutError:
            await download.finish(Unavailable("The export took too long."))
        except Exception as error:
            await download.finish(error)
        else:
            await download.finish()

    async def _spool_file(self, partner_id: int, file: FileRequest, download: Download) -> None:
        async with self._exports.snapshot(partner_id) as snapshot:
            if file.records is None:
                query = await snapshot.query(file.table, file.since)
            else:
                query, download.next_cursor = await record_list.export_query(snapshot, file.records)
            # In a thread: the first Parquet export imports pyarrow.
            stream = await asyncio.to_thread(
                ExportStream, snapshot, query, file.format, file.compression, file.csv
            )
            await download.spool.open()
            await download.start(query)
            async with aclosing(aiter(stream)) as content:
                async for part in content:
                    await download.spool.write(part)


class Download:
    """The query of a file, then its bytes. They are produced once the client begins to read.

    `next_cursor` is that of the next file of a list of records, None after the last one.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.next_cursor: ListCursor | None = None
        self._query: asyncio.Future[ExportQuery] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.Event()

    @property
    def query(self) -> ExportQuery:
        return self._query.result()

    async def wait_until_open(self) -> None:
        """Raises the error of a download that cannot start."""
        await asyncio.shield(self._query)

    async def start(self, query: ExportQuery) -> None:
        self._query.set_result(query)
        await self._reading.wait()

    async def finish(self, error: Exception | None = None) -> None:
        if not self._query.done():
            self._query.set_exception(error or Unavailable("The export did not start."))
        else:
            await self.spool.finish(error)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the file, at most 64 KiB at a time. Raises Unavailable on a failure."""
        self._reading.set()
        while part := await self.spool.read():
            yield part
