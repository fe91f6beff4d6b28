"""Completed learner records and hours of a partner by week, course, team and organization.

A summary is computed for each reader. One that takes long is stored, and read as it was stored: the
projector refreshes it in the background, so that no page waits for it and reading costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import asyncpg
import orjson

from lrs import resources

Group = Literal["week", "course", "team", "organization"]

GROUPS: tuple[Group, ...] = get_args(Group)
MAX_ROWS = 26

_QUERIES: dict[Group, str] = {
    "week": resources.query("summarize_learning_by_week"),
    "course": resources.query("summarize_learning_by_course"),
    "team": resources.query("summarize_learning_by_team"),
    "organization": resources.query("summarize_learning_by_organization"),
}
_GET = resources.query("get_learning_summary")
_PUT = resources.query("put_learning_summary")
_POSITION = resources.query("get_projection_position")
_LIST_DUE = resources.query("list_due_learning_summaries")

_LONG_SECONDS = 0.05
_AGE_PER_COMPUTATION = 50.0
"""Times its computation that a summary is not refreshed: at most 2 % of the time goes into it."""
_MAX_AGE_SECONDS = 600.0

_log = logging.getLogger("lrs.projection")


@dataclass(frozen=True, slots=True)
class LearningRow:
    """Completed learner records and hours of one week, course, team or organization."""

    name: str
    completions: int
    hours: float


@dataclass(frozen=True, slots=True)
class LearningSummary:
    """At most MAX_ROWS rows: the last weeks first, else the most completions first."""

    rows: list[LearningRow]
    computed_at: datetime


async def read(
    pool: asyncpg.Pool, partner_id: int, group: Group, *, long_seconds: float = _LONG_SECONDS
) -> LearningSummary:
    """The stored summary, else a new one; it is stored if it takes `long_seconds` or longer."""
    if stored := await pool.fetchrow(_GET, partner_id, group):
        rows = [LearningRow(*row) for row in orjson.loads(stored["rows"])]
        return LearningSummary(rows, stored["computed_at"])
    return await _compute(pool, partner_id, group, long_seconds)


async def _compute(
    pool: asyncpg.Pool, partner_id: int, group: Group, long_seconds: float = 0.0
) -> LearningSummary:
    position = await pool.fetchval(_POSITION, partner_id)
    began = time.monotonic()
    records = await pool.fetch(_QUERIES[group], partner_id, MAX_ROWS)
    seconds = time.monotonic() - began
    rows = [
        LearningRow(record["name"], record["completions"], round(record["hours"], 2))
        for record in records
    ]
    if position is not None and seconds >= long_seconds:
        text = orjson.dumps([[row.name, row.completions, row.hours] for row in rows]).decode()
        await pool.execute(_PUT, partner_id, group, seconds, position, text)
    return LearningSummary(rows, datetime.now(UTC))


class SummaryRefresh:
    """Refreshes the stored summaries that are due, one at a time, beside the projector."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        age_per_computation: float = _AGE_PER_COMPUTATION,
        max_age_seconds: float = _MAX_AGE_SECONDS,
    ) -> None:
        self._pool = pool
        self._ages = (age_per_computation, max_age_seconds)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start a refresh, unless one is running."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.run_once())

    async def run_once(self) -> None:
        try:
            for partner_id, group in await self._pool.fetch(_LIST_DUE, *self._ages):
                await _compute(self._pool, partner_id, group)
        except Exception:
            _log.exception("refresh of a summary of learning failed; it is retried")
