"""The callback: a tool reports an activity, signed, to the URL that its launch was given.

Checks come in Canvas's order, with its statuses, words and bodies: `{"errors": [{"message"}]}`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.canvas import urls
from lrs.api.responses import json_response
from lrs.api.services import Services
from lrs.auth.callback_tokens import Reporter
from lrs.auth.oauth1 import SignedRequest
from lrs.errors import LRSError, MalformedJSON
from lrs.ingest.model import IngestContext, ParsedItem
from lrs.store import nonces
from lrs.store.nonces import Nonce, NonceReused
from lrs.xapi import canvas_callbacks, canvas_launches, index_keys
from lrs.xapi.canvas_callbacks import CallbackReport, MissingObjectId
from lrs.xapi.durations import InvalidDuration

_log = logging.getLogger("lrs.errors")

_UNTOLD = "An error occurred."

Read = Callable[[Any, bytes], CallbackReport | None]


class _NotJSON(Exception):
    """The body is of another content type."""


async def post_xapi(request: Request) -> Response:
    def read(value: Any, body: bytes) -> CallbackReport:
        if not _is_json(request):
            raise _NotJSON
        return canvas_callbacks.parse_xapi(value, body)

    return await _answer(request, read)


async def post_caliper(request: Request) -> Response:
    return await _answer(request, canvas_callbacks.parse_caliper)


async def _answer(request: Request, read: Read) -> Response:
    try:
        await _receive(request, read)
    except _NotJSON:
        return Response(status_code=415)
    except MalformedJSON:
        return _refusal(400, _UNTOLD, error_code="bad_request")
    except MissingObjectId as error:
        return _refusal(400, str(error))
    except InvalidDuration as error:
        return _refusal(422, str(error))
    except LRSError as error:
        if error.__cause__ is not None:
            _log.error(error.detail, exc_info=error.__cause__)
        if error.status == 500:
            return _failure()
        return _refusal(error.status, error.detail, headers=error.headers)
    except Exception as error:
        _log.exception("unexpected error", exc_info=error)
        return _failure()
    return Response(status_code=200)


def _refusal(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **members: str
) -> Response:
    return json_response({"errors": [{"message": message, **members}]}, status, headers)


def _failure() -> Response:
    return _refusal(500, _UNTOLD, error_code="internal_server_error")


async def _receive(request: Request, read: Read) -> None:
    here = request_parsing.services(request)
    body = await request_parsing.body(request, here.settings.max_xapi_statement_bytes)
    value = _value(request, body)
    who = await here.callback_tokens.reporter(request.path_params["token"])
    nonce = here.callback_tokens.nonce(who, _signed(request, body))
    here.rate_limit.check(f"{who.tool.partner}/tools/{who.tool.name}")
    try:
        report = read(value, body)
    except (_NotJSON, MissingObjectId, InvalidDuration):
        await _burn(here, who, nonce)
        raise
    if report is None:
        await _burn(here, who, nonce)
    else:
        await _store(here, who, report, nonce)


def _value(request: Request, body: bytes) -> Any:
    """The JSON value of the body; None if it is empty, or neither JSON nor said to be."""
    try:
        return orjson.loads(body) if body.strip() else None
    except orjson.JSONDecodeError:
        if _is_json(request):
            raise MalformedJSON(_UNTOLD) from None
        return None


def _is_json(request: Request) -> bool:
    return request_parsing.media_type(request) == request_parsing.JSON


def _signed(request: Request, body: bytes) -> SignedRequest:
    return SignedRequest(
        request.method,
        urls.url(request),
        request.headers.getlist("authorization"),
        request.headers.get("content-type", ""),
        body,
    )


async def _burn(here: Services, who: Reporter, nonce: Nonce) -> None:
    """Takes the nonce of a request that stores nothing."""
    if not await nonces.consume_one(here.database, who.tool.partner_id, nonce):
        raise NonceReused


async def _store(here: Services, who: Reporter, report: CallbackReport, nonce: Nonce) -> None:
    """Stores the statement and counts it; a repeated one changes nothing, as it is a retry."""
    statement_id = canvas_callbacks.reported_id(report)
    item, sender = _item(here, who, report, statement_id), _sender(who)
    outcome = await here.ingest.record(item, sender, nonce)
    if outcome.kind == "conflict" and statement_id is not None:
        known = await here.statement_loader.load(sender.partner_id, statement_id)
        if known and not canvas_callbacks.is_from_launch(orjson.loads(known.payload), who.launch):
            # Some tools send one id for everybody, as the vendor's example does.
            statement_id = canvas_callbacks.launch_id(statement_id, who.launch)
            item = _item(here, who, report, statement_id)
            outcome = await here.ingest.record(item, sender, nonce)
    if outcome.kind == "conflict":
        await _burn(here, who, nonce)


def _item(
    here: Services, who: Reporter, report: CallbackReport, statement_id: str | None
) -> ParsedItem:
    settings, tool = here.settings, who.tool
    made = canvas_callbacks.statement(report, who.launch, tool.home_page, statement_id)
    viewed = settings.page_views_enabled if tool.page_views is None else tool.page_views
    view = canvas_callbacks.page_view(
        report, who.launch, cap=settings.max_page_view_seconds, viewed=viewed
    )
    return ParsedItem(made, orjson.dumps(made), None, "1.0.3", page_view=view)


def _sender(who: Reporter) -> IngestContext:
    tool = who.tool
    authority = canvas_launches.authority(tool.home_page, tool.name)
    key = index_keys.agent_key(authority)
    assert key is not None  # noqa: S101 - it has an account
    text = orjson.dumps(authority).decode()
    return IngestContext(
        tool.partner_id, tool.partner, tool.home_page, None, text, key, False, "1.0.3"
    )
