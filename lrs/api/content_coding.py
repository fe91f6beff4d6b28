"""Compressed request bodies: gzip and zstd (RFC 9110 8.4, RFC 1952, RFC 8878).

A body is decompressed in parts, so that a small body that expands to gigabytes holds no more than
the limit of a plain one. All limits apply to the decompressed bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard
from starlette.requests import Request

from lrs.api import request_parsing
from lrs.api.admission import admission
from lrs.errors import BadRequest

_MAX_BYTES_ON_EVENT_LOOP = 65_536

_INPUT_BYTES = 64
"""A zstd block of 4 bytes can expand to 128 KiB: this many bytes expand to at most 2 MiB."""

_MAX_MEMBERS = 1_000
"""Each member of a gzip body, and each zstd frame, costs some microseconds, an empty one too."""

# The largest window that a decoder of this content coding has to support (RFC 9659).
_MAX_WINDOW_BYTES = 8_388_608


class _Decompressor(Protocol):
    """Decompresses one gzip member or one zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


def _zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {"gzip": _gzip, "zstd": _zstd}


_LARGE_BODY_BYTES = 1_048_576
_SECONDS_PER_BYTE = 5e-9
"""What it costs the event loop to receive a large body: 75 ms for 15 MB."""


async def read_body(request: Request, partner_id: int, limit: int) -> bytes:
    """The body without its content coding, of at most `limit` bytes.

    Raises TooLarge, UnsupportedContentEncoding, Overloaded, and BadRequest for an invalid stream.
    """
    pacing = request_parsing.services(request).pacing
    if _may_be_large(request):
        await pacing.rest(partner_id)
    body = await request_parsing.read_body(request, limit, _DECOMPRESSORS.keys())
    if len(body) > _LARGE_BODY_BYTES:
        pacing.charge(partner_id, len(body) * _SECONDS_PER_BYTE)
    coding = request_parsing.content_coding(request.scope, _DECOMPRESSORS.keys())
    if not coding:
        return body
    thread = request_parsing.services(request).thread
    decompressed = _decompress(body, coding)
    content, is_complete = _take(decompressed, _MAX_BYTES_ON_EVENT_LOOP)
    if not is_complete and len(content) <= limit:
        # One body at a time: of many that expand beyond the limit, only one takes memory.
        rest, is_complete = await thread.run(partner_id, _take, decompressed, limit)
        content += rest
    if len(content) > limit:
        raise request_parsing.too_large(limit)
    admission(request.scope).hold_body(max(0, len(content) - len(body)))
    return content


async def read_items(request: Request, partner_id: int) -> tuple[list[bytes], bool]:
    """The items of a JSON body, and whether it is a batch. Raises BadRequest and TooLarge."""
    limit = request_parsing.services(request).settings.max_body_bytes
    return await split_items(request, partner_id, await read_body(request, partner_id, limit))


async def split_items(request: Request, partner_id: int, text: bytes) -> tuple[list[bytes], bool]:
    """The items of a JSON text, and whether it is a batch; a large one is split in a thread.

    Raises BadRequest and TooLarge.
    """
    if len(text) <= _LARGE_BODY_BYTES:
        return request_parsing.split_items(request, text)
    thread = request_parsing.services(request).thread
    return await thread.run(partner_id, request_parsing.split_items, request, text)


def _may_be_large(request: Request) -> bool:
    """Whether the body is declared as large, or without its length."""
    declared = request_parsing.header(request.scope, b"content-length")
    if declared is None:
        return request_parsing.header(request.scope, b"transfer-encoding") is not None
    return len(declared) >= len(str(_LARGE_BODY_BYTES))


def _take(parts: Iterator[bytes], size: int) -> tuple[bytes, bool]:
    """The next parts, until they have more than `size` bytes, and whether these are all."""
    taken: list[bytes] = []
    for part in parts:
        taken.append(part)
        size -= len(part)
        if size < 0:
            return b"".join(taken), False
    return b"".join(taken), True


def _decompress(body: bytes, coding: str) -> Iterator[bytes]:
    """The decompressed parts of a body. Raises BadRequest if it is invalid or ends early."""
    members = 0
    stream: _Decompressor | None = None
    for start in range(0, len(body), _INPUT_BYTES):
        data = body[start : start + _INPUT_BYTES]
        while data:
            if stream is None or stream.eof:
                stream = _DECOMPRESSORS[coding]()
                members += 1
                if members > _MAX_MEMBERS:
                    raise BadRequest(f"The {coding} body has more than {_MAX_MEMBERS} members.")
            try:
                part = stream.decompress(data)
            except (zlib.error, zstandard.ZstdError) as error:
                raise BadRequest(f"The body is not valid {coding}: {error}.") from None
            yield part
            data = stream.unused_data if stream.eof else b""
    if stream is None or not stream.eof:
        raise BadRequest(f"The body is not valid {coding}: it ends before the end of the stream.")
