"""A ring buffer in a temporary file, between an export and the client that reads it.

The export does not wait for the client until the buffer is full: a slow client keeps bytes on disk,
and not a connection to the database.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from lrs.errors import Unavailable

READ_BYTES = 65_536

# The database may be on the same volume, and stops without space.
_MIN_FREE_BYTES = 268_435_456


class Spool:
    """Bytes from one writer to one reader, at most `max_bytes` unread, in a file without a name.

    The file is in `directory`, or in the system's for temporary files; it is gone when it is
    closed, also after a crash.
    """

    def __init__(self, max_bytes: int, directory: str | None = None) -> None:
        self._max_bytes = max_bytes
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._written = self._read = 0
        self._finished = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()

    async def open(self) -> None:
        """Create the file, before the first write. Raises Unavailable."""
        with _os_errors_translated():
            self._file = await asyncio.to_thread(self._open)

    async def write(self, data: bytes) -> None:
        """Append bytes; waits while the buffer is full. Raises Unavailable on a full disk."""
        rest = memoryview(data)
        while rest:
            await self._wait_until(lambda: self._written - self._read < self._max_bytes)
            free = self._max_bytes - (self._written - self._read)
            position = self._written % self._max_bytes
            part = rest[: min(free, self._max_bytes - position)]
            count = await asyncio.to_thread(self._write_at, part, position)
            rest = rest[count:]
            await self._change(written=count)

    async def read(self) -> bytes:
        """The next bytes, at most 64 KiB; waits for them. Empty at the end.

        Raises the error with which the writer finished.
        """
        await self._wait_until(lambda: self._written > self._read or self._finished)
        size = min(self._written - self._read, READ_BYTES)
        if not size:
            if self._error:
                raise self._error
            return b""
        position = self._read % self._max_bytes
        size = min(size, self._max_bytes - position)
        data = await asyncio.to_thread(self._read_at, size, position)
        await self._change(read=len(data))
        return data

    async def finish(self, error: Exception | None = None) -> None:
        """End the bytes, with an error if they are incomplete."""
        self._finished, self._error = True, error
        await self._change()

    def close(self) -> None:
        """Delete the file; neither writes nor reads may follow."""
        if self._file:
            self._file.close()

    def _open(self) -> IO[bytes]:
        return tempfile.TemporaryFile(buffering=0, dir=self._directory)

    def _write_at(self, data: memoryview, position: int) -> int:
        if self._file is None:
            return 0
        with _os_errors_translated():
            volume = os.fstatvfs(self._file.fileno())
            if volume.f_bavail * volume.f_frsize < _MIN_FREE_BYTES:
                raise Unavailable("The server has too little disk space for the export.")
            return os.pwrite(self._file.fileno(), data, position)

    def _read_at(self, size: int, position: int) -> bytes:
        return os.pread(self._file.fileno(), size, position) if self._file else b""

    async def _wait_until(self, predicate: Callable[[], bool]) -> None:
        if not predicate():
            async with self._changed:
                await self._changed.wait_for(predicate)

    async def _change(self, *, written: int = 0, read: int = 0) -> None:
        async with self._changed:
            self._written += written
            self._read += read
            self._changed.notify_all()


@contextmanager
def _os_errors_translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("The export cannot be written to a temporary file.") from error
