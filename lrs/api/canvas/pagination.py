"""Pages as Canvas cuts them: `page`, `per_page`, a window of time, and the Link header.

What cannot be read of the parameters is ignored, as Canvas does. A page is a number, or a bookmark
that says what came last.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request

from lrs.api.canvas import urls
from lrs.store.page_views import EARLIEST, LATEST, PageViewFilter
from lrs.xapi.query_params import uuid

_DEFAULT, _MOST = 10, 100
_BOOKMARK = "bookmark:"
_PAGE = re.compile("[1-9][0-9]{0,8}")
_PER_PAGE = re.compile("[0-9]{1,18}")
_ECHOED = ("start_time", "end_time", "sort_column", "student_id", "per_page")
_ORDER = ("current", "next", "prev", "first", "last")
_KEPT_FIRST = ("next", "last", "prev", "current", "first")
_MOST_BYTES = 6_000
_MICROSECOND = timedelta(microseconds=1)


class BadWindow(ValueError):
    """The times asked for cannot be; the message is Canvas's."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for, and the page as it was named ("1" for the first)."""

    wanted: PageViewFilter
    page: str


@dataclass(frozen=True, slots=True)
class Numbered:
    """A page by its number, from 1."""

    number: int
    limit: int

    @property
    def skip(self) -> int:
        return (self.number - 1) * self.limit


def window(request: Request) -> Window:
    """What page views are asked for. Raises BadWindow."""
    start, end = (_time(request.query_params.get(name)) for name in ("start_time", "end_time"))
    if start and start > datetime.now(UTC):
        raise BadWindow("start_time cannot be in the future")
    if start and end and end <= start:
        raise BadWindow("end_time must be after start_time")
    start, end = start or EARLIEST, end or LATEST
    limit, page = _per_page(request), request.query_params.get("page", "")
    if after := _bookmarked(page):
        return Window(PageViewFilter(limit, start, end, after), page)
    number = int(page) if _PAGE.fullmatch(page) else 1
    return Window(PageViewFilter(limit, start, end, offset=(number - 1) * limit), str(number))


def numbered(request: Request) -> Numbered:
    """What page of a list is asked for that is cut by numbers only."""
    page = request.query_params.get("page", "")
    return Numbered(int(page) if _PAGE.fullmatch(page) else 1, _per_page(request))


def links(request: Request, asked: Window, last: tuple[datetime, str] | None) -> str:
    """The Link header; `last` is what the page ends with, if there is more."""
    pages = {"current": asked.page, "first": "1"}
    if last:
        microseconds = (last[0] - EARLIEST) // _MICROSECOND
        text = f"{microseconds}.{last[1]}".encode()
        pages["next"] = _BOOKMARK + base64.urlsafe_b64encode(text).decode()
    else:
        pages["last"] = asked.page
    if asked.wanted.offset:
        pages["prev"] = str(int(asked.page) - 1)
    return _rendered(request, pages, asked.wanted.limit)


def links_of_total(request: Request, asked: Numbered, total: int | None) -> str:
    """The Link header of a list whose length is known; None beyond its end."""
    pages = {"current": str(asked.number), "first": "1"}
    if total is not None:
        last = max(1, -(-total // asked.limit))
        pages["last"] = str(last)
        if asked.number < last:
            pages["next"] = str(asked.number + 1)
    if asked.number > 1:
        pages["prev"] = str(asked.number - 1)
    return _rendered(request, pages, asked.limit)


def _rendered(request: Request, pages: dict[str, str], limit: int) -> str:
    address = urls.base_url(request) + urls.path(request)
    given = {**request.query_params, "per_page": str(limit)}
    echoed = [(name, given[name]) for name in _ECHOED if name in given]
    links = {
        relation: f'<{address}?{urlencode([*echoed, ("page", page)])}>; rel="{relation}"'
        for relation, page in pages.items()
    }
    kept = _fitting((relation, links[relation]) for relation in _KEPT_FIRST if relation in links)
    return ",".join(links[relation] for relation in _ORDER if relation in kept)


def _fitting(links: Iterable[tuple[str, str]]) -> set[str]:
    """The relations whose links fit into a header that every proxy lets through."""
    kept = set()
    left = _MOST_BYTES
    for relation, link in links:
        left -= len(link) + 1
        if left >= 0:
            kept.add(relation)
    return kept


def _per_page(request: Request) -> int:
    given = request.query_params.get("per_page", "")
    wanted = int(given) if _PER_PAGE.fullmatch(given) else _DEFAULT
    return min(max(wanted, 1), _MOST)


def _time(given: str | None) -> datetime | None:
    """An ISO 8601 time, in UTC if it does not say where; None if it is none."""
    text = (given or "").strip()
    for form in (text, text.replace(" ", "+")):  # a "+" that was not escaped has become a space
        try:
            found = datetime.fromisoformat(form)
            found = found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        return min(max(found, EARLIEST), LATEST)
    return None


def _bookmarked(page: str) -> tuple[datetime, str] | None:
    """Where a bookmark points to; None if it is none."""
    if not page.startswith(_BOOKMARK):
        return None
    try:
        text = base64.urlsafe_b64decode(page.removeprefix(_BOOKMARK)).decode()
        microseconds, _, statement_id = text.partition(".")
        return EARLIEST + int(microseconds) * _MICROSECOND, uuid(statement_id)
    except (ValueError, OverflowError):
        return None
