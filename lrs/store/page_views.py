"""What was counted of page views, as it is reported: by user, by course, by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from lrs import resources
from lrs.store.postgres import Database, errors_translated

_PAGE_VIEWS = resources.query("list_page_views")
_COURSE_DAYS = resources.query("list_course_days")
_USER_DAYS = resources.query("list_user_days")
_SUMMARIES = resources.query("list_course_summaries")

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Order = Literal["name", "name_descending", "page_views", "page_views_descending"]


@dataclass(frozen=True, slots=True)
class Viewed:
    """One page view, under the id of its statement."""

    statement_id: str
    created_at: datetime
    user: str
    course: str
    tool: str
    url: str
    interaction_seconds: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page views are asked for: a window of time, both ends in it, and where to begin.

    `after` is the time and id of the last one seen; `skip` how many to leave out.
    """

    limit: int
    start: datetime = EARLIEST
    end: datetime = LATEST
    after: tuple[datetime, str] = (LATEST, _LAST_ID)
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What one user did in a course; `level` is 0 to 3, `most` the views of the busiest user."""

    user: str
    page_views: int
    activity_seconds: int
    total: int
    most: int
    level: int


async def page_views(
    database: Database, partner_id: int, user: str, wanted: Wanted
) -> tuple[list[Viewed], bool]:
    """A user's page views, newest first, and whether there are more of them."""
    with errors_translated():
        rows = await database.readers.fetch(
            _PAGE_VIEWS,
            partner_id,
            user,
            wanted.start,
            wanted.end,
            *wanted.after,
            wanted.limit + 1,
            wanted.skip,
        )
    found = [Viewed(str(row[0]), *row[1:]) for row in map(tuple, rows[: wanted.limit])]
    return found, len(rows) > wanted.limit


async def course_days(database: Database, partner_id: int, course: str) -> list[tuple[date, int]]:
    """How often a course was viewed, by day (UTC)."""
    with errors_translated():
        rows = await database.readers.fetch(_COURSE_DAYS, partner_id, course)
    return [(row["day"], row["page_views"]) for row in rows]


async def user_days(
    database: Database, partner_id: int, course: str, user: str
) -> list[tuple[date, int]]:
    """How often a user viewed a course, by day (UTC)."""
    with errors_translated():
        rows = await database.readers.fetch(_USER_DAYS, partner_id, course, user)
    return [(row["day"], row["page_views"]) for row in rows]


async def summaries(
    database: Database,
    partner_id: int,
    course: str,
    *,
    only: str | None,
    order: Order,
    limit: int,
    skip: int,
) -> list[Summary]:
    """A page of the users of a course."""
    with errors_translated():
        rows = await database.readers.fetch(
            _SUMMARIES, partner_id, course, only, order, limit, skip
        )
    return [Summary(*row) for row in rows]
