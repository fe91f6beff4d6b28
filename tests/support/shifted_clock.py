"""An embedded PostgreSQL whose clock can be set while it runs (libfaketime)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lrs import embedded_postgres

_PATTERN = "lib/*/faketime/libfaketime.so.1"


class ShiftedClock:
    """The clock of a PostgreSQL: that of the system, shifted by seconds."""

    def __init__(self, directory: Path) -> None:
        self.url = ""
        self._file = directory / "faketime"
        self.shift(0)

    def shift(self, seconds: float) -> None:
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(f"{seconds:+}\n")
        unfinished.chmod(0o644)
        unfinished.rename(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def _library() -> str:
    paths = sorted(Path("/usr").glob(_PATTERN))
    if not paths and "CI" not in os.environ:
        pytest.skip("libfaketime is not installed")
    return str(paths[0])


@contextmanager
def shifted_clock(directory: Path) -> Iterator[ShiftedClock]:
    """Runs a PostgreSQL in a directory; this process and its workers keep the system's clock."""
    clock = ShiftedClock(directory)
    environment = clock.environment
    os.environ.update(environment)
    try:
        with embedded_postgres.running(directory / "data") as clock.url:
            for name in environment:
                del os.environ[name]
            yield clock
    finally:
        for name in environment:
            os.environ.pop(name, None)
