"""The watermark: the time up to which the store is complete, across all servers.

No statement with `stored` at or before the watermark can still appear. Every list ends at it and
sends it as `X-Experience-API-Consistent-Through`. A consumer that polls with `since=<last
watermark>` misses no statement and reads none twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.errors import Unavailable
from lrs.store.batching import BatchLoader
from lrs.store.postgres import WRITER, Database, translate_errors

_SQL = resources.query("get_watermark")

_OPEN_WRITERS_TIMEOUT = 0.25
"""Seconds that a read of the watermark waits for transactions opened before it."""
_POLL_INTERVAL = 0.002
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class WatermarkReading:
    """The watermark at `now`, a time of the database's clock."""

    now: datetime
    watermark: datetime


class WatermarkReader:
    """Reads the watermark for one worker; concurrent reads share a query.

    `max_age` is the age in seconds up to which `cached_watermark` returns the last value read.
    Every method raises Unavailable if the database does not answer, is a standby, or hides the
    transactions of other writers.
    """

    def __init__(self, database: Database, *, max_age: float = 0.1) -> None:
        self._database = database
        self._max_age = max_age
        self._last: WatermarkReading | None = None
        self._last_read_at = 0.0
        self._loader: BatchLoader[None, WatermarkReading] = BatchLoader(self._fetch)

    async def cached_watermark(self) -> datetime:
        """A watermark that is at most `max_age` old. For responses that are not lists."""
        if self._last is None or time.monotonic() - self._last_read_at > self._max_age:
            return (await self._loader.load(None)).watermark
        return self._last.watermark

    async def read_watermark(self) -> datetime:
        """A watermark that covers every statement acknowledged before this call."""
        return (await self.take_reading()).watermark

    async def take_reading(self) -> WatermarkReading:
        """Reads the watermark after this call begins, and the time of that read.

        Waits up to 0.25 s for open write transactions to end. After this timeout the watermark is
        older, and may not cover every acknowledged statement.
        """
        reading = await self._loader.load(None)
        requested_at, deadline = reading.now, time.monotonic() + _OPEN_WRITERS_TIMEOUT
        while reading.watermark < requested_at - _MICROSECOND and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_INTERVAL)
            reading = await self._loader.load(None)
        return reading

    async def _fetch(self, keys: Sequence[None]) -> Sequence[WatermarkReading]:
        with translate_errors():
            (row,) = await self._database.readers.fetch(_SQL, WRITER)
        if row["standby"]:
            raise Unavailable("The database is a standby and has no watermark. Use the primary.")
        if row["writers_hidden"]:
            raise Unavailable(
                "The transactions of other writers are hidden. All servers must connect as the "
                "same role or as members of pg_read_all_stats, with track_activities on."
            )
        reading = WatermarkReading(row["now"], row["watermark"])
        self._last, self._last_read_at = reading, time.monotonic()
        return [reading] * len(keys)
