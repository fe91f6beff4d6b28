"""Errors as responses: RFC 9457 `application/problem+json`, for everything that goes wrong."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lrs.errors import (
    BadRequest,
    InternalError,
    LRSError,
    MethodNotAllowed,
    NotFound,
    Unavailable,
)

_log = logging.getLogger("lrs.errors")

MEDIA_TYPE = "application/problem+json"


def problem(error: LRSError) -> dict[str, Any]:
    """The problem as a JSON object: type, title, status, detail, code, and errors if there are."""
    rendered: dict[str, Any] = {
        "type": f"urn:lrs:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if error.violations:
        rendered["errors"] = [
            {"pointer": each.pointer, "detail": each.detail, "requirement": each.requirement}
            for each in error.violations
        ]
    return rendered


def response(error: LRSError, **members: Any) -> Response:
    """The problem as a response, with further members if given."""
    return Response(
        orjson.dumps({**problem(error), **members}),
        status_code=error.status,
        headers=error.headers,
        media_type=MEDIA_TYPE,
    )


async def render(request: Request, error: Exception) -> Response:
    """Renders what a handler raised."""
    if isinstance(error, LRSError):
        if error.__cause__ is not None:
            _log.error(error.detail, exc_info=error.__cause__)
        return response(error)
    if isinstance(error, HTTPException):
        return response(_of_http(request, error))
    _log.exception("unexpected error", exc_info=error)
    return response(InternalError("Something went wrong on this side; it has been logged."))


def _of_http(request: Request, error: HTTPException) -> LRSError:
    headers = error.headers or {}
    if error.status_code == 404:
        return NotFound(f"There is no resource at {request.url.path}.", headers=headers)
    if error.status_code == 405:
        allowed = headers.get("Allow", "other methods")
        return MethodNotAllowed(f"This resource answers {allowed}.", headers=headers)
    if error.status_code >= 500:
        return Unavailable(error.detail, headers=headers)
    return BadRequest(error.detail, headers=headers)
