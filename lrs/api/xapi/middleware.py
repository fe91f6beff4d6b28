"""Middleware of the xAPI interface: alternate request syntax and response headers."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api import problem_details, request_parsing
from lrs.api.request_record import record_of
from lrs.api.responses import CONSISTENT_THROUGH, REPORTS_THROUGH, UNCOUNTED, timestamp
from lrs.api.services import Services
from lrs.api.xapi import alternate_syntax
from lrs.errors import LRSError

ALLOWED_HEADERS = [
    "Accept-Language",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    request_parsing.VERSION_HEADER,
    "X-Experience-API",
    "X-Request-ID",
]
"""Request headers that a page of another origin may send (CORS)."""

EXPOSED_HEADERS = [
    CONSISTENT_THROUGH,
    REPORTS_THROUGH,
    UNCOUNTED,
    "ETag",
    "Last-Modified",
    "Link",
    "Lrs-Cursor",
    "Lrs-Replaces",
    "Lrs-Reports-Lag",
    "Lrs-Updated-Through",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    request_parsing.VERSION_HEADER,
    "X-Request-ID",
]
"""Response headers that a page of another origin may read (CORS)."""

_VERSION = request_parsing.VERSION_HEADER.lower().encode()
_CONSISTENT_THROUGH = CONSISTENT_THROUGH.lower().encode()
_LATEST_VERSION = "2.0.0"
# The last version in which the header was optional. ADL's suites for 1.0.3 and 2.0 both accept it.
_VERSION_WITHOUT_HEADER = "0.95"


class XAPIMiddleware:
    """Applies to paths below /xapi/, unknown ones and errors included.

    Reads requests in the alternate syntax (xAPI 1.0.3 Communication 1.3). Sets
    X-Experience-API-Version (3.3), and X-Experience-API-Consistent-Through on /xapi/statements
    (2.1.4).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or not _is_xapi(scope["path"]):
            return self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await _add_headers(scope, message)
            await send(message)

        if alternate_syntax.is_used(scope):
            return self._run_form(scope, receive, send_with_headers)
        return self._app(scope, receive, send_with_headers)

    async def _run_form(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request that a form contains; the server sees its method, headers and query."""
        try:
            receive = await alternate_syntax.unwrap(Request(scope, receive))
        except LRSError as error:
            record_of(scope).fail(error)
            await problem_details.response(error)(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            send = alternate_syntax.without_body(send)
        await self._app(scope, receive, send)


def _is_xapi(path: str) -> bool:
    return path.startswith("/xapi/") or path == "/xapi"


async def _add_headers(scope: Scope, message: Message) -> None:
    headers: list[tuple[bytes, bytes]] = message["headers"]
    headers.append((_VERSION, _version(scope, message["status"]).encode()))
    if not scope["path"].startswith("/xapi/statements"):
        return
    if any(name == _CONSISTENT_THROUGH for name, _ in headers):
        return
    if message["status"] >= 500:
        return  # The database may be unavailable: the response does not wait for it.
    services: Services = scope["services"]
    try:
        watermark = timestamp(await services.watermark_reader.cached_watermark())
    except LRSError:
        return  # The database is unavailable; the response is that error.
    headers.append((_CONSISTENT_THROUGH, watermark.encode()))


def _version(scope: Scope, status: int) -> str:
    """The version of a response: that of the request if it is supported."""
    sent = request_parsing.header(scope, _VERSION)
    if not sent and status >= 400:
        return _VERSION_WITHOUT_HEADER
    return request_parsing.supported_version(sent or "") or _LATEST_VERSION
