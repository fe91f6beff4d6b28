"""How far the statements of a partner have been followed, and how much is left to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors

_WAITING = resources.query("list_projection_lag")

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Backlog:
    """A partner, and since when the oldest of its statements waits that was not followed yet.

    `through` is how far its statements were followed when that was last done.
    """

    partner_id: int
    partner: str
    oldest_pending_at: datetime | None
    watermark: datetime | None
    now: datetime

    @property
    def lag_seconds(self) -> float:
        if self.oldest_pending_at is None:
            return 0.0
        return max(0.0, (self.now - self.oldest_pending_at).total_seconds())


@dataclass(frozen=True, slots=True)
class ReportWatermark:
    """All that was stored up to `through` is in the reports; the rest is `lag_seconds` old."""

    consistent_through: datetime
    lag_seconds: float


async def backlogs(connection: Connection, partner_id: int | None = None) -> list[Backlog]:
    """Every partner, or only one."""
    return [Backlog(*row) for row in await connection.fetch(_WAITING, partner_id)]


async def read_backlogs(database: Database) -> list[Backlog]:
    """How every partner stands."""
    with translate_errors():
        return await backlogs(database.readers)


async def report_watermark(
    database: Database, partner_id: int, horizon: datetime
) -> ReportWatermark:
    """What reports hold that are read after this; `horizon` is a bound of lrs.store.horizon."""
    with translate_errors():
        (found,) = await backlogs(database.readers, partner_id)
    through = min(horizon, found.oldest_pending_at - _TICK) if found.oldest_pending_at else horizon
    return ReportWatermark(through, found.lag_seconds)
