"""Requests that are still running at the end of the shutdown timeout: they get 503."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.api import problem_details
from lrs.errors import OutcomeUnknown


class CutRequests:
    """ASGI middleware that answers a cancelled request with 503, if its response has not begun.

    uvicorn would answer 500 and log a traceback for each. `count` is the number of those in this
    process that were complete.
    """

    count: ClassVar[int] = 0

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = receiving = False

        async def watched_receive() -> Message:
            nonlocal receiving
            receiving = True
            message = await receive()
            receiving = False
            return message

        def watched_send(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            await self._app(scope, watched_receive, watched_send)
        except asyncio.CancelledError:
            if not receiving:
                CutRequests.count += 1
            if not started:
                await problem_details.response(_stopping())(scope, receive, send)


def _stopping() -> OutcomeUnknown:
    return OutcomeUnknown(
        "The server is stopping: the request may have taken effect.", headers={"Retry-After": "1"}
    )
