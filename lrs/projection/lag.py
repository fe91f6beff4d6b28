"""How far the statements of a partner have been followed, and how much is left to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors

_WAITING = resources.query("list_projection_lag")

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A partner, and since when the oldest of its statements waits that was not followed yet.

    `through` is how far its statements were followed when that was last done.
    """

    partner_id: int
    partner: str
    since: datetime | None
    through: datetime | None
    now: datetime

    @property
    def lag_seconds(self) -> float:
        return max(0.0, (self.now - self.since).total_seconds()) if self.since else 0.0


@dataclass(frozen=True, slots=True)
class Reached:
    """All that was stored up to `through` is in the reports; the rest is `lag_seconds` old."""

    through: datetime
    lag_seconds: float


async def waiting(connection: Connection, partner_id: int | None = None) -> list[Waiting]:
    """Every partner, or only one."""
    return [Waiting(*row) for row in await connection.fetch(_WAITING, partner_id)]


async def standing(database: Database) -> list[Waiting]:
    """How every partner stands."""
    with translate_errors():
        return await waiting(database.readers)


async def reached(database: Database, partner_id: int, horizon: datetime) -> Reached:
    """What reports hold that are read after this; `horizon` is a bound of lrs.store.horizon."""
    with translate_errors():
        (found,) = await waiting(database.readers, partner_id)
    through = min(horizon, found.since - _TICK) if found.since else horizon
    return Reached(through, found.lag_seconds)
