"""Responses to requests of pipes: read to their end, decompressed, bounded in bytes and time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from lrs.pipes.client import http_dates


class ResponseTooLarge(httpx.RemoteProtocolError):
    """A response has more bytes than are read."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response that was read to its end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """The seconds of Retry-After, at most a day; None without it."""
        return http_dates.retry_after(self.headers.get("retry-after", ""), datetime.now(UTC))

    def json(self) -> Any:
        """Raises ValueError."""
        return orjson.loads(self.content)

    def excerpt(self, length: int = 300) -> str:
        """The beginning of the body, for messages."""
        return " ".join(self.content[: 4 * length].decode("utf-8", "replace").split())[:length]


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    max_bytes: int,
    max_seconds: float,
    **options: Any,
) -> Response:
    """Reads the whole response, decompressed. Raises httpx.HTTPError."""
    try:
        async with (
            asyncio.timeout(max_seconds),
            client.stream(method, url, **options) as response,
        ):
            content = await _read(response, url, max_bytes)
    except TimeoutError:
        raise httpx.ReadTimeout(f"{url} takes longer than {max_seconds:.0f} s.") from None
    except httpx.InvalidURL as error:
        raise httpx.UnsupportedProtocol(f"{url}: {error}.") from None
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status_code, headers, content, url)


async def _read(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    """The body, decompressed in bounded parts: a small body may contain a very large one.

    Raises ResponseTooLarge, httpx.DecodingError.
    """
    decompress = _decompressor(response.headers.get("content-encoding", ""), url)
    content = bytearray()
    async for part in response.aiter_raw():
        try:
            content += decompress(part, max_bytes + 1 - len(content)) if decompress else part
        except zlib.error as error:
            raise httpx.DecodingError(f"{url} sends an invalid compressed body: {error}.") from None
        if len(content) > max_bytes:
            raise ResponseTooLarge(f"The response of {url} has more than {max_bytes} bytes.")
    return bytes(content)


def _decompressor(encoding: str, url: str) -> Callable[[bytes, int], bytes] | None:
    """Decompresses parts of a body up to a number of bytes; None if it is not compressed."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise httpx.DecodingError(f"{url} sends the unknown Content-Encoding {encoding[:80]!r}.")
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by the head of the body
    return decoder.decompress
