"""Compression of exports: streaming compressors, and the negotiation of Accept-Encoding."""

from __future__ import annotations

import zlib
from typing import Literal, Protocol, cast, get_args

import zstandard

Compression = Literal["gzip", "zstd"]

SUFFIXES: dict[Compression | None, str] = {"gzip": ".gz", "zstd": ".zst", None: ""}
MEDIA_TYPES: dict[Compression, str] = {"gzip": "application/gzip", "zstd": "application/zstd"}


class Compressor(Protocol):
    """The interface of zlib's and zstandard's compressors."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _NoCompression:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compression_name(text: str) -> Compression:
    """The compression of this name. Raises ValueError that completes "must be …"."""
    if text not in get_args(Compression):
        raise ValueError("gzip or zstd")
    return cast(Compression, text)


def compressor(compression: Compression | None) -> Compressor:
    """A new compressor; with None, one that returns its input."""
    if compression == "gzip":
        return zlib.compressobj(wbits=31)
    if compression == "zstd":
        return zstandard.ZstdCompressor().compressobj()
    return _NoCompression()


def negotiate_compression(accept_encoding: str | None) -> Compression | None:
    """The coding with the highest weight in an Accept-Encoding header (RFC 9110 12.5.3).

    zstd takes precedence over gzip of equal weight; None if neither is acceptable.
    """
    weights = dict(map(_coding_and_weight, (accept_encoding or "").lower().split(",")))
    default = weights.get("*", 0.0)
    zstd, gzip = weights.get("zstd", default), weights.get("gzip", default)
    if max(zstd, gzip) <= 0:
        return None
    return "zstd" if zstd >= gzip else "gzip"


def _coding_and_weight(part: str) -> tuple[str, float]:
    coding, _, parameter = part.partition(";")
    try:
        weight = float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        weight = 0.0
    return coding.strip(), weight
