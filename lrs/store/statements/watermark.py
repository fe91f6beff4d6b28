"""The commit-safe bound: up to which instant the store is complete, across all servers.

It stands in every list as X-Experience-API-Consistent-Through, and cuts it, so that a
consumer that asks for what came `since` the last bound misses nothing and sees nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.errors import Unavailable
from lrs.store.batching import Together
from lrs.store.postgres import WRITER, Database, errors_translated

_SQL = resources.query("get_watermark")

# How long a list waits for transactions that began before it was asked for, and how often it looks.
_PATIENCE = 0.25
_PAUSE = 0.002
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """The database's clock, and the bound that held at that time."""

    now: datetime
    horizon: datetime


class Horizon:
    """One worker's view of the bound; requests that ask at the same time share one query."""

    def __init__(self, database: Database, *, recent: float = 0.1) -> None:
        self._database = database
        self._recent = recent
        self._last: Reading | None = None
        self._read_at = 0.0
        self._readings: Together[None, Reading] = Together(self._read)

    async def recent(self) -> datetime:
        """A true bound, at most a moment old: for answers that are not lists."""
        if self._last is None or time.monotonic() - self._read_at > self._recent:
            return (await self._readings.answer(None)).horizon
        return self._last.horizon

    async def complete(self) -> datetime:
        """A bound that covers all that was acknowledged before this call."""
        return (await self.look()).horizon

    async def look(self) -> Reading:
        """A reading that began after this call, and whose bound covers all acknowledged before it.

        Waits for writers that are in the middle of a transaction, but not for ever: the bound then
        lies further back, and says so.
        """
        reading = await self._readings.answer(None)
        asked, give_up = reading.now, time.monotonic() + _PATIENCE
        while reading.horizon < asked - _TICK and time.monotonic() < give_up:
            await asyncio.sleep(_PAUSE)
            reading = await self._readings.answer(None)
        return reading

    async def _read(self, asked: Sequence[None]) -> Sequence[Reading]:
        with errors_translated():
            (row,) = await self._database.readers.fetch(_SQL, WRITER)
        if row["standby"]:
            raise Unavailable(
                "The database is a standby, which cannot tell up to when it holds all statements: "
                "use the primary."
            )
        if row["blind"]:
            raise Unavailable(
                "The database hides what some of its writers do: all servers must connect as the "
                "same role, or as members of pg_read_all_stats, with track_activities on."
            )
        reading = Reading(row["now"], row["watermark"])
        self._last, self._read_at = reading, time.monotonic()
        return [reading] * len(asked)
