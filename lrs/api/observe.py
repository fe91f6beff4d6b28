"""Around every request: an id, a line in the log, and the counts."""

from __future__ import annotations

import logging
import re
import time
from functools import cache
from itertools import count
from secrets import token_hex

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs import metrics
from lrs.api.reading import header
from lrs.logs import request_id
from lrs.timing import Spent, spent

_log = logging.getLogger("lrs.requests")

_HEADER = b"x-request-id"
# Any other word would be a counter of its own, for as long as the server lives.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class Observe:
    """The outermost layer. A request keeps the id that it came with, if that is a sane one.

    With `timed`, answers say in Server-Timing where their time went.
    """

    def __init__(self, app: ASGIApp, *, timed: bool = False) -> None:
        self.app = app
        self._timed = timed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        given = header(scope, _HEADER)
        identity = given if given and _ACCEPTED_ID.fullmatch(given) else _next_id()
        request_id.set(identity)
        measured = Spent() if self._timed else None
        spent.set(measured)
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (_HEADER, identity.encode())]
                if measured:
                    headers.append((b"server-timing", measured.header().encode()))
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            _record(scope, status, time.perf_counter() - began)


# A number within this worker: asking for randomness each time costs a call of the kernel.
_worker = token_hex(10)
_numbers = count(1)


def _next_id() -> str:
    return f"{_worker}{next(_numbers):012x}"


# Looking up the labels costs more than counting.
@cache
def _counted(method: str, path: str, status: int) -> Counter:
    return metrics.REQUESTS.labels(method, path, status)


@cache
def _timed(path: str) -> Histogram:
    return metrics.REQUEST_SECONDS.labels(path)


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = scope.get("route")
    path = getattr(route, "path", "none")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    _counted(method, path, status).inc()
    _timed(path).observe(seconds)
    if _log.isEnabledFor(logging.INFO):
        _log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(seconds * 1000, 2),
                "client": (scope.get("client") or ("",))[0],
            },
        )
