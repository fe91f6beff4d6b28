"""Pages of a source for a walk: with attachments, smaller if they are too large, read one ahead.

While a page is stored, the next one is requested: still one request at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from lrs.pipes import options
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.model import PipeError
from lrs.pipes.options import PullFilter, PullOptions
from lrs.pipes.pull import source, walk
from lrs.pipes.pull.source import NoAttachments, SourcePage, StaleMore
from lrs.pipes.pull.walk import PullCursor, Walk
from lrs.store.pipes import Pipe


@dataclass(frozen=True, slots=True)
class _NextPage:
    url: str
    task: asyncio.Task[SourcePage]


class PageReader:
    """Reads the pages of pulls; one instance per process."""

    def __init__(self) -> None:
        self._next_pages: WeakKeyDictionary[Endpoint, _NextPage] = WeakKeyDictionary()

    async def read(
        self, endpoint: Endpoint, cursor: PullCursor, pipe: Pipe, chosen: PullOptions
    ) -> SourcePage:
        """The next page of the walk. Raises StaleMore, PipeError, httpx.HTTPError."""
        current = cursor.walk
        assert current is not None  # noqa: S101 - the caller has begun it
        if current.more is None:
            return await _read_first(endpoint, cursor, current, pipe, chosen)
        url = with_known_prefix(cursor, current.more)
        try:
            return await self._read_more(endpoint, cursor, url)
        except NoAttachments as refusal:
            if cursor.is_plain:
                raise refusal.error from None
            cursor.is_plain = True
            raise StaleMore from None
        except StaleMore:
            prefixed = source.with_prefix(cursor.url, url)
            if prefixed is None:
                raise
            page = await source.fetch_page(endpoint, prefixed, cursor.version, is_more=True)
            cursor.prefix = urlsplit(prefixed).path.removesuffix(urlsplit(url).path)
            return page

    def read_ahead(self, endpoint: Endpoint, cursor: PullCursor, more: str) -> None:
        """Requests the page of a `more` in the background; `read` returns it."""
        try:
            url = with_known_prefix(cursor, endpoint.resolve(more, cursor.url))
        except ValueError:
            return  # an error of the page that is stored now
        fetch = source.fetch_page(endpoint, url, cursor.version, is_more=True)
        self._next_pages[endpoint] = _NextPage(url, endpoint.start(fetch))

    async def is_read(self, endpoint: Endpoint, storing: asyncio.Task[None]) -> bool:
        """Whether the page requested in the background is there before another one is stored."""
        kept = self._next_pages.get(endpoint)
        if kept is None:
            return False
        await asyncio.wait([kept.task, storing], return_when=asyncio.FIRST_COMPLETED)
        task = kept.task
        return task.done() and not task.cancelled() and task.exception() is None

    async def _read_more(self, endpoint: Endpoint, cursor: PullCursor, url: str) -> SourcePage:
        kept = self._next_pages.pop(endpoint, None)
        if kept is not None and kept.url == url:
            return await kept.task
        if kept is not None:
            kept.task.cancel()
        return await source.fetch_page(endpoint, url, cursor.version, is_more=True)


def with_known_prefix(cursor: PullCursor, url: str) -> str:
    """The URL of a `more`, with the beginning of the path that a proxy removes."""
    parts = urlsplit(url)
    if not cursor.prefix or parts.path.startswith(f"{cursor.prefix}/"):
        return url
    return parts._replace(path=cursor.prefix + parts.path).geturl()


async def _read_first(
    endpoint: Endpoint, cursor: PullCursor, current: Walk, pipe: Pipe, chosen: PullOptions
) -> SourcePage:
    """The first page of a walk; without attachments if the source refuses to send them."""
    params = _params(cursor, current, pipe, chosen)
    if cursor.limit != 0 and not cursor.is_plain:
        with_attachments = {**params, "attachments": "true"}
        try:
            return await source.fetch_page(endpoint, cursor.url, cursor.version, with_attachments)
        except NoAttachments as refusal:
            page = await _without_attachments(endpoint, cursor, params, refusal.error)
            cursor.is_plain = True
            return page
    return await source.fetch_page(endpoint, cursor.url, cursor.version, params)


async def _without_attachments(
    endpoint: Endpoint, cursor: PullCursor, params: dict[str, str], error: PipeError
) -> SourcePage:
    """Raises the first error if the source refuses this page too."""
    try:
        return await source.fetch_page(endpoint, cursor.url, cursor.version, params)
    except PipeError:
        raise error from None


def _params(cursor: PullCursor, current: Walk, pipe: Pipe, chosen: PullOptions) -> dict[str, str]:
    selected = options.decode(PullFilter, pipe.filter, "filter")
    limit = chosen.page if cursor.limit is None else max(cursor.limit, 1)
    params = {"ascending": "true", "limit": str(limit)}
    if current.since:
        params["since"] = walk.format_time(current.since)
    if current.until:
        params["until"] = walk.format_time(current.until)
    for name, value in options.encode(selected).items():
        params[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return params
