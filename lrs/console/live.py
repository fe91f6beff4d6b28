"""The live page: the last outcomes of a partner, and a stream of the next ones.

A stream (server-sent events) asks the database once a second, and holds no connection between. It
ends after some minutes, when the session does, and at the shutdown of the server; the browser
then reconnects with the id of the last event, so that nothing is missed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lrs.admin import last_outcomes
from lrs.admin.last_outcomes import LastOutcome, OutcomeFilter
from lrs.admin.partners import find_partner
from lrs.api import request_parsing
from lrs.api.admin import access, outcomes
from lrs.api.admission import admission
from lrs.api.request_log import IS_STREAM
from lrs.api.request_parsing import header, services
from lrs.console.pages import for_operators, operator_of, page, read_twin, twin_path
from lrs.errors import LRSError, TooManyRequests
from lrs.xapi import query_params

MAX_STREAMS = 4
"""Streams of one operator in one worker."""

MAX_SECONDS = 600
_POLL_SECONDS = 1.0
_HEARTBEAT_SECONDS = 15.0
_PAGE_SIZE = 100
_REFUSAL_DELAY_SECONDS = 3.0
"""Other workers write their refused items within this time; the stream does not pass it."""

_PARSERS: dict[str, query_params.Parser] = {
    "after": query_params.timestamp,
    **outcomes.OUTCOME_FILTERS,
}

_open: Counter[str] = Counter()


@for_operators
async def get_live(request: Request) -> Response:
    data = await read_twin(request, outcomes.get_outcomes)
    return page(
        request, "live.html", data=data, twin=twin_path(request, "/partners/{partner}/outcomes")
    )


@for_operators
async def get_events(request: Request) -> Response:
    """The outcomes after the last event that the browser has, or after now."""
    operator = operator_of(request)
    await find_partner(services(request).admin_database, operator, request.path_params["partner"])
    position, selection = _parse(request)
    after = position or await services(request).watermark_reader.cached_watermark()
    if _open[operator.email] >= MAX_STREAMS:
        raise TooManyRequests(
            f"{operator.email} has {MAX_STREAMS} live pages open.", headers={"Retry-After": "10"}
        )
    request.scope[IS_STREAM] = True
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _counted(
            operator.email,
            _events(request, after, selection, admission(request.scope).stopping),
        ),
        media_type="text/event-stream",
        headers=headers,
    )


async def _counted(email: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    if _open[email] >= MAX_STREAMS:  # requests at the same time pass the first check
        yield f"event: end\ndata: {TooManyRequests.title}\n\n"
        return
    _open[email] += 1
    try:
        async for event in events:
            yield event
    finally:
        _open[email] -= 1
        if not _open[email]:
            del _open[email]


async def _events(
    request: Request, after: datetime, selection: OutcomeFilter, stopping: asyncio.Event
) -> AsyncIterator[str]:
    end, sent = time.monotonic() + MAX_SECONDS, time.monotonic()
    yield f"retry: 2000\nid: {_text(after)}\n\n"
    while time.monotonic() < end and not await _is_set(stopping, _POLL_SECONDS):
        try:
            through, outcomes = await _next(request, after, selection)
        except LRSError as error:
            yield f"event: end\ndata: {error.title}\n\n"
            return
        after = through
        if outcomes:
            yield _event(through, outcomes)
            sent = time.monotonic()
        elif time.monotonic() - sent > _HEARTBEAT_SECONDS:
            yield f"id: {_text(through)}\n: no item\n\n"
            sent = time.monotonic()


async def _next(
    request: Request, after: datetime, selection: OutcomeFilter
) -> tuple[datetime, list[LastOutcome]]:
    """The next outcomes and their end; the operator is authenticated again."""
    request.scope.pop(access.OPERATOR, None)
    operator = await access.authenticate_operator(request, "console")
    used = services(request)
    written = datetime.now(UTC) - timedelta(seconds=_REFUSAL_DELAY_SECONDS)
    through = max(after, min(await used.watermark_reader.cached_watermark(), written))
    partner = await find_partner(used.admin_database, operator, request.path_params["partner"])
    await used.ledger.write_refusals(partner.partner_id)
    outcomes = await last_outcomes.list_last_outcomes(
        used.admin_database,
        operator,
        partner.name,
        after=after,
        through=through,
        selection=selection,
        limit=_PAGE_SIZE,
    )
    return through, outcomes


def _event(through: datetime, outcomes: list[LastOutcome]) -> str:
    data: Any = msgspec.json.encode(outcomes).decode()
    return f"id: {_text(through)}\ndata: {data}\n\n"


def _parse(request: Request) -> tuple[datetime | None, OutcomeFilter]:
    """The position, and the filter of the page.

    The position is the id of the last event, or the parameter `after`; at most an hour ago. Raises
    InvalidParameter.
    """
    parameters = request_parsing.query_parameters(request)
    if sent := header(request.scope, b"last-event-id"):
        kept = [item for item in parameters if item[0] != "after"]
        parameters = [*kept, ("after", sent)]
    values = query_params.parse(parameters, _PARSERS, section="Console")
    moment: datetime | None = values.pop("after", None)
    earliest = datetime.now(UTC) - timedelta(hours=1)
    return moment and max(moment, earliest), OutcomeFilter(**values)


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Waits until the event is set, at most some seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
