"""What every answer of the xAPI interface carries (xAPI 1.0.3 Communication 2.1.4 and 3.3)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lrs.api import request_parsing
from lrs.api.responses import CONSISTENT_THROUGH, REPORTS_THROUGH, timestamp
from lrs.errors import LRSError

ALLOWED_HEADERS = [
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    request_parsing.VERSION_HEADER,
    "X-Experience-API",
    "X-Request-ID",
]
"""What content in a browser may send from another origin."""

EXPOSED_HEADERS = [
    CONSISTENT_THROUGH,
    REPORTS_THROUGH,
    "ETag",
    "Last-Modified",
    "Link",
    "Lrs-Cursor",
    "Lrs-Replaces",
    "Lrs-Reports-Lag",
    "Retry-After",
    "WWW-Authenticate",
    request_parsing.VERSION_HEADER,
    "X-Request-ID",
]
"""What it may read of the answer."""

_VERSION = request_parsing.VERSION_HEADER.lower().encode()
_BOUND = CONSISTENT_THROUGH.lower().encode()


async def complete(request: Request, response: Response) -> None:
    """Puts the version into an answer, refusals too, and the bound into those of statements."""
    response.raw_headers.append((_VERSION, _version(request).encode()))
    if request.scope["path"].startswith("/xapi/statements"):
        await _add_bound(request, response)


def _version(request: Request) -> str:
    try:
        asked = request_parsing.version(request, required=True)
    except LRSError:
        asked = None
    return asked or request_parsing.services(request).settings.xapi_default_version


async def _add_bound(request: Request, response: Response) -> None:
    if any(name == _BOUND for name, _ in response.raw_headers):
        return
    try:
        bound = timestamp(
            await request_parsing.services(request).watermark_reader.cached_watermark()
        )
    except LRSError:
        return  # the answer itself says that the database is away
    response.raw_headers.append((_BOUND, bound.encode()))
