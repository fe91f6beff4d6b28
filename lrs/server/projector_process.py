"""The projector process: `lrs serve` starts it beside the workers to keep reports up to date.

Of several projectors on one database, one at a time advances each partner. The process ends with
the server that started it.

Ingest has priority over projection: the process runs at a low scheduling priority, projects
thousands of statements at a time, which costs half as much as hundreds at a time, and sleeps
between batches unless the lag is long.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.environment import from_environment
from lrs.errors import LRSError, Unavailable
from lrs.projection.background_rebuilds import BackgroundRebuilds
from lrs.projection.learning_summary import SummaryRefresh
from lrs.projection.projector import Projector
from lrs.server import child_process
from lrs.server.garbage_collection import tune_gc
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.postgres import open_projector_database

_log = logging.getLogger("lrs.projection")

_NICENESS = 10

_IDLE_SECONDS = 1.0
_SLEEP_PER_WORK_SECOND = 2.0
_LONG_LAG_SECONDS = 10.0
_MIN_RETRY_DELAY_SECONDS = 1.0

# Far longer than a batch takes; it ends the wait for a database that disappeared.
_STATEMENT_TIMEOUT_SECONDS = 3600.0


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Run the process in the block, configured by environment variables."""
    if not settings.projection_enabled:
        yield
        return
    with child_process.running("lrs.server.projector_process", "projector", _log):
        yield


def main() -> None:
    settings = from_environment()
    child_process.prepare(settings, _NICENESS)
    try:
        asyncio.run(child_process.run_until_stdin_ends(project(settings)))
    except LRSError as error:
        _log.error("projection failed: %s", error.detail_with_cause)
        sys.exit(1)


async def project(settings: Settings) -> None:
    """Project the statements of all partners, without end; retry while the database is unavailable.

    Raises Unavailable at the start only.
    """
    vocabulary = load_configured_vocabulary(settings)
    async with open_projector_database(
        settings.database_url, timeout=_STATEMENT_TIMEOUT_SECONDS
    ) as database:
        await migrations.verify(database.readers)
        rebuilds = BackgroundRebuilds(
            lambda: open_projector_database(
                settings.database_url, timeout=_STATEMENT_TIMEOUT_SECONDS
            ),
            vocabulary,
        )
        projector = Projector(database, vocabulary, rebuilds=rebuilds)
        summaries = SummaryRefresh(database.readers)
        tune_gc()
        delay = _MIN_RETRY_DELAY_SECONDS
        while True:
            started = time.monotonic()
            try:
                lag = await projector.run_once()
            except Unavailable as error:
                _log.warning("projection waits for the database: %s", error.detail_with_cause)
                await asyncio.sleep(delay)
                delay = child_process.next_delay(delay)
                continue
            delay = _MIN_RETRY_DELAY_SECONDS
            summaries.start()
            await asyncio.sleep(sleep_seconds(lag, time.monotonic() - started))


def sleep_seconds(lag: float, work_seconds: float) -> float:
    """The pause after a batch that took `work_seconds` and left a lag, in seconds."""
    if not lag:
        return _IDLE_SECONDS
    return 0.0 if lag > _LONG_LAG_SECONDS else _SLEEP_PER_WORK_SECOND * work_seconds


if __name__ == "__main__":
    main()
