"""The watermark: the time up to which a partner's statements are complete, across all servers.

No statement with `stored` at or before the watermark can still appear. Every list ends at it and
sends it as `X-Experience-API-Consistent-Through`. A consumer that polls with `since=<last
watermark>` misses no statement and reads none twice.

This does not rely on a clock that goes forward. A statement is stored after the partner's last
`stored` and after the floor in `statement_clock`. The greater of both is the candidate: it becomes
the watermark when the transactions that were open at its reading have ended. Only a transaction
that does not end soon is compared by time: it stores at its start or later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.errors import LRSError, Unavailable
from lrs.observability import metrics
from lrs.store.batching import BatchLoader, SingleFlight
from lrs.store.postgres import WRITER, Database, translate_errors

_SQL = resources.query("get_watermark")
_RAISE_FLOOR = resources.query("raise_floor")
_DELETE_OLD_FLOORS = resources.query("delete_old_floors")

_OPEN_WRITERS_TIMEOUT = 0.25
"""Seconds that a read of the watermark waits for transactions opened before it."""
_CLOCK_BEHIND_TIMEOUT = 5.0
"""The same, while the clock is behind the candidate: then starts cannot be compared."""
_POLL_INTERVAL = 0.002
_MAX_CANDIDATE_AGE = timedelta(seconds=1)
"""The watermark of a partner without new statements is at most this much older than its reading."""
_REPORTED_SECONDS = 0.1
_WARNING_INTERVAL = 60.0
_MICROSECOND = timedelta(microseconds=1)

_NO_WRITERS: frozenset[tuple[int, datetime]] = frozenset()

_log = logging.getLogger("lrs.store")


@dataclass(frozen=True, slots=True)
class WatermarkReading:
    """The watermark of a partner. `read_at`, by the clock of the database, identifies the reading.

    Readings with the same `read_at` began after the requests that share them.
    """

    read_at: datetime
    watermark: datetime


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The candidate of a partner at `now`, and the open writers: process id and start."""

    now: datetime
    candidate: datetime
    writers: frozenset[tuple[int, datetime]]

    @property
    def clock_is_behind(self) -> bool:
        return self.now <= self.candidate

    def watermark(self, open_writers: frozenset[tuple[int, datetime]]) -> datetime:
        """The watermark while these writers are open; the clock must not be behind."""
        starts = [start - _MICROSECOND for _, start in open_writers]
        return min([self.candidate, *starts])


