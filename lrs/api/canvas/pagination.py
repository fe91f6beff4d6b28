"""Pagination as in Canvas's API: `page`, `per_page`, a time window and the Link header.

Invalid values of `page` and `per_page` are ignored, as in Canvas. A page is a number, or a bookmark
with the time and id of the last row of the previous page.
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

_BOOKMARK = "bookmark:"
_PAGE = re.compile("[1-9][0-9]{0,8}")
_PER_PAGE = re.compile("[0-9]{1,18}")
_ECHOED_PARAMETERS = ("start_time", "end_time", "sort_column", "student_id", "per_page", "raw")
_LINK_ORDER = ("current", "next", "prev", "first", "last")
# Proxies limit header fields to 8 KiB: of long links, the less important ones are left out.
_LINK_PRIORITY = ("next", "last", "prev", "current", "first")
_MAX_LINK_BYTES = 6_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PageSizes:
    """The number of rows of a page: without `per_page`, and at most."""

    default: int
    maximum: int


JSON_ROWS = PageSizes(10, 100)
CSV_ROWS = PageSizes(300, 300)


class InvalidTimeWindow(ValueError):
    """The message is Canvas's."""


@dataclass(frozen=True, slots=True)
class BookmarkedPage:
    """A page of page views; `page` is the parameter ("1" for the first)."""

    filter: PageViewFilter
    page: str


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page by its number, from 1."""

    number: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


def bookmarked_page(request: Request, sizes: PageSizes) -> BookmarkedPage:
    """The requested page of page views. Raises InvalidTimeWindow."""
    start, end = (_time(request.query_params.get(name)) for name in ("start_time", "end_time"))
    if start and start > datetime.now(UTC):
        raise InvalidTimeWindow("start_time cannot be in the future")
    if start and end and end <= start:
        raise InvalidTimeWindow("end_time must be after start_time")
    start, end = start or EARLIEST, end or LATEST
    limit, page = _per_page(request, sizes), request.query_params.get("page", "")
    if after := _parse_bookmark(page):
        return BookmarkedPage(PageViewFilter(limit, start, end, after), page)
    number = int(page) if _PAGE.fullmatch(page) else 1
    page_filter = PageViewFilter(limit, start, end, offset=(number - 1) * limit)
    return BookmarkedPage(page_filter, str(number))


def numbered_page(request: Request) -> NumberedPage:
    """The requested page of a list without bookmarks."""
    page = request.query_params.get("page", "")
    return NumberedPage(int(page) if _PAGE.fullmatch(page) else 1, _per_page(request, JSON_ROWS))


def link_of_bookmarked_page(
    request: Request, page: BookmarkedPage, last: tuple[datetime, str] | None
) -> str:
    """The Link header; `last` is the position of the last row if there are more rows."""
    pages = {"current": page.page, "first": "1"}
    if last:
        microseconds = (last[0] - EARLIEST) // _MICROSECOND
        text = f"{microseconds}.{last[1]}".encode()
        pages["next"] = _BOOKMARK + base64.urlsafe_b64encode(text).decode()
    else:
        pages["last"] = page.page
    if page.filter.offset:
        pages["prev"] = str(int(page.page) - 1)
    return _link(request, pages, page.filter.limit)


def link_of_numbered_page(request: Request, page: NumberedPage, total: int | None) -> str:
    """The Link header; `total` is the number of rows, None for a page after the last."""
    pages = {"current": str(page.number), "first": "1"}
    if total is not None:
        last = max(1, -(-total // page.limit))
        pages["last"] = str(last)
        if page.number < last:
            pages["next"] = str(page.number + 1)
    if page.number > 1:
        pages["prev"] = str(page.number - 1)
    return _link(request, pages, page.limit)


def _link(request: Request, pages: dict[str, str], limit: int) -> str:
    url = urls.base_url(request) + urls.path(request)
    parameters = {**request.query_params, "per_page": str(limit)}
    echoed = [(name, parameters[name]) for name in _ECHOED_PARAMETERS if name in parameters]
    links = {
        relation: f'<{url}?{urlencode([*echoed, ("page", page)])}>; rel="{relation}"'
        for relation, page in pages.items()
    }
    fitting = _fitting(
        (relation, links[relation]) for relation in _LINK_PRIORITY if relation in links
    )
    return ",".join(links[relation] for relation in _LINK_ORDER if relation in fitting)


def _fitting(links: Iterable[tuple[str, str]]) -> set[str]:
    """The relations whose links fit into the header field."""
    fitting = set()
    remaining = _MAX_LINK_BYTES
    for relation, link in links:
        remaining -= len(link) + 1
        if remaining >= 0:
            fitting.add(relation)
    return fitting


def _per_page(request: Request, sizes: PageSizes) -> int:
    text = request.query_params.get("per_page", "")
    value = int(text) if _PER_PAGE.fullmatch(text) else sizes.default
    return min(max(value, 1), sizes.maximum)


def _time(value: str | None) -> datetime | None:
    """An ISO 8601 time, in UTC if it has no offset; None if it is invalid."""
    text = (value or "").strip()
    for candidate in (text, text.replace(" ", "+")):  # an unescaped "+" is decoded as a space
        try:
            time = datetime.fromisoformat(candidate)
            time = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        return min(max(time, EARLIEST), LATEST)
    return None


def _parse_bookmark(page: str) -> tuple[datetime, str] | None:
    """The time and statement id in a bookmark; None if the page is no bookmark."""
    if not page.startswith(_BOOKMARK):
        return None
    try:
        text = base64.urlsafe_b64decode(page.removeprefix(_BOOKMARK)).decode()
        microseconds, _, statement_id = text.partition(".")
        return EARLIEST + int(microseconds) * _MICROSECOND, uuid(statement_id)
    except (ValueError, OverflowError):
        return None
