"""What every answer of the xAPI interface carries (xAPI 1.0.3 Communication 2.1.4 and 3.3)."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api import reading
from lrs.api.responses import CONSISTENT_THROUGH, REPORTS_THROUGH, timestamp
from lrs.api.services import Services
from lrs.errors import LRSError, Unavailable

ALLOWED_HEADERS = [
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    reading.VERSION_HEADER,
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
    reading.VERSION_HEADER,
    "X-Request-ID",
]
"""What it may read of the answer."""


class XAPIHeaders:
    """Puts the version into every answer, refusals too, and the bound into those of statements."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/xapi/"):
            await self.app(scope, receive, send)
            return
        here: Services = scope["app"].state.services

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[reading.VERSION_HEADER] = _version(Request(scope), here)
                if scope["path"].startswith("/xapi/statements"):
                    await _add_bound(headers, here)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _version(request: Request, here: Services) -> str:
    try:
        asked = reading.version(request, required=True)
    except LRSError:
        asked = None
    return asked or here.settings.xapi_default_version


async def _add_bound(headers: MutableHeaders, here: Services) -> None:
    if CONSISTENT_THROUGH in headers:
        return
    try:
        headers[CONSISTENT_THROUGH] = timestamp(await here.horizon.recent())
    except Unavailable:
        return  # the answer itself says that the database is away
