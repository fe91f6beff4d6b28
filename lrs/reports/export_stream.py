"""The one road by which tables leave: read, encoded and compressed as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from lrs.reports.compression import Compression, compressor
from lrs.reports.encoders import Encoder, Format, create_encoder
from lrs.reports.exports import CopyStream, ExportQuery, Snapshot


def metadata(portion: ExportQuery) -> dict[str, Any]:
    """What is said of a portion, wherever it goes."""
    return {
        "table": portion.table.name,
        "through": format_timestamp(portion.watermark.consistent_through),
        "lag_seconds": portion.watermark.lag_seconds,
        "cursor": format_timestamp(portion.cursor),
        "replaces": _replaces(portion),
    }


def _replaces(portion: ExportQuery) -> str | list[str]:
    if portion.append_only:
        return []
    return (
        "all"
        if portion.replaced_days is None
        else [day.isoformat() for day in portion.replaced_days]
    )


def format_timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class ExportStream:
    """A portion on its way out; once it is through, `count` says how many rows it had.

    Raises NotFound where the format cannot be made.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        portion: ExportQuery,
        format_: Format,
        compression: Compression | None = None,
    ) -> None:
        self._encoder: Encoder = create_encoder(format_, portion.table, metadata(portion))
        self._rows: CopyStream = snapshot.rows(portion, self._encoder.wire)
        self._compressor = compressor(compression)

    @property
    def count(self) -> int:
        return self._rows.count

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the file. Other requests are served while they are made."""
        yield self._compressor.compress(self._encoder.begin())
        async with aclosing(aiter(self._rows)) as portions:
            async for rows in portions:
                if done := await asyncio.to_thread(self._made, rows):
                    yield done
        yield await asyncio.to_thread(self._rest)

    def _made(self, rows: bytes) -> bytes:
        return self._compressor.compress(self._encoder.rows(rows))

    def _rest(self) -> bytes:
        return self._compressor.compress(self._encoder.end()) + self._compressor.flush()
