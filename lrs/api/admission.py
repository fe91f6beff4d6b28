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
    """The layer around all others."""

    def __init__(self, app: ASGIApp, *, most_requests: int, most_bytes: int) -> None:
        self._app = app
        self.turns = Turns(most_requests)
        self.room = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
        elif await self.turns.take():
            visit = _Visit(self, receive)
            try:
                await self._app(scope, visit.receive, send)
            finally:
                visit.end()
        else:
            metrics.REFUSED.inc()
            await send(_START)
            await send(_BODY)


class _Visit:
    """One request that was let in: its turn, and the bytes of its body.

    The turn is given away while more of the body is awaited; its beginning is at hand already.
    """

    __slots__ = ("_admission", "_bytes", "_has_turn", "_more", "_receive")

    def __init__(self, admission: Admission, receive: Receive) -> None:
        self._admission = admission
        self._receive = receive
        self._bytes = 0
        self._has_turn = True
        self._more = False

    async def receive(self) -> Message:
        message = await (self._aside() if self._more else self._receive())
        self._more = message.get("more_body", False)
        size = len(message.get("body", b""))
        if self._bytes and size > self._admission.room:
            await asyncio.sleep(_PATIENCE)
            raise _overloaded()
        self._bytes += size
        self._admission.room -= size
        return message

    async def _aside(self) -> Message:
        self._has_turn = False
        self._admission.turns.give()
        message = await self._receive()
        await self._admission.turns.take_again()
        self._has_turn = True
        return message

    def end(self) -> None:
        self._admission.room += self._bytes
        if self._has_turn:
            self._admission.turns.give()
