"""The direction `pull`: reads the pages of a source and stores their statements.

A step is a page, or several small ones: a page is read and prepared while the ones before are
stored. Statements are stored first, then their origins, then the cursor moves: a process that is
killed in between repeats the pages, whose statements are duplicates then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx

from lrs.errors import LRSError
from lrs.pipes import options
from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.client.responses import ResponseTooLarge
from lrs.pipes.engine import reason_of
from lrs.pipes.model import PipeError, StepResult
from lrs.pipes.options import PullOptions
from lrs.pipes.pull import source, walk
from lrs.pipes.pull.items import ItemStore, PageOutcomes, SourceItem, parse_item
from lrs.pipes.pull.page_reader import PageReader
from lrs.pipes.pull.source import SourcePage, StaleMore
from lrs.pipes.pull.walk import PullCursor, Walk
from lrs.store.pipes import Pipe
from lrs.xapi.multipart import Attachment
from lrs.xapi.timestamps import parse_timestamp

_MAX_PART_BYTES = 33_554_432
_SLOW_SECONDS = 10.0
_STEP_STATEMENTS = 250
_STEP_BYTES = 8_388_608
"""No page follows in a step with as many new statements, or bytes of them."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """The statements of a page that are new, with their attachments."""

    items: Sequence[SourceItem]
    attachments: Mapping[str, Attachment]


@dataclass(slots=True)
class _Step:
    """The pages of a step: the tasks that store them, and their outcomes.

    Unless `goes_on`, no page may follow in this step.
    """

    pipe: Pipe
    endpoint: Endpoint
    cursor: PullCursor
    chosen: PullOptions
    stored: PageOutcomes = field(default_factory=PageOutcomes)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    new_statements: int = 0
    bytes: int = 0
    goes_on: bool = False

    def first_seen(self, items: Sequence[SourceItem]) -> list[SourceItem]:
        """Those that no earlier page of the step has: their origins may not be recorded yet."""
        return [item for item in items if (item.statement_id or item.digest) not in self.seen]

    def add(
        self, storing: Coroutine[None, None, None], page: SourcePage, new: Sequence[SourceItem]
    ) -> None:
        """Begins to store a page."""
        self.tasks.append(asyncio.create_task(storing))
        self.seen.update(item.statement_id or item.digest for item in new)
        self.new_statements += len(new)
        self.bytes += sum(len(item.text) for item in new) + _size(page.attachments)

    def has_room(self) -> bool:
        return self.new_statements < _STEP_STATEMENTS and self.bytes < _STEP_BYTES

    def with_outcomes(self, result: StepResult) -> StepResult:
        """The result of the last page with the outcomes of all."""
        cursor = walk.decode(result.cursor)
        cursor.refused += self.stored.refused
        return replace(result, cursor=walk.encode(cursor), counts=self.stored.counts)

    async def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class PullDirection:
    """Implements `lrs.pipes.model.Direction`."""

    def __init__(self, item_store: ItemStore) -> None:
        self._item_store = item_store
        self._pages = PageReader()

    async def step(self, pipe: Pipe, endpoint: Endpoint) -> StepResult:
        """Reads and stores pages, of up to `_STEP_STATEMENTS` together; see `Direction`."""
        began = time.monotonic()
        chosen = options.decode(PullOptions, pipe.options)
        step = _Step(pipe, endpoint, walk.decode(pipe.cursor), chosen)
        await _find_source(step.cursor, pipe, endpoint)
        try:
            result = await self._read_pages(step)
            await asyncio.gather(*step.tasks)
        except Exception:  # what was read is stored, although the cursor does not move
            await asyncio.gather(*step.tasks, return_exceptions=True)
            raise
        finally:
            await step.cancel()
        result = step.with_outcomes(result)
        if not chosen.rate or result.wait_seconds is not None:
            return result
        seconds = step.new_statements / chosen.rate - (time.monotonic() - began)
        return replace(result, pause_seconds=max(seconds, 0.0))

    async def _read_pages(self, step: _Step) -> StepResult:
        """The result of the last page. Later pages follow while earlier ones are stored."""
        result = await self._read_page(step)
        while step.goes_on and await self._pages.is_read(step.endpoint, step.tasks[-1]):
            try:
                result = await self._read_page(step)
            except (PipeError, httpx.HTTPError, LRSError):
                break  # the next step reads this page again, and fails
        return result

    async def _read_page(self, step: _Step) -> StepResult:
        """Reads a page, begins to store it, and moves the cursor."""
        step.goes_on = False
        cursor, chosen, endpoint = step.cursor, step.chosen, step.endpoint
        if cursor.walk is None:
            cursor.walk = Walk(since=_begin(cursor, chosen), until=_time(chosen.until))
        try:
            page = await self._pages.read(endpoint, cursor, step.pipe, chosen)
        except StaleMore:
            return _restarted(cursor)
        except (ResponseTooLarge, httpx.ReadTimeout) as error:
            return _reduced(cursor, chosen, error)
        if page.more and not chosen.rate:
            self._pages.read_ahead(endpoint, cursor, page.more)
        items = [parse_item(item) for item in page.items]
        new = step.first_seen(await self._item_store.new(step.pipe, items, set(cursor.refused)))
        if not new and walk.goes_back(cursor.walk, _times(items)):
            return _looped(cursor, chosen)
        step.add(self._store_page(step, page, new), page, new)
        result = _advanced(cursor, chosen, endpoint, page, items)
        step.goes_on = result.wait_seconds is None and not chosen.rate and step.has_room()
        return result

    async def _store_page(self, step: _Step, page: SourcePage, new: Sequence[SourceItem]) -> None:
        async for reading in self._complete(step.pipe, step.endpoint, step.cursor, page, new):
            await self._item_store.store(
                step.pipe,
                step.endpoint.origin,
                reading.items,
                reading.attachments,
                step.stored,
                keeps_authority=step.chosen.authority == "source",
            )

    async def _complete(
        self,
        pipe: Pipe,
        endpoint: Endpoint,
        cursor: PullCursor,
        page: SourcePage,
        new: Sequence[SourceItem],
    ) -> AsyncIterator[_Reading]:
        """The new statements of the page, those that they void, and their attachments, in parts.

        Lists have no voided statements: each is requested before the statement that voids it. A
        part ends when its attachments are large.
        """
        on_page = {item.statement_id for item in new}
        voided_ids = [item.voided_id for item in new if item.voided_id]
        missing = set(await self._item_store.missing(pipe, voided_ids)) - on_page
        items: list[SourceItem] = []
        attachments: dict[str, Attachment] = dict(page.attachments)
        for item in new:
            if item.voided_id in missing:
                voided = await source.fetch_statement(
                    endpoint, cursor.url, cursor.version, item.voided_id or "", voided=True
                )
                if voided:
                    items.append(parse_item(voided[0]))
                    attachments |= voided[1]
            if item.statement_id and item.lacks_attachments(attachments):
                statement = await source.fetch_statement(
                    endpoint, cursor.url, cursor.version, item.statement_id
                )
                attachments |= statement[1] if statement else {}
            items.append(item)
            if _size(attachments) > _MAX_PART_BYTES + _size(page.attachments):
                yield _Reading(items, attachments)
                items, attachments = [], dict(page.attachments)
        yield _Reading(items, attachments)


def _size(attachments: Mapping[str, Attachment]) -> int:
    return sum(len(part.content) for part in attachments.values())


async def _find_source(cursor: PullCursor, pipe: Pipe, endpoint: Endpoint) -> None:
    """Finds the statements resource and the version, unless the cursor has those of this URL."""
    base = source.spellings(endpoint.url)
    if cursor.url in base and cursor.version and pipe.version in ("auto", cursor.version):
        return
    cursor.version = await source.find_version(endpoint, pipe.version)
    cursor.url = await source.find_statements_url(endpoint, cursor.version)


def _advanced(
    cursor: PullCursor,
    chosen: PullOptions,
    endpoint: Endpoint,
    page: SourcePage,
    items: Sequence[SourceItem],
) -> StepResult:
    """The result of a page: its `more`, or the end of the walk."""
    current = cursor.walk
    assert current is not None  # noqa: S101 - the caller has begun it
    if current.through is None and current.more is None:
        current.through = page.through
    walk.observe(current, _times(items))
    position = None if current.is_descending else current.newest
    if page.more:
        if cursor.limit is not None and (again := walk.restart(current)) and not again.restarts:
            cursor.walk = again
            cursor.limit = _larger(cursor.limit, chosen.page)
            return StepResult(walk.encode(cursor), position_at=position)
        try:
            url = endpoint.resolve(page.more, cursor.url)
        except ValueError:
            raise PipeError(f"The source sends an invalid `more`: {page.more[:80]!r}.") from None
        if walk.follow(current, url):
            return StepResult(walk.encode(cursor), position_at=position)
        return _looped(cursor, chosen)
    return _ended(cursor, chosen)


def _looped(cursor: PullCursor, chosen: PullOptions) -> StepResult:
    """The walk restarts after what it has read; a second loop at that point is the end."""
    current = cursor.walk
    assert current is not None  # noqa: S101 - the caller has begun it
    if not current.is_descending and walk.restart(current) is None:
        return _ended(cursor, chosen, "The `more` of the source repeats: a loop of pages.")
    return _restarted(cursor)


def _ended(cursor: PullCursor, chosen: PullOptions, error: str | None = None) -> StepResult:
    """The walk has read everything. An error is shown although it has."""
    current = cursor.walk
    assert current is not None  # noqa: S101 - the caller has begun it
    overlap = timedelta(seconds=chosen.overlap)
    position = current.through or current.newest
    walk.end(cursor, overlap, datetime.now(UTC))
    until = _time(chosen.until)
    return StepResult(
        walk.encode(cursor),
        wait_seconds=chosen.every,
        position_at=position,
        is_done=until is not None and datetime.now(UTC) > until + overlap,
        error=error,
    )


def _restarted(cursor: PullCursor) -> StepResult:
    """The walk restarts from its position. Raises PipeError without progress."""
    current = cursor.walk
    assert current is not None  # noqa: S101 - the caller has begun it
    again = walk.restart(current)
    if again is None:
        raise PipeError(
            "The `more` of the source expires or repeats, and the pipe makes no progress.",
            retry_seconds=source.FIXED_RETRY_SECONDS,
        )
    cursor.walk = again
    return StepResult(walk.encode(cursor))


def _reduced(cursor: PullCursor, chosen: PullOptions, error: httpx.HTTPError) -> StepResult:
    """The walk goes on with smaller pages, since a page is too large or takes too long.

    Raises PipeError for a page of one statement.
    """
    current = cursor.walk
    assert current is not None  # noqa: S101 - the caller has begun it
    limit = chosen.page if cursor.limit is None else cursor.limit
    if not limit:
        raise PipeError(reason_of(error), retry_seconds=source.FIXED_RETRY_SECONDS)
    if current.more is not None:
        again = walk.restart(current)
        if again is None:
            raise PipeError(reason_of(error), retry_seconds=source.FIXED_RETRY_SECONDS)
        again.restarts = current.restarts
        cursor.walk = again
    cursor.limit = limit // 2
    is_slow = isinstance(error, httpx.TimeoutException)
    return StepResult(
        walk.encode(cursor),
        wait_seconds=_SLOW_SECONDS if is_slow else None,
        error=reason_of(error) if is_slow else None,
    )


def _larger(limit: int, page: int) -> int | None:
    """The limit after a page that was not too large; None: as configured."""
    doubled = max(2 * limit, 1)
    return None if doubled >= page else doubled


def _begin(cursor: PullCursor, chosen: PullOptions) -> datetime | None:
    """Where the next walk begins, not before the configured time."""
    times = [time for time in (cursor.since, _time(chosen.since)) if time is not None]
    return max(times, default=None)


def _times(items: Sequence[SourceItem]) -> list[datetime]:
    return [item.stored for item in items if item.stored]


def _time(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None
