"""Errors as responses: RFC 9457 `application/problem+json`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import orjson
from starlette.responses import Response

from lrs.errors import InternalError, LRSError, Unavailable, Violation

_log = logging.getLogger("lrs.errors")

MEDIA_TYPE = "application/problem+json"


def problem(error: LRSError) -> dict[str, Any]:
    """The members type, title, status, detail and code; errors if there are violations."""
    return error.problem()


def violations(items: Iterable[Violation]) -> list[dict[str, str]]:
    return [item.as_dict() for item in items]


def response(error: LRSError, **members: Any) -> Response:
    """The problem as a response, with further members."""
    return Response(
        orjson.dumps({**problem(error), **members}),
        status_code=error.status,
        headers=error.headers,
        media_type=MEDIA_TYPE,
    )


def render(error: Exception) -> Response:
    """The response for an exception of a handler. Logs unexpected ones, and the cause if any."""
    if isinstance(error, LRSError):
        log_cause(error)
        return response(error)
    _log.exception("unexpected error", exc_info=error)
    return response(InternalError("An unexpected error occurred. The server log has details."))


def log_cause(error: LRSError) -> None:
    """Log why a request failed, if the detail does not say it.

    An outage has one message, without a traceback: its records are grouped.
    """
    if error.__cause__ is None:
        return
    if isinstance(error, Unavailable):
        _log.error("service unavailable: %s", error.detail_with_cause)
    else:
        _log.error(error.detail, exc_info=error.__cause__)
