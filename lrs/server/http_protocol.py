"""HTTP as uvicorn speaks it, with bounds that it has not: on heads and trailers, on the patience
with slow clients, and on the number of connections.

A request is handed on when it is there, so that a client that is slow to send it takes no turn from
others; a body larger than uvicorn holds is handed on as it comes. A request for which there is no
place is refused here, most often by its head alone, and its body is thrown away as it comes.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
import orjson
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from lrs.api import problem_details
from lrs.errors import BadRequest, LRSError, Overloaded, RequestHeaderFieldsTooLarge, RequestTimeout
from lrs.server.load_shedding import Admission, overloaded

HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a client to an application that stands behind Admission."""

    def __init__(
        self,
        *arguments: Any,
        request_seconds: float = 60.0,
        most_connections: int = 5000,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._request_seconds = request_seconds
        self._most_connections = most_connections
        self._turned_away = False
        self._watch: asyncio.TimerHandle | None = None
        self._waiting_since: float | None = None
        self._stalled_since: float | None = None
        self._gets_on = False
        self._idle_bytes = 0
        self._admission = cast(Admission, self.app)
        self._held: RequestResponseCycle | None = None
        self._refused: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport))  # type: ignore[arg-type]
        self._waiting_since = self.loop.time()
        self._turned_away = len(self.connections) > self._most_connections
        if self._turned_away:
            self._watch = self.loop.call_later(self._admission.refusals.pause, self._hang_up, _FULL)
        else:
            self._watch = self.loop.call_later(self._request_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch:
            self._watch.cancel()
        self._held = self._refused = None
        super().connection_lost(exc)

    # Heads and trailers

    def data_received(self, data: bytes) -> None:
        if self._turned_away:
            return
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()
        self._gets_on = False
        self._unset_keepalive_if_required()
        self._parse(data)
        # What completes neither a head nor a request and brings nothing of a body is part of a head
        # or trailer, which the parser keeps: it is counted, piece by piece.
        self._idle_bytes = 0 if self._gets_on else self._idle_bytes + len(data)
        if self._idle_bytes > HEAD_BYTES:
            self._hang_up(_LONG_HEAD)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserError:
                self._hang_up(_MALFORMED)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def on_headers_complete(self) -> None:
        self._gets_on = True
        if _size(self.url, self.headers) > HEAD_BYTES:
            self._hang_up(_LONG_HEAD)
            raise RequestHeaderFieldsTooLarge("The parser is to read no further.")
        if not self._wishes_for_another_protocol():
            super().on_headers_complete()

    def _wishes_for_another_protocol(self) -> bool:
        """It may be passed over (RFC 9110 7.8), and Java's client has it by default; but the parser
        would pass over the body. So the head is parsed once more, without the wish.
        """
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % pair for pair in self.headers if pair[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_body(self, body: bytes) -> None:
        self._gets_on = True
        if self.cycle is self._refused:
            return
        super().on_body(body)
        if self._held and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self._hand_on()

    def on_message_complete(self) -> None:
        self._gets_on = True
        if self._wishes_for_another_protocol():
            return
        self._waiting_since = None
        super().on_message_complete()
        if self._held:
            self._hand_on()

    # Handing on

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._held = cycle
        if (
            not cycle.more_body
            or cycle.waiting_for_100_continue
            or not self._admission.has_place(cycle.scope)
        ):
            self._hand_on()

    def _hand_on(self) -> None:
        cycle, self._held = self._held, None
        if not cycle:
            return
        if visit := self._admission.let_in(cycle.scope):
            super()._start_asgi_task(cycle, visit)  # type: ignore[arg-type]
        else:
            cycle.body.clear()
            self._refused = cycle
            self._admission.refusals.soon(self._refuse)

    def _refuse(self) -> None:
        """Answers as the cycle would, but for a fraction of the time."""
        cycle, self._refused = self._refused, None
        if not cycle or self.transport.is_closing():
            return
        # A client that asked whether to go on will not send the body now, or will it?
        keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
        head = _BUSY_HEAD if keep_alive else _BUSY_LAST_HEAD
        self.transport.write(head if cycle.scope["method"] == "HEAD" else head + _BUSY)
        cycle.response_started = cycle.response_complete = True
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    # Patience

    def pause_writing(self) -> None:
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    def _look(self) -> None:
        """Now and then: has the client been waited for too long?"""
        now = self.loop.time()
        waited = now - (self._waiting_since or now)
        if self._stalled_since and now - self._stalled_since >= self._request_seconds:
            self.transport.abort()
        elif waited < self._request_seconds:
            self._watch = self.loop.call_later(self._request_seconds - waited, self._look)
        else:
            self._hang_up(_SLOW)

    def _hang_up(self, answer: bytes) -> None:
        cycle = self.cycle
        if self.transport.is_closing():
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(answer)
        self.transport.close()


def _size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """How long a head is, as far as it matters."""
    return len(url) + sum([len(name) + len(value) for name, value in headers])


class _Joined:
    """A transport that sends the head of an answer together with what comes next.

    That is one call of the kernel instead of two, for as many packets.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
            self._held = b""
        elif data.startswith(_ANY_HEAD) and not data.startswith(_CONTINUE):
            self._held = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        if self._held:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


_ANY_HEAD = b"HTTP/1.1 "
_CONTINUE = b"HTTP/1.1 100"


def _content(error: LRSError) -> bytes:
    return orjson.dumps(problem_details.problem(error))


def _head(error: LRSError, **more: str) -> bytes:
    headers = {
        **error.headers,
        "content-type": problem_details.MEDIA_TYPE,
        "content-length": len(_content(error)),
        **more,
    }
    told = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + told.encode() + b"\r\n"


def _last(error: LRSError) -> bytes:
    return _head(error, connection="close") + _content(error)


_BUSY = _content(overloaded())
_BUSY_HEAD = _head(overloaded())
_BUSY_LAST_HEAD = _head(overloaded(), connection="close")
_MALFORMED = _last(BadRequest("This is no HTTP request, or one that cannot be read."))
_LONG_HEAD = _last(
    RequestHeaderFieldsTooLarge(f"Head or trailer have more than {HEAD_BYTES} bytes.")
)
_SLOW = _last(RequestTimeout("The request was not complete in the time that it may take."))
_FULL = _last(
    Overloaded("The server has as many connections as it takes.", headers={"Retry-After": "1"})
)
