"""Errors as responses: RFC 9457 `application/problem+json`, for everything that goes wrong."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from starlette.responses import Response

from lrs.errors import InternalError, LRSError

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


def render(error: Exception) -> Response:
    """What a handler raised, as a response."""
    if isinstance(error, LRSError):
        if error.__cause__ is not None:
            _log.error(error.detail, exc_info=error.__cause__)
        return response(error)
    _log.exception("unexpected error", exc_info=error)
    return response(InternalError("Something went wrong on this side; it has been logged."))
