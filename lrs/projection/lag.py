"""Projection lag: how far the reports of a partner are behind its statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.projection.partner_lock import RULES_VERSION
from lrs.store.partner_settings import APPLIED_BY_REBUILD
from lrs.store.postgres import Connection, Database, translate_errors

_BACKLOGS = resources.query("list_projection_lag")

_PENDING = resources.query("count_pending_statements")

MAX_COUNTED = 1_000
"""Statements of a partner that `count_pending` counts."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The statements of a partner that are not projected yet.

    `oldest_pending_at` is the `stored` time of the oldest one, None if there is none. `watermark`
    is that of the last projected batch, None before the first. Statements may have been projected
    by the rules of an earlier version (`rules_are_outdated`), or by other settings of the partner
    than its present ones (`settings_differ`). `uncounted` is the number of statements that are in
    no Data Connector table, None if they were not counted.
    """

    partner_id: int
    partner: str
    oldest_pending_at: datetime | None
    watermark: datetime | None
    now: datetime
    rules_are_outdated: bool
    settings_differ: bool
    uncounted: int | None = None

    @property
    def needs_rebuild(self) -> bool:
        """Whether statements were projected otherwise than a rebuild would."""
        return self.rules_are_outdated or self.settings_differ

    @property
    def lag_seconds(self) -> float:
        """The age of the oldest pending statement; 0 without one."""
        if self.oldest_pending_at is None:
            return 0.0
        return max(0.0, (self.now - self.oldest_pending_at).total_seconds())


@dataclass(frozen=True, slots=True)
class ReportWatermark:
    """Reports contain every statement stored at or before `consistent_through`.

    `lag_seconds` is the age of the oldest statement that they do not contain, `uncounted` the
    number of statements that are in no Data Connector table. `needs_rebuild`: see Backlog.
    """

    consistent_through: datetime
    lag_seconds: float
    uncounted: int
    needs_rebuild: bool = False


async def backlogs(
    connection: Connection, partner_ids: Sequence[int] | None = None, *, counted: bool = False
) -> list[Backlog]:
    """The backlog of every partner, or of some, in the order of partner ids."""
    settings = sorted(APPLIED_BY_REBUILD)
    rows = await connection.fetch(_BACKLOGS, partner_ids, counted, RULES_VERSION, settings)
    return [Backlog(*row) for row in rows]


async def read_backlogs(
    database: Database, partner_ids: Sequence[int] | None = None, *, counted: bool = False
) -> list[Backlog]:
    """The backlog of every partner, or of some. Raises Unavailable."""
    with translate_errors():
        return await backlogs(database.readers, partner_ids, counted=counted)


async def count_pending(database: Database, partner_ids: Sequence[int]) -> dict[int, int]:
    """How many statements of each partner reports do not include, at most MAX_COUNTED."""
    with translate_errors():
        rows = await database.readers.fetch(_PENDING, partner_ids, MAX_COUNTED)
    return {row["partner_id"]: row["statements"] for row in rows}


async def needs_rebuild(database: Database, partner_id: int) -> bool:
    """Whether statements of the partner were projected otherwise than a rebuild would."""
    with translate_errors():
        (backlog,) = await backlogs(database.readers, [partner_id])
    return backlog.needs_rebuild


async def report_watermark(
    database: Database, partner_id: int, watermark: datetime
) -> ReportWatermark:
    """The watermark of reports that are read after this call. Raises Unavailable.

    `watermark` is that of the statements, read before this call.
    """
    with translate_errors():
        (backlog,) = await backlogs(database.readers, [partner_id], counted=True)
    if backlog.oldest_pending_at:
        watermark = min(watermark, backlog.oldest_pending_at - _MICROSECOND)
    return ReportWatermark(
        watermark, backlog.lag_seconds, backlog.uncounted or 0, backlog.needs_rebuild
    )
