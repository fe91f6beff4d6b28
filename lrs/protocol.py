"""HTTP as uvicorn speaks it, with a bound on the head of a request, which httptools has not."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 65_536

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that grows beyond `HEAD_BYTES` (431), before it is complete."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waits_for_head = True
        self._heads = 0
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        waited, heads = self._waits_for_head, self._heads
        super().data_received(data)
        # Only a piece that is nothing but head counts: one that completes a head, or a body before
        # it, is no larger than a piece can be.
        grows = waited and self._waits_for_head and self._heads == heads
        self._head_bytes = self._head_bytes + len(data) if grows else 0
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._waits_for_head = False
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._waits_for_head = True
        super().on_message_complete()
