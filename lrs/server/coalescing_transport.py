"""A transport that sends the header and the start of the body of a response at once."""

from __future__ import annotations

import asyncio

_STATUS_LINE_START = b"HTTP/1.1 "
_CONTINUE_LINE_START = b"HTTP/1.1 100"


class CoalescingTransport:
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
