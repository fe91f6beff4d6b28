"""Load shedding: limits on the requests, and on the bytes of their bodies, that are in flight.

An accepted request is served to its end. A request beyond the limits is rejected with 503 before
the application sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.errors import Overloaded
from lrs.server.rejection_queue import RejectionQueue

# Health checks and metrics must work under load.
_EXEMPT_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


def overloaded() -> Overloaded:
    return Overloaded(
        "Too many concurrent requests; nothing was stored.", headers={"Retry-After": "1"}
    )


class LoadShedder:
    """ASGI middleware around all others, with one slot for each request and a budget of body bytes.

    The HTTP protocol calls `acquire` once a request is complete. The whole body is reserved at
    once: if many requests held a part of their bodies each, none could finish.
    """

    def __init__(self, app: ASGIApp, *, max_requests: int, max_body_bytes: int) -> None:
        self.app = app
        self.free_slots = max_requests
        self.free_body_bytes = self._max_body_bytes = max_body_bytes
        self.rejections = RejectionQueue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lifespan events only; requests go to the application that `acquire` returns."""
        await self.app(scope, receive, send)

    def can_accept(self, scope: Mapping[str, Any]) -> bool:
        return self.free_slots > 0 and self._content_length(scope) <= self.free_body_bytes

    def acquire(self, scope: Mapping[str, Any]) -> ASGIApp | None:
        """The application, with a slot that it releases at its end; None if there is none."""
        if scope["path"] in _EXEMPT_PATHS:
            return self.app
        if not self.can_accept(scope):
            return None
        return _AcceptedRequest(self, self._content_length(scope))

    def _content_length(self, scope: Mapping[str, Any]) -> int:
        """Content-Length, cut at the whole budget; 0 without that header."""
        for name, value in scope["headers"]:
            if name == b"content-length":
                return min(int(value), self._max_body_bytes)
        return 0


class _AcceptedRequest:
    """One request: its slot and its reserved body bytes.

    It releases its slot while it waits for more of the body.
    """

    __slots__ = ("_more_body", "_receive", "_received_bytes", "_reserved_bytes", "_shedder")

    _receive: Receive

    def __init__(self, shedder: LoadShedder, reserved_bytes: int) -> None:
        self._shedder = shedder
        self._reserved_bytes = reserved_bytes
        self._received_bytes = 0
        self._more_body = False
        shedder.free_slots -= 1
        shedder.free_body_bytes -= reserved_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._shedder.rejections.flush()
        try:
            await self._shedder.app(scope, self.receive, send)
        finally:
            self._shedder.free_slots += 1
            self._shedder.free_body_bytes += self._reserved_bytes
            self._shedder.rejections.flush()

    async def receive(self) -> Message:
        # The first part of the body is there already: only later ones are waited for.
        message = await (self._receive_without_slot() if self._more_body else self._receive())
        self._more_body = message.get("more_body", False)
        self._received_bytes += len(message.get("body", b""))
        if (excess := self._received_bytes - self._reserved_bytes) > 0:
            await self._reserve(excess)
        return message

    async def _reserve(self, size: int) -> None:
        """Reserve more for a body without Content-Length. Raises Overloaded."""
        if self._reserved_bytes and size > self._shedder.free_body_bytes:
            await asyncio.sleep(self._shedder.rejections.delay)
            raise overloaded()
        self._reserved_bytes += size
        self._shedder.free_body_bytes -= size

    async def _receive_without_slot(self) -> Message:
        """An accepted request takes a slot again at once, even if that exceeds the limit by one."""
        self._shedder.free_slots += 1
        try:
            return await self._receive()
        finally:
            self._shedder.free_slots -= 1
