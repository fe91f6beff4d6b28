"""uvicorn's HTTP protocol with limits: header size, timeouts, connections, load shedding.

A request goes to the application after its header fields, which authenticates the client before it
reads the body. This module answers a request that the load shedder rejects; its body is discarded.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lrs.server.close_delimited import without_chunks
from lrs.server.coalescing_transport import CoalescingTransport
from lrs.server.error_responses import (
    EVICTED,
    HEADER_TOO_LARGE,
    INVALID_HOST,
    MALFORMED_REQUEST,
    MAX_HEADER_BYTES,
    OVERLOADED_BODY,
    OVERLOADED_HEADER,
    OVERLOADED_HEADER_CLOSE,
    REQUEST_TIMEOUT,
    TOO_MANY_CONNECTIONS,
    UNSUPPORTED_TRANSFER_ENCODING,
)
from lrs.server.load_shedding import (
    AUTHORIZATION,
    CONNECTIONS,
    AcceptedRequest,
    Account,
    LoadShedder,
)

DISCARD_BYTES = 262_144
DISCARD_PAUSE = 0.02
"""Seconds of pause after each DISCARD_BYTES of a body whose request was answered before its end."""

REJECTION_DELAY = 0.05
"""Seconds before a rejection. A client that ignores Retry-After and retries immediately would
otherwise take the processor from the requests that are accepted."""

MIN_BYTES_PER_SECOND = 4096
"""A client that sends less of a body than this, on average over the stall timeout, is cut."""

_PIPELINED_REQUEST_BYTES = 2048
"""Memory of a parsed request that waits for those before it."""

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_LAST_CHUNK = re.compile(rb"\n0+\r?\n\r?\n")
_REQUEST_LINE_START = re.compile(rb"[A-Z]+( |$)")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")


class _StopParsing(Exception):
    """Raised in a callback of httptools: it stops the parser and becomes an HttpParserError."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """One client connection to an application behind a LoadShedder.

    It uses private methods of uvicorn; `lrs.server.uvicorn_check` tests them at start.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._shedder = cast(LoadShedder, self.app)
        self._limits = self._shedder.limits
        self._connection_rejected = False
        self._account: Account | None = None
        self._rejection: asyncio.TimerHandle | None = None
        # Times of the event loop: when the current request began, the body was last measured, the
        # client last stopped reading.
        self._request_since: float | None = None
        self._measured_at: float | None = None
        self._write_paused_since: float | None = None
        self._reading_body = False
        self._parser_progressed = False
        self._in_request_line = True  # the next bytes that arrive belong to a request line
        self._header_bytes = 0
        self._body_bytes = self._measured_bytes = self._discarded_bytes = 0
        self._accepted: AcceptedRequest | None = None
        self._rejected_cycle: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(CoalescingTransport(transport))  # type: ignore[arg-type]
        self._request_since = self.loop.time()
        self._connection_rejected = not self._shedder.connections.add(self)
        if self._connection_rejected:
            self._rejection = self.loop.call_later(
                REJECTION_DELAY, self._respond_and_close, TOO_MANY_CONNECTIONS
            )

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rejection:
            self._rejection.cancel()
        self._rejected_cycle = None
        self._shedder.connections.remove(self)
        self._shedder.anonymous_bytes.release(self)
        if self._account:
            self._account.add(CONNECTIONS, -1)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The worker stops: requests in progress may finish, streams of events end."""
        self._shedder.stopping.set()
        super().shutdown()

    # Parser: header fields, trailers, Upgrade

    def data_received(self, data: bytes) -> None:
        if self._connection_rejected:
            return
        if self._request_since is None:
            self._request_since = self.loop.time()
        self._parser_progressed = False
        self._unset_keepalive_if_required()
        if data.isascii():
            self._parse(data)
        else:
            self._parse_pieces(data)
        # The parser keeps incomplete header fields and trailers in memory: bytes that complete
        # neither them nor a message, and are no body, count against their limit.
        if not self._parser_progressed:
            self._header_bytes += len(data)
        elif not self._reading_body and self.scope is not self.cycle.scope:  # the next header
            self._header_bytes = _header_size(self.url, self.headers)
            self._request_since = self._request_since or self.loop.time()
        else:
            self._header_bytes = 0
        if self._header_bytes > MAX_HEADER_BYTES:
            self._respond_and_close(HEADER_TOO_LARGE)
        self._count_anonymous_bytes()

    def _count_anonymous_bytes(self) -> None:
        held = self._header_bytes + _PIPELINED_REQUEST_BYTES * len(self.pipeline)
        if self.pipeline or (self._accepted and self._accepted.is_anonymous):
            held += self._body_bytes
        if held:
            self._shedder.anonymous_bytes.set(self, held)
        elif self._shedder.anonymous_bytes.total:
            self._shedder.anonymous_bytes.release(self)

    def _parse_pieces(self, data: bytes) -> None:
        """Parse data with bytes beyond ASCII; those of request lines are percent-encoded.

        Clients that do not encode a URL send UTF-8, which httptools refuses. A request line begins
        where the message before it ends: a piece of the data ends with its line, header fields or
        body.
        """
        start = 0
        while start < len(data) and not self.transport.is_closing():
            if self._in_request_line:
                end = data.find(b"\n", start) + 1 or len(data)
                self._parse(_percent_encoded(data[start:end]))
            else:
                if self._reading_body:
                    end = self._end_of_body(data, start)
                else:
                    end = _end_of(_EMPTY_LINE, data, start)
                self._parse(data[start:end])
            start = end

    def _end_of_body(self, data: bytes, start: int) -> int:
        for name, value in self.headers:
            if name == b"content-length":
                return min(start + int(value) - self._body_bytes, len(data))
        return _end_of(_LAST_CHUNK, data, start)

    def _parse(self, data: bytes) -> None:
        self._feed(data)
        if self._is_between_requests():
            self._in_request_line = True
        elif self._reading_body or self.headers:
            self._in_request_line = False
        elif line := data.rfind(b"\n") + 1:
            self._in_request_line = bool(_REQUEST_LINE_START.match(data, line))

    def _is_between_requests(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not self._reading_body and self.scope is cycle.scope

    def _feed(self, data: bytes) -> None:
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
        if refusal := self._refusal():
            self._respond_and_close(refusal)
            raise _StopParsing
        if self._is_upgrade():
            return
        self._reading_body = True
        self._body_bytes, self._measured_at = 0, None
        super().on_headers_complete()

    def _refusal(self) -> bytes:
        """The response that refuses a request for its header fields; empty for a valid request."""
        size, hosts, codings, authorization = len(self.url), 0, 0, b""
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
                if not _HOST.fullmatch(value):
                    return INVALID_HOST
            elif name == b"authorization":
                authorization = authorization or value
            elif name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked":
                    return UNSUPPORTED_TRANSFER_ENCODING
        if (hosts != 1 or codings) and not self._is_unambiguous(hosts, codings):
            return INVALID_HOST if hosts != 1 else UNSUPPORTED_TRANSFER_ENCODING
        if size > MAX_HEADER_BYTES:
            return HEADER_TOO_LARGE
        is_signature = authorization[:6].lower() == b"oauth "
        self.scope[AUTHORIZATION] = b"" if is_signature else authorization  # type: ignore[literal-required]
        return b""

    def _is_unambiguous(self, hosts: int, codings: int) -> bool:
        """Whether header fields occur as often as the version of HTTP allows."""
        if self.parser.get_http_version() == "1.0":
            return hosts <= 1 and codings == 0
        return hosts == 1 and codings <= 1

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
        self._body_bytes += len(body)
        if self.cycle is not self._rejected_cycle and not self.cycle.response_complete:
            super().on_body(body)
        else:
            self._discard(len(body))

    def _discard(self, size: int) -> None:
        """Read on slowly: a client that sends large bodies to be refused costs little."""
        self._discarded_bytes += size
        if self._discarded_bytes >= DISCARD_BYTES and not self.transport.is_closing():
            self._discarded_bytes = 0
            self.flow.pause_reading()
            self.loop.call_later(DISCARD_PAUSE, self._resume_reading)

    def _resume_reading(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        self._parser_progressed = True
        if self._is_upgrade():
            return
        self._request_since = None
        self._reading_body = False
        if self._account is None:
            self._set_evictable(False)
        super().on_message_complete()

    # Load shedding

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """uvicorn calls this after the header fields; a rejected request is no task."""
        self._accepted = self._shedder.accept(cycle.scope, self)
        if self._accepted:
            self._accepted.message_event = cycle.message_event
            accepted: Any = self._accepted
            if cycle.scope["http_version"] == "1.0":
                accepted = without_chunks(accepted, cycle)
            super()._start_asgi_task(cycle, accepted)
        else:
            self._rejected_cycle = cycle
            self._rejection = self.loop.call_later(REJECTION_DELAY, self._reject)

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
        self._accepted = None
        if self._account is None:
            self._set_evictable(True)
        if self._shedder.anonymous_bytes.total:
            self._shedder.anonymous_bytes.release(self)
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def identified(self, account: Account) -> None:
        """A request is authenticated: the connection cannot be evicted, within the share."""
        if self._account is None and self in self.connections and not account.full(CONNECTIONS):
            account.add(CONNECTIONS, 1)
            self._set_evictable(False)
            self._account = account

    def _set_evictable(self, evictable: bool) -> None:
        if self._account is None:
            self._shedder.connections.set_evictable(self, evictable=evictable)

    def evict(self) -> None:
        self._respond_and_close(EVICTED)

    # Timeouts

    def pause_writing(self) -> None:
        self._write_paused_since = self.loop.time()
        if self._accepted:
            self._accepted.set_waiting(True)
        self._set_evictable(True)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._write_paused_since = None
        if self._accepted:
            self._accepted.set_waiting(False)
        super().resume_writing()

    def check_timeouts(self, now: float) -> None:
        """Close the connection of a client that sends no request or does not read its response."""
        if self._write_paused_since is not None:
            if now - self._write_paused_since >= self._limits.stall_timeout:
                self.transport.abort()
        elif self._request_since is None:
            return
        elif self.flow.read_paused:  # waits for the application, not for the client
            self._request_since, self._measured_at = now, None
        elif self._reading_body:
            if now - self._request_since >= self._limits.request_timeout or self._is_stalled(now):
                self._respond_and_close(REQUEST_TIMEOUT)
        elif (
            self.cycle is None or self.cycle.response_complete
        ) and now - self._request_since >= self._limits.header_timeout:
            self._respond_and_close(REQUEST_TIMEOUT)

    def _is_stalled(self, now: float) -> bool:
        """Whether less of the body arrived in the last stall timeout than it has to."""
        if self._measured_at is not None and now - self._measured_at < self._limits.stall_timeout:
            return False
        received = self._body_bytes - self._measured_bytes
        is_stalled = (
            self._measured_at is not None
            and received < MIN_BYTES_PER_SECOND * self._limits.stall_timeout
        )
        self._measured_at, self._measured_bytes = now, self._body_bytes
        return is_stalled

    def _respond_and_close(self, response: bytes) -> None:
        cycle = self.cycle
        if self.transport.is_closing():
            return
        if self._write_paused_since is not None:
            self.transport.abort()
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(response)
        self.transport.close()


def _end_of(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = pattern.search(data, max(start - 1, 0))
    return match.end() if match else len(data)


def _percent_encoded(data: bytes) -> bytes:
    return "".join([chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in data]).encode()


def _header_size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum([len(name) + len(value) for name, value in headers])