class WatermarkReader:
    """Reads watermarks for one worker; concurrent reads share a query.

    `max_age` is the age in seconds up to which `cached_watermark` returns the last value read.
    Every method raises Unavailable if the database does not answer, is a standby, or hides the
    transactions of other writers; or if a write transaction does not end while the clock is behind.
    """

    def __init__(self, database: Database, *, max_age: float = 0.1) -> None:
        self._database = database
        self._max_age = max_age
        self._cache: dict[int | None, tuple[float, datetime]] = {}
        self._loader: BatchLoader[int | None, _Snapshot] = BatchLoader(self._fetch)
        self._floor_task: asyncio.Task[None] | None = None
        self._floor_flight: SingleFlight[None, None] = SingleFlight(self._raise_floor)
        self._clock_is_behind = True
        self._next_warning = 0.0

    async def cached_watermark(self, partner_id: int | None = None) -> datetime:
        """A watermark that was read at most `max_age` ago. For responses that are not lists.

        Without a partner, it is one of all partners, and does not cover the last statements.
        """
        read_at, watermark = self._cache.get(partner_id, (float("-inf"), None))
        if watermark is None or time.monotonic() - read_at > self._max_age:
            snapshot = await self._load_recent(partner_id)
            if snapshot.clock_is_behind:
                return (await self._wait_for_writers(partner_id, snapshot)).watermark
            watermark = self._keep(partner_id, snapshot.watermark(snapshot.writers))
        return watermark

    async def read_watermark(self, partner_id: int) -> datetime:
        """A watermark that covers every statement acknowledged before this call."""
        return (await self.take_reading(partner_id)).watermark

    async def take_reading(self, partner_id: int) -> WatermarkReading:
        """Reads the watermark after this call begins.

        Waits up to 0.25 s for open write transactions to end. After this timeout the watermark is
        older, and may not cover every acknowledged statement.
        """
        return await self._wait_for_writers(partner_id, await self._load_recent(partner_id))

    async def _load_recent(self, partner_id: int | None) -> _Snapshot:
        """A snapshot with a recent candidate, also of a partner without new statements."""
        snapshot = await self._loader.load(partner_id)
        age = snapshot.now - snapshot.candidate
        if age > _MAX_CANDIDATE_AGE:
            await self._floor_flight.load(None)
            return await self._loader.load(partner_id)
        if age > _MAX_CANDIDATE_AGE / 4 and self._floor_task is None:
            self._floor_task = asyncio.create_task(self._raise_in_background(), context=Context())
        return snapshot

    async def _wait_for_writers(self, partner_id: int | None, first: _Snapshot) -> WatermarkReading:
        """A reading that covers the candidate of a snapshot, once the writers in it have ended."""
        began, last, open_writers = time.monotonic(), first, first.writers
        while open_writers:
            waited = time.monotonic() - began
            if waited > _OPEN_WRITERS_TIMEOUT and not last.clock_is_behind:
                break
            if waited > _CLOCK_BEHIND_TIMEOUT:
                raise Unavailable(
                    "The clock of the database is behind the statements, and a write transaction "
                    "is open.",
                    headers={"Retry-After": "1"},
                )
            await asyncio.sleep(_POLL_INTERVAL)
            last = await self._loader.load(partner_id)
            open_writers &= last.writers
        watermark = first.candidate if last.clock_is_behind else last.watermark(last.writers)
        if not open_writers:
            watermark = max(watermark, first.candidate)
        return WatermarkReading(last.now, self._keep(partner_id, watermark))

    def _keep(self, partner_id: int | None, watermark: datetime) -> datetime:
        """Caches a watermark; returns the greatest of this partner so far.

        It can be lower only if a writer that began while the clock was behind is still open.
        """
        _, last = self._cache.get(partner_id, (0.0, watermark))
        self._cache[partner_id] = time.monotonic(), max(watermark, last)
        return max(watermark, last)

    async def _fetch(self, partner_ids: Sequence[int | None]) -> Sequence[_Snapshot]:
        first, *others = distinct = list(dict.fromkeys(partner_ids))
        if not others:
            return [await self._read(first)] * len(partner_ids)
        snapshots = dict(
            zip(distinct, await asyncio.gather(*map(self._read, distinct)), strict=True)
        )
        return [snapshots[partner_id] for partner_id in partner_ids]

    async def _read(self, partner_id: int | None) -> _Snapshot:
        with translate_errors():
            (row,) = await self._database.readers.fetch(_SQL, WRITER, partner_id)
        candidate, pids, starts, writers_hidden, is_standby, now = row
        if is_standby:
            raise Unavailable("The database is a standby and has no watermark. Use the primary.")
        if writers_hidden:
            raise Unavailable(
                "The transactions of other writers are hidden. All servers must connect as the "
                "same role or as members of pg_read_all_stats, with track_activities on."
            )
        if self._clock_is_behind or now <= candidate:
            self._report_clock(max(0.0, (candidate - now).total_seconds()))
        writers = frozenset(zip(pids, starts, strict=True)) if pids else _NO_WRITERS
        return _Snapshot(now, candidate, writers)

    def _report_clock(self, seconds_behind: float) -> None:
        self._clock_is_behind = seconds_behind > 0
        metrics.CLOCK_BEHIND.set(seconds_behind)
        if seconds_behind > _REPORTED_SECONDS and time.monotonic() > self._next_warning:
            self._next_warning = time.monotonic() + _WARNING_INTERVAL
            _log.warning(
                "the clock of the database is behind the last statement: `stored` runs ahead of it",
                extra={"seconds": round(seconds_behind, 3)},
            )

    async def _raise_in_background(self) -> None:
        """So that readings which follow each other need not wait for it."""
        try:
            await self._floor_flight.load(None)
        except LRSError as error:
            _log.warning("cannot raise the floor of `stored`: %s", error.detail_with_cause)
        self._floor_task = None

    async def _raise_floor(self, _: None) -> None:
        with translate_errors():
            await self._database.readers.execute(_RAISE_FLOOR)


async def delete_old_floors(database: Database) -> None:
    """Deletes the floors that a greater one has replaced."""
    with translate_errors():
        await database.readers.execute(_DELETE_OLD_FLOORS)
