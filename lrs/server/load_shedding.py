"""At the door: how much is worked on at once, so that a crowd does not slow down those let in.

Who is let in is served, however many are before him. Who finds no place hears so at a cost of next
to nothing, and soon; but not at once, for a client that asks again at once would take the time of
those let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs.errors import Overloaded
from lrs.server.rejection_queue import Refusals

# For those who want to know how it is, just then.
_ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})


def overloaded() -> Overloaded:
    return Overloaded(
        "The server has as much at hand as it can do at once; nothing was stored.",
        headers={"Retry-After": "1"},
    )


class Admission:
    """Around all layers: so many requests at a time, with so many bytes of their bodies.

    The protocol asks it for a place for each request, once that is there. A body has its room
    before the application reads any of it: if many had a part of theirs each, none of them would
    ever be whole.
    """

    def __init__(self, app: ASGIApp, *, most_requests: int, most_bytes: int) -> None:
        self.app = app
        self.turns = most_requests
        self.room = self._most_bytes = most_bytes
        self.refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What needs no place: the server's own start and end."""
        await self.app(scope, receive, send)

    def has_place(self, scope: Mapping[str, Any]) -> bool:
        return self.turns > 0 and self._size(scope) <= self.room

    def let_in(self, scope: Mapping[str, Any]) -> ASGIApp | None:
        """The application, with a place that is given back at its end; None if there is none."""
        if scope["path"] in _ALWAYS:
            return self.app
        if not self.has_place(scope):
            return None
        return _Visit(self, self._size(scope))

    def _size(self, scope: Mapping[str, Any]) -> int:
        """What the head says of the body; 0 if it says nothing."""
        for name, value in scope["headers"]:
            if name == b"content-length":
                return min(int(value), self._most_bytes)
        return 0


class _Visit:
    """One request that was let in: its turn, and the bytes that its body may have.

    The turn is given away while more of the body is awaited; its beginning is at hand already.
    """

    __slots__ = ("_admission", "_bytes", "_more", "_receive", "_room")

    _receive: Receive

    def __init__(self, admission: Admission, room: int) -> None:
        self._admission = admission
        self._room = room
        self._bytes = 0
        self._more = False
        admission.turns -= 1
        admission.room -= room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._admission.refusals.tell_due()
        try:
            await self._admission.app(scope, self.receive, send)
        finally:
            self._admission.turns += 1
            self._admission.room += self._room
            self._admission.refusals.tell_due()

    async def receive(self) -> Message:
        message = await (self._aside() if self._more else self._receive())
        self._more = message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if (surplus := self._bytes - self._room) > 0:
            await self._take_more(surplus)
        return message

    async def _take_more(self, size: int) -> None:
        """For a body that did not say how long it is. Raises Overloaded."""
        if self._room and size > self._admission.room:
            await asyncio.sleep(self._admission.refusals.pause)
            raise overloaded()
        self._room += size
        self._admission.room -= size

    async def _aside(self) -> Message:
        """One that comes back finds its turn, even if that is one too many."""
        self._admission.turns += 1
        try:
            return await self._receive()
        finally:
            self._admission.turns -= 1
