"""At the door: how much is worked on at once, so that a crowd does not slow down those let in.

What finds no turn waits for a moment, and is refused (503) before it has cost anything. It is not
refused at once, for a client that asks again at once would take the time of those let in.
"""

from __future__ import annotations

import asyncio
from collections import deque

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrs import metrics
from lrs.api import problems
from lrs.errors import Overloaded

_PATIENCE = 0.075

# For those who want to know how it is, just then.
_ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})


def _overloaded() -> Overloaded:
    return Overloaded(
        "The server has as much at hand as it can do at once; nothing was stored.",
        headers={"Retry-After": "1"},
    )


_CONTENT = orjson.dumps(problems.problem(_overloaded()))
_START: Message = {
    "type": "http.response.start",
    "status": Overloaded.status,
    "headers": [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(_CONTENT)).encode()),
        (b"retry-after", b"1"),
    ],
}
_BODY: Message = {"type": "http.response.body", "body": _CONTENT}


class Turns:
    """So many at a time; the others stand in line, for as long as their patience lasts."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._line: deque[asyncio.Future[bool]] = deque()
        self._impatient: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    async def take(self) -> bool:
        """Waits for a turn; False if there is none in time."""
        if self._free > 0:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._line.append(turn)
        self._impatient.append((loop.time() + _PATIENCE, turn))
        self._wake_up(loop)
        return await self._wait(turn)

    async def take_again(self) -> None:
        """Waits for a turn, before all others and for as long as it takes."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line.appendleft(turn)
        await self._wait(turn)

    def give(self) -> None:
        """Gives the turn to the next one in line."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1

    async def _wait(self, turn: asyncio.Future[bool]) -> bool:
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def _wake_up(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._alarm is None and self._impatient:
            self._alarm = loop.call_at(self._impatient[0][0], self._lose_patience, loop)

    def _lose_patience(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        while self._impatient and self._impatient[0][0] <= loop.time():
            _, turn = self._impatient.popleft()
            if not turn.done():
                turn.set_result(False)
        self._wake_up(loop)


class Admission:
    """The layer around all others.

    A body has its room before any of it is read: if many had a part of theirs each, none of them
    would ever be whole.
    """

    def __init__(self, app: ASGIApp, *, most_requests: int, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self.turns = Turns(most_requests)
        self.room = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
        elif visit := await self._let_in(scope, receive):
            try:
                await self._app(scope, visit.receive, send)
            finally:
                visit.end()
        else:
            metrics.REFUSED.inc()
            await send(_START)
            await send(_BODY)

    async def _let_in(self, scope: Scope, receive: Receive) -> _Visit | None:
        size = min(_content_length(scope), self._most_bytes)
        if size > self.room:
            await asyncio.sleep(_PATIENCE)
            if size > self.room:
                return None
        self.room -= size
        visit = _Visit(self, receive, size)
        try:
            visit.has_turn = await self.turns.take()
        finally:
            if not visit.has_turn:
                visit.end()
        return visit if visit.has_turn else None


def _content_length(scope: Scope) -> int:
    """What the head says of the body; 0 if it says nothing."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


class _Visit:
    """One request that was let in: its turn, and the bytes that its body may have.

    The turn is given away while more of the body is awaited; its beginning is at hand already.
    """

    __slots__ = ("_admission", "_bytes", "_more", "_receive", "_room", "has_turn")

    def __init__(self, admission: Admission, receive: Receive, room: int) -> None:
        self._admission = admission
        self._receive = receive
        self._room = room
        self._bytes = 0
        self._more = False
        self.has_turn = False

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
            await asyncio.sleep(_PATIENCE)
            raise _overloaded()
        self._room += size
        self._admission.room -= size

    async def _aside(self) -> Message:
        self.has_turn = False
        self._admission.turns.give()
        message = await self._receive()
        await self._admission.turns.take_again()
        self.has_turn = True
        return message

    def end(self) -> None:
        self._admission.room += self._room
        if self.has_turn:
            self._admission.turns.give()
