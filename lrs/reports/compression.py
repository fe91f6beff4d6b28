"""Compression of exports, a portion at a time, and which one a client would like."""

from __future__ import annotations

import zlib
from typing import Literal, Protocol

import zstandard

Compression = Literal["gzip", "zstd"]

SUFFIXES: dict[Compression | None, str] = {"gzip": ".gz", "zstd": ".zst", None: ""}
MEDIA_TYPES: dict[Compression, str] = {"gzip": "application/gzip", "zstd": "application/zstd"}


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(compression: Compression | None) -> Compressor:
    if compression == "gzip":
        return zlib.compressobj(wbits=31)
    if compression == "zstd":
        return zstandard.ZstdCompressor().compressobj()
    return _Plain()


def negotiate_compression(header: str | None) -> Compression | None:
    """The best that an Accept-Encoding takes (RFC 9110 12.5.3): zstd before gzip where equal."""
    weights = dict(map(_weighted, (header or "").lower().split(",")))
    anything = weights.get("*", 0.0)
    wanted: dict[float, Compression | None] = {0.0: None}
    for known in ("gzip", "zstd"):
        wanted[weights.get(known, anything)] = known
    best = max(wanted)
    return wanted[best] if best > 0 else None


def _weighted(part: str) -> tuple[str, float]:
    coding, _, parameter = part.partition(";")
    try:
        weight = float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        weight = 0.0
    return coding.strip(), weight
