"""Middleware around every request: request id, log line, metrics and Server-Timing."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from functools import cache
from itertools import count
from secrets import token_hex

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api import request_ledger
from lrs.api.request_parsing import header
from lrs.ledger.worker import Ledger
from lrs.observability import metrics
from lrs.observability.logs import request_id
from lrs.observability.server_timing import StageTimes, stage_times

_log = logging.getLogger("lrs.requests")

IS_STREAM = "is_stream"
"""The key in the scope of a stream, which lasts as long as its page is open: no long request."""

_ID_HEADER = b"x-request-id"
# Other methods share one label value: each value is a time series for the life of the process.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

# A counter per worker: random bytes for each request would cost a system call.
_worker = token_hex(10)
_numbers = count(1)


class RequestLog:
    """Sets `X-Request-ID`, writes one log line per request and counts it.

    With `server_timing`, `Server-Timing` says how long each stage took.
    """

    def __init__(self, app: ASGIApp, *, server_timing: bool = False) -> None:
        self._app = app
        self._server_timing = server_timing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        identity = _request_id(scope)
        request_id.set(identity)
        timing = StageTimes() if self._server_timing else None
        stage_times.set(timing)

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((_ID_HEADER, identity.encode()))
                if timing:
                    message["headers"].append((b"server-timing", timing.header().encode()))
            return send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            status = 503
            raise
        finally:
            _record(scope, status, time.perf_counter() - began)


def _request_id(scope: Scope) -> str:
    """The id that the client sent, if it is well-formed, or a new one."""
    sent = header(scope, _ID_HEADER)
    if sent and _ACCEPTED_ID.fullmatch(sent):
        return sent
    return f"{_worker}{next(_numbers):012x}"


# The lookup of labels costs more than the increment.
@cache
def _request_counter(method: str, path: str, status: int) -> Counter:
    return metrics.REQUESTS.labels(method, path, status)


@cache
def _request_histogram(path: str) -> Histogram:
    return metrics.REQUEST_DURATION.labels(path)


def _add_to_ledger(scope: Scope, status: int, ledger: Ledger) -> None:
    """The response is sent: an error here must not end the connection."""
    try:
        request_ledger.add(scope, status, ledger)
    except Exception as error:
        _log.exception("cannot add a request to the ledger", exc_info=error)


def _record(scope: Scope, status: int, seconds: float) -> None:
    services = scope.get("services")
    if status >= 400 and services is not None:
        _add_to_ledger(scope, status, services.ledger)
    route = scope.get("route")
    path = route.path if route else "none"
    method = scope["method"] if scope["method"] in _METHODS else "other"
    _request_counter(method, path, status).inc()
    if IS_STREAM not in scope:
        _request_histogram(path).observe(seconds)
    if _log.isEnabledFor(logging.INFO):
        _log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(seconds * 1000, 2),
                "client": (scope.get("client") or ("",))[0],
                **request_ledger.log_fields(scope, status),
            },
        )
