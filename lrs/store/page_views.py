"""Page views of courses: recorded with the statements of callbacks, reported by user, course, day.

A day is a day in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.xapi.canvas_callbacks import PageView

_RECORD = resources.query("record_callbacks")
_PAGE_VIEWS = resources.query("list_page_views")
_COURSE_DAYS = resources.query("list_course_days")
_USER_DAYS = resources.query("list_user_days")
_SUMMARIES = resources.query("list_course_summaries")

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Order = Literal["name", "name_descending", "page_views", "page_views_descending"]


@dataclass(frozen=True, slots=True)
class PageViewRow:
    """A stored page view; its id is that of its statement. The URL is empty if it was not sent."""

    statement_id: str
    created_at: datetime
    user: str
    course: str
    tool: str
    url: str
    interaction_seconds: int


@dataclass(frozen=True, slots=True)
class PageViewFilter:
    """A page of page views within a time window, both ends inclusive.

    `after` is the time and statement id of the last row of the previous page (keyset pagination);
    `offset` is a number of rows to skip.
    """

    limit: int
    start: datetime = EARLIEST
    end: datetime = LATEST
    after: tuple[datetime, str] = (LATEST, _LAST_ID)
    offset: int = 0


@dataclass(frozen=True, slots=True)
class UserSummary:
    """The activity of one user in a course.

    `total` is the number of users that match, `max_page_views` the page views of the busiest user
    of the course, `level` 0 (none) to 3 (upper quartile).
    """

    user: str
    page_views: int
    activity_seconds: int
    total: int
    max_page_views: int
    level: int


async def record(
    connection: Connection, partner_id: int, page_views: Sequence[tuple[str, PageView]]
) -> None:
    """Stores page views, pairs of statement id and page view, and adds them to the counters."""
    if not page_views:
        return
    views = [view for _, view in page_views]
    await connection.execute(
        _RECORD,
        partner_id,
        [statement_id for statement_id, _ in page_views],
        [view.tool for view in views],
        [view.user for view in views],
        [view.course for view in views],
        [view.url for view in views],
        [view.seconds for view in views],
        [view.interaction_seconds for view in views],
        [view.counts_as_view for view in views],
        [view.reuses_id for view in views],
    )


async def list_page_views(
    database: Database, partner_id: int, user: str, page: PageViewFilter
) -> tuple[list[PageViewRow], bool]:
    """A page of a user's page views, newest first, and whether there are more."""
    with translate_errors():
        rows = await database.readers.fetch(
            _PAGE_VIEWS,
            partner_id,
            user,
            page.start,
            page.end,
            *page.after,
            page.limit + 1,
            page.offset,
        )
    views = [PageViewRow(str(row[0]), *row[1:]) for row in map(tuple, rows[: page.limit])]
    return views, len(rows) > page.limit


async def course_views_by_day(
    database: Database, partner_id: int, course: str
) -> list[tuple[date, int]]:
    """Pairs of day and number of page views of a course."""
    with translate_errors():
        rows = await database.readers.fetch(_COURSE_DAYS, partner_id, course)
    return [(row["day"], row["page_views"]) for row in rows]


async def user_views_by_day(
    database: Database, partner_id: int, course: str, user: str
) -> list[tuple[date, int]]:
    """Pairs of day and number of page views of a user in a course."""
    with translate_errors():
        rows = await database.readers.fetch(_USER_DAYS, partner_id, course, user)
    return [(row["day"], row["page_views"]) for row in rows]


async def list_user_summaries(
    database: Database,
    partner_id: int,
    course: str,
    *,
    user: str | None,
    order: Order,
    limit: int,
    offset: int,
) -> list[UserSummary]:
    """A page of the users of a course; only `user`, if it is not None."""
    with translate_errors():
        rows = await database.readers.fetch(
            _SUMMARIES, partner_id, course, user, order, limit, offset
        )
    return [UserSummary(*row) for row in rows]
