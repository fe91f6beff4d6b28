"""Responses with the bytes of a download: a client that reads too slowly is cut off."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from lrs.api import request_parsing
from lrs.api.downloads import Download, FileRequest

_log = logging.getLogger("lrs.requests")

_MIN_BYTES_PER_SECOND = 32_768
_GRACE_SECONDS = 20.0


async def respond(
    request: Request,
    partner_id: int,
    file: FileRequest,
    headers_of: Callable[[Download], Mapping[str, str]],
) -> Response:
    """The response with a file, or only its headers to HEAD. Raises as `Downloads.open`."""
    stack = AsyncExitStack()
    downloads = request_parsing.services(request).downloads
    download = await stack.enter_async_context(downloads.open(partner_id, file))
    headers = headers_of(download)
    if request.method == "HEAD":
        await stack.aclose()
        response = Response(headers=headers)
        del response.headers["content-length"]  # unknown before the file is sent
        return response
    return DownloadResponse(download, stack, headers)


class DownloadResponse(StreamingResponse):
    """Sends a download, and closes it with `stack` when it ends or the client is gone.

    A client may read less than `min_bytes_per_second` for `grace_seconds`. Then the response ends
    incomplete, and with it the connection.
    """

    def __init__(
        self,
        download: Download,
        stack: AsyncExitStack,
        headers: Mapping[str, str],
        *,
        min_bytes_per_second: float = _MIN_BYTES_PER_SECOND,
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        super().__init__(download.parts(), headers=headers)
        self._download = download
        self._stack = stack
        self._min_bytes_per_second = min_bytes_per_second
        self._grace_seconds = grace_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        try:
            await self._send_parts(send)
        except TimeoutError:
            _log.warning("export cut off: the client reads too slowly")
        else:
            await send(_body(b"", more=False))

    async def _send_parts(self, send: Send) -> None:
        """Raises TimeoutError if the client reads too slowly."""
        allowance = self._grace_seconds
        async with aclosing(self._download.parts()) as parts:
            async for part in parts:
                started = time.monotonic()
                async with asyncio.timeout(allowance):
                    await send(_body(part, more=True))
                allowance -= time.monotonic() - started
                allowance += len(part) / self._min_bytes_per_second
                allowance = min(allowance, self._grace_seconds)


def _body(content: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}
