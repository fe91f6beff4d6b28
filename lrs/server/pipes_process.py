"""The pipes process: `lrs serve` starts it beside the workers to pull and forward statements.

Every server has one. Ingest has priority: the process runs at a low scheduling priority.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.environment import from_environment
from lrs.errors import LRSError, Unavailable
from lrs.pipes.services import open_engine
from lrs.server import child_process
from lrs.server.garbage_collection import tune_gc
from lrs.settings import Settings

_log = logging.getLogger("lrs.pipes")

_NICENESS = 10
_MIN_RETRY_DELAY_SECONDS = 1.0


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Run the process in the block, configured by environment variables."""
    if not settings.pipes_enabled:
        yield
        return
    with child_process.running("lrs.server.pipes_process", "pipes", _log):
        yield


def main() -> None:
    settings = from_environment()
    child_process.prepare(settings, _NICENESS)
    try:
        asyncio.run(child_process.run_until_stdin_ends(run_pipes(settings)))
    except LRSError as error:
        _log.error("pipes failed: %s", error.detail_with_cause)
        sys.exit(1)


async def run_pipes(settings: Settings) -> None:
    """Runs due pipes, without end; retries while the database is unavailable.

    Raises Unavailable at the start only.
    """
    async with open_engine(settings, load_configured_vocabulary(settings)) as engine:
        tune_gc()
        delay = _MIN_RETRY_DELAY_SECONDS
        while True:
            try:
                await engine.run()
            except Unavailable as error:
                _log.warning("pipes wait for the database: %s", error.detail_with_cause)
                await asyncio.sleep(delay)
                delay = child_process.next_delay(delay)


if __name__ == "__main__":
    main()
