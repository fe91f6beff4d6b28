"""uvicorn's HTTP protocol with limits: header size, request timeout, connections, load shedding.

A request goes to the application once it is complete, so that a slow client takes no slot from
others; a body larger than uvicorn's buffer goes there as it arrives. A request that the load
shedder rejects is answered here, usually after its header fields; its body is discarded.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lrs.server.error_responses import (
    HEADER_TOO_LARGE,
    MALFORMED_REQUEST,
    MAX_HEADER_BYTES,
    OVERLOADED_BODY,
    OVERLOADED_HEADER,
    OVERLOADED_HEADER_CLOSE,
    REQUEST_TIMEOUT,
    TOO_MANY_CONNECTIONS,
)
from lrs.server.load_shedding import LoadShedder


class _StopParsing(Exception):
    """Raised in a callback of httptools: it stops the parser and becomes an HttpParserError."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """One client connection to an application behind a LoadShedder.

    It uses private methods of uvicorn; `lrs.server.uvicorn_check` tests them at start.
    """

    def __init__(
        self,
        *arguments: Any,
        request_timeout: float = 60.0,
        max_connections: int = 5000,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._request_timeout = request_timeout
        self._max_connections = max_connections
        self._connection_rejected = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiting_since: float | None = None
        self._write_paused_since: float | None = None
        self._parser_progressed = False
        self._buffered_bytes = 0
        self._load_shedder = cast(LoadShedder, self.app)
        self._pending_cycle: RequestResponseCycle | None = None
        self._rejected_cycle: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_CoalescingTransport(transport))  # type: ignore[arg-type]
        self._waiting_since = self.loop.time()
        self._connection_rejected = len(self.connections) > self._max_connections
        if self._connection_rejected:
            delay = self._load_shedder.rejections.delay
            self._timer = self.loop.call_later(delay, self._respond_and_close, TOO_MANY_CONNECTIONS)
        else:
            self._timer = self.loop.call_later(self._request_timeout, self._check_timeouts)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._pending_cycle = self._rejected_cycle = None
        super().connection_lost(exc)

    # Parser: header fields, trailers, Upgrade

    def data_received(self, data: bytes) -> None:
        if self._connection_rejected:
            return
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()
        self._parser_progressed = False
        self._unset_keepalive_if_required()
        self._parse(data)
        # The parser keeps incomplete header fields and trailers in memory: bytes that complete
        # neither them nor a message, and are no body, count against their limit.
        self._buffered_bytes = 0 if self._parser_progressed else self._buffered_bytes + len(data)
        if self._buffered_bytes > MAX_HEADER_BYTES:
            self._respond_and_close(HEADER_TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserError:
                self._respond_and_close(MALFORMED_REQUEST)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._header_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def on_headers_complete(self) -> None:
        self._parser_progressed = True
        if _header_size(self.url, self.headers) > MAX_HEADER_BYTES:
            self._respond_and_close(HEADER_TOO_LARGE)
            raise _StopParsing
        if not self._is_upgrade():
            super().on_headers_complete()

    def _is_upgrade(self) -> bool:
        """Upgrade is ignored (RFC 9110, section 7.8); Java's HTTP client sends it by default.

        httptools stops at the end of the header fields of such a request and never parses its body:
        the header fields are parsed a second time, without Upgrade.
        """
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _header_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_body(self, body: bytes) -> None:
        self._parser_progressed = True
        if self.cycle is self._rejected_cycle:
            return
        super().on_body(body)
        if self._pending_cycle and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self._start_or_reject()

    def on_message_complete(self) -> None:
        self._parser_progressed = True
        if self._is_upgrade():
            return
        self._waiting_since = None
        super().on_message_complete()
        if self._pending_cycle:
            self._start_or_reject()

    # Load shedding

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """uvicorn calls this after the header fields; the task starts later, or not at all."""
        self._pending_cycle = cycle
        if (
            not cycle.more_body
            or cycle.waiting_for_100_continue
            or not self._load_shedder.can_accept(cycle.scope)
        ):
            self._start_or_reject()

    def _start_or_reject(self) -> None:
        cycle, self._pending_cycle = self._pending_cycle, None
        if not cycle:
            return
        if app := self._load_shedder.acquire(cycle.scope):
            super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]
        else:
            cycle.body.clear()
            self._rejected_cycle = cycle
            self._load_shedder.rejections.add(self._reject)

    def _reject(self) -> None:
        """Send the 503 response without an ASGI task, which would cost several times as much."""
        cycle, self._rejected_cycle = self._rejected_cycle, None
        if not cycle or self.transport.is_closing():
            return
        # After Expect: 100-continue, whether the client sends the body now is unknown.
        keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
        header = OVERLOADED_HEADER if keep_alive else OVERLOADED_HEADER_CLOSE
        head_request = cycle.scope["method"] == "HEAD"
        self.transport.write(header if head_request else header + OVERLOADED_BODY)
        cycle.response_started = cycle.response_complete = True
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    # Timeouts

    def pause_writing(self) -> None:
        self._write_paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._write_paused_since = None
        super().resume_writing()

    def _check_timeouts(self) -> None:
        """Close the connection of a client that sends no request or does not read its response."""
        now = self.loop.time()
        waited = now - (self._waiting_since or now)
        if self._write_paused_since and now - self._write_paused_since >= self._request_timeout:
            self.transport.abort()
        elif waited < self._request_timeout:
            self._timer = self.loop.call_later(self._request_timeout - waited, self._check_timeouts)
        else:
            self._respond_and_close(REQUEST_TIMEOUT)

    def _respond_and_close(self, response: bytes) -> None:
        cycle = self.cycle
        if self.transport.is_closing():
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(response)
        self.transport.close()


def _header_size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum([len(name) + len(value) for name, value in headers])


class _CoalescingTransport:
    """A transport that sends the header of a response together with the start of its body.

    uvicorn writes them one after the other, and asyncio sends each write at once: this saves one
    system call, and one packet, for each response.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._header = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        if self._header:
            data = self._header + data
            self._header = b""
        elif data.startswith(_STATUS_LINE_START) and not data.startswith(_CONTINUE_LINE_START):
            self._header = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        if self._header:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


_STATUS_LINE_START = b"HTTP/1.1 "
_CONTINUE_LINE_START = b"HTTP/1.1 100"
