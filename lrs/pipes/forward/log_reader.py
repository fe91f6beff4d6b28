"""Reads the log of statements for forwarding pipes, some requests ahead."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from lrs.pipes.client.endpoint import Endpoint
from lrs.pipes.forward import filters
from lrs.pipes.forward.payloads import ForwardItem
from lrs.pipes.forward.sender import ForwardStep, Sender
from lrs.store import statement_origins
from lrs.store.postgres import Database
from lrs.store.statements.log_page import LoggedStatement, LogPage, read_log
from lrs.store.statements.sequence import first_after
from lrs.store.statements.watermark import WatermarkReader

_PAGE_SIZE = 500
_PAGE_TTL_SECONDS = 5.0
"""Statements that are erased meanwhile are sent at most this much later."""


@dataclass(frozen=True, slots=True)
class LogSlice:
    """A part of the log: what is sent of its statements, up to the sequence `end`.

    `sequences` are those of all its statements, also of those that are not sent.
    """

    sequences: Sequence[int]
    items: Sequence[ForwardItem]
    end: int

    def after(self, sequence: int) -> LogSlice:
        """The part after a sequence."""
        first = bisect_right(self.items, sequence, key=lambda item: item.sequence)
        return LogSlice(
            self.sequences[bisect_right(self.sequences, sequence) :], self.items[first:], self.end
        )


@dataclass(frozen=True, slots=True)
class _ReadAhead:
    """A slice that was read; `config_version` is that of the pipe."""

    begin: int
    log_slice: LogSlice
    config_version: int
    expires_at: float


class LogReader:
    """Reads what follows the position of a pipe. Pages are kept in memory, one of each pipe."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self._database = database
        self._sender = sender
        self._watermarks = WatermarkReader(database)
        self._pages: dict[tuple[int, str], _ReadAhead] = {}
        self._tasks: WeakKeyDictionary[Endpoint, asyncio.Task[_ReadAhead | None]] = (
            WeakKeyDictionary()
        )

    async def read(self, step: ForwardStep) -> LogSlice | None:
        """What follows; None at the end of the log, as of this call. Raises Unavailable."""
        pipe, position = step.pipe, step.cursor.sequence
        key = pipe.partner_id, pipe.name
        kept = self._pages.pop(key, None)
        if not _is_current(kept, pipe.config_version, position):
            task = self._tasks.pop(step.endpoint, None)
            kept = await task if task else None
        if not _is_current(kept, pipe.config_version, position):
            kept = await self._read(step, position)
        if kept is None:
            return None
        self._pages[key] = kept
        return kept.log_slice.after(position)

    def read_ahead(self, step: ForwardStep, position: int) -> None:
        """Reads what follows the position, which the pipe will have, in the background."""
        self._tasks[step.endpoint] = step.endpoint.start(self._read(step, position))

    async def _read(self, step: ForwardStep, position: int) -> _ReadAhead | None:
        page = await self._read_log(step, position)
        if page is None:
            return None
        items = await self._items(step, page.statements)
        log_slice = LogSlice([statement.sequence for statement in page.statements], items, page.end)
        expires_at = time.monotonic() + _PAGE_TTL_SECONDS
        return _ReadAhead(position, log_slice, step.pipe.config_version, expires_at)

    async def watermark(self, partner_id: int) -> datetime:
        """Up to which time of `stored` the log was read at its end. Raises Unavailable."""
        return await self._watermarks.cached_watermark(partner_id)

    async def _read_log(self, step: ForwardStep, after: int) -> LogPage | None:
        partner_id = step.pipe.partner_id
        for watermark in (self._watermarks.cached_watermark, self._watermarks.read_watermark):
            page = await read_log(
                self._database,
                partner_id,
                filters.log_filter(step.chosen, step.pipe.home_page),
                after=after,
                before=first_after(await watermark(partner_id)),
                limit=max(_PAGE_SIZE, step.options.batch),
            )
            if page.end > after:
                return page
        return None

    async def _items(
        self, step: ForwardStep, statements: Sequence[LoggedStatement]
    ) -> list[ForwardItem]:
        """What is sent of the statements, or is a dead letter unsent."""
        partner_id = step.pipe.partner_id
        kept = await filters.matching(self._database, partner_id, step.chosen, statements)
        ids = [statement.statement_id for statement in kept]
        returned: set[str] = set()
        if ids:
            origins = [step.endpoint.origin, *filter(None, [step.target.origin])]
            returned = await statement_origins.list_ids_of_origins(
                self._database, partner_id, ids, origins
            )
        items = [
            self._sender.item(step, statement)
            for statement in kept
            if statement.statement_id not in returned
        ]
        return [item for item in items if item.text is not None or item.reason]


def _is_current(kept: _ReadAhead | None, config_version: int, position: int) -> bool:
    return (
        kept is not None
        and kept.config_version == config_version
        and kept.begin <= position < kept.log_slice.end
        and time.monotonic() < kept.expires_at
    )
