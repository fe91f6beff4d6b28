"""Callback URLs: a tool reports an activity of a launch, in a request signed with OAuth 1.0.

The checks have Canvas's order, statuses, messages and bodies: `{"errors": [{"message": ...}]}`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from lrs.api import access, problem_details, request_parsing
from lrs.api.admission import admission
from lrs.api.canvas import urls
from lrs.api.request_record import record_of
from lrs.api.responses import json_response
from lrs.auth.oauth1 import SignedRequest
from lrs.errors import BadRequest, LRSError, MalformedJSON, Unauthorized
from lrs.ingest.canvas_report import NotJSON, ReportParser, report_context
from lrs.store.intake import subject_name
from lrs.store.nonces import NonceReused
from lrs.xapi import canvas_callbacks
from lrs.xapi.canvas_callbacks import NothingToCount
from lrs.xapi.canvas_launches import Launch
from lrs.xapi.durations import InvalidDuration

_log = logging.getLogger("lrs.errors")

DUPLICATE_NONCE = "Duplicate nonce detected"
_GENERIC_MESSAGE = "An error occurred."


async def post_xapi(request: Request) -> Response:
    return await _respond(request, canvas_callbacks.parse_xapi, requires_json=True)


async def post_caliper(request: Request) -> Response:
    return await _respond(request, canvas_callbacks.parse_caliper, requires_json=False)


async def _respond(request: Request, parse: ReportParser, *, requires_json: bool) -> Response:
    try:
        await _store(request, parse, requires_json=requires_json)
    except NotJSON:
        return Response(status_code=415)
    except MalformedJSON:
        return _error_response(400, _GENERIC_MESSAGE, error_code="bad_request")
    except NothingToCount as error:
        return _error_response(400, str(error))
    except InvalidDuration as error:
        return _error_response(422, str(error))
    except NonceReused:
        record_of(request.scope).fail(Unauthorized(DUPLICATE_NONCE))
        return _error_response(401, DUPLICATE_NONCE)
    except LRSError as error:
        record_of(request.scope).fail(error)
        problem_details.log_cause(error)
        if error.status == 500:
            return _internal_error()
        return _error_response(error.status, error.detail, headers=error.headers)
    except Exception as error:
        _log.exception("unexpected error", exc_info=error)
        return _internal_error()
    return Response(status_code=200)


async def _store(request: Request, parse: ReportParser, *, requires_json: bool) -> None:
    services = request_parsing.services(request)
    # Before the body is read: without a valid token, 64 KiB of it at most.
    launch = await services.callback_tokens.find_launch(request.path_params["token"])
    if isinstance(launch, Launch):
        record = record_of(request.scope)
        record.named_partner = launch.partner
        record.tried_key = subject_name(launch.tool, is_tool=True)
        admission(request.scope).identify(f"tools/{launch.tool}", launch.partner)
    body = await request_parsing.read_body(request, services.settings.max_xapi_statement_bytes)
    value = _json_value(request, body)
    callback = await services.callback_tokens.authenticate(
        launch, _signed_request(request, body), access.client_address(request)
    )
    tool = subject_name(callback.tool.name, is_tool=True)
    record_of(request.scope).identify(callback.tool, tool)
    services.ledger.used(callback.tool.partner_id, tool, access.client_address(request))
    await access.charge(request, callback.subjects)
    is_json = _is_json(request) or not requires_json
    try:
        await services.canvas_reports.store(callback, parse, value, body, is_json=is_json)
    except (NotJSON, NothingToCount, InvalidDuration) as error:
        problem = BadRequest(str(error) or "The body must be application/json.")
        services.ledger.refuse(report_context(callback).origin, "invalid", problem, body)
        raise


def _json_value(request: Request, body: bytes) -> Any:
    """The JSON value of the body; None if it is empty, or not JSON and not declared as JSON.

    Raises MalformedJSON.
    """
    try:
        return orjson.loads(body) if body.strip() else None
    except orjson.JSONDecodeError:
        if _is_json(request):
            raise MalformedJSON(_GENERIC_MESSAGE) from None
        return None


def _is_json(request: Request) -> bool:
    return request_parsing.media_type(request) == request_parsing.JSON


def _signed_request(request: Request, body: bytes) -> SignedRequest:
    return SignedRequest(
        request.method,
        urls.url(request),
        request.headers.getlist("authorization"),
        request.headers.get("content-type", ""),
        body,
    )


def _error_response(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **members: str
) -> Response:
    return json_response({"errors": [{"message": message, **members}]}, status, headers)


def _internal_error() -> Response:
    return _error_response(500, _GENERIC_MESSAGE, error_code="internal_server_error")
