"""Requests that are still running at the end of the shutdown timeout: they get 503."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api import problem_details
from lrs.errors import Unavailable


class CutRequests:
    """ASGI middleware that answers a cancelled request with 503, if its response has not begun.

    uvicorn would answer 500 and log a traceback for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except asyncio.CancelledError:
            if not started:
                await problem_details.response(_stopping())(scope, receive, send)


def _stopping() -> Unavailable:
    return Unavailable(
        "The server is stopping. Whether the request was carried out is unknown; "
        "to send it again is safe.",
        headers={"Retry-After": "1"},
    )
