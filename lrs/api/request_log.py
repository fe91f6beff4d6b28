"""Around every request: an id, a line in the log, and the counts."""

from __future__ import annotations

import logging
import re
from functools import cache
from itertools import count
from secrets import token_hex

from prometheus_client import Counter, Histogram
from starlette.types import Scope

from lrs.api.request_parsing import header
from lrs.api.routing import Resource
from lrs.observability import metrics

_log = logging.getLogger("lrs.requests")

ID_HEADER = b"x-request-id"
# Any other word would be a counter of its own, for as long as the server lives.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

# A number within this worker: asking for randomness each time costs a call of the kernel.
_worker = token_hex(10)
_numbers = count(1)


def identity(scope: Scope) -> str:
    """The id that a request came with, if that is a sane one, or a new one."""
    given = header(scope, ID_HEADER)
    if given and _ACCEPTED_ID.fullmatch(given):
        return given
    return f"{_worker}{next(_numbers):012x}"


# Looking up the labels costs more than counting.
@cache
def _counted(method: str, path: str, status: int) -> Counter:
    return metrics.REQUESTS.labels(method, path, status)


@cache
def _timed(path: str) -> Histogram:
    return metrics.REQUEST_SECONDS.labels(path)


def record(scope: Scope, resource: Resource, status: int, seconds: float) -> None:
    path = resource.path if resource.handlers else "none"
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
