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
import logging.config
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lrs import bootstrap
from lrs.environment import from_environment
from lrs.errors import LRSError, Unavailable
from lrs.observability import logs
from lrs.projection.projector import Projector
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
_MAX_RETRY_DELAY_SECONDS = 30.0
_STABLE_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 2.0

# Far longer than a batch takes; it ends the wait for a database that disappeared.
_STATEMENT_TIMEOUT_SECONDS = 3600.0


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Run the process in the block, configured by environment variables."""
    if not settings.projection_enabled:
        yield
        return
    supervisor = _Supervisor()
    supervisor.start()
    try:
        yield
    finally:
        supervisor.stop()


class _Supervisor(threading.Thread):
    """Starts the process, and restarts it with backoff when it fails."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._stopping = threading.Event()
        self._process = _start_process()

    def run(self) -> None:
        delay = _MIN_RETRY_DELAY_SECONDS
        while True:
            started = time.monotonic()
            status = self._process.wait()
            if time.monotonic() - started >= _STABLE_SECONDS:
                delay = _MIN_RETRY_DELAY_SECONDS
            if self._stopping.is_set():
                return
            _log.warning(
                "projector process ended; it is restarted",
                extra={"status": status, "delay_seconds": delay},
            )
            if self._stopping.wait(delay):
                return
            delay = _next_delay(delay)
            self._process = _start_process()

    def stop(self) -> None:
        self._stopping.set()
        if self._process.stdin:
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        self._process.kill()


def _next_delay(delay: float) -> float:
    return min(2 * delay, _MAX_RETRY_DELAY_SECONDS)


def _start_process() -> subprocess.Popen[bytes]:
    """The process stops at the end of its standard input, which also comes when this one dies."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "lrs.server.projector_process"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603


def main() -> None:
    settings = from_environment()
    logging.config.dictConfig(logs.configuration(settings.log_level))
    for number in (signal.SIGINT, signal.SIGTERM):  # the server handles them and stops this process
        signal.signal(number, signal.SIG_IGN)
    with suppress(AttributeError):  # Windows
        os.nice(_NICENESS)
    try:
        asyncio.run(_project_until_stdin_ends(settings))
    except LRSError as error:
        _log.error("projection failed: %s", error.detail_with_cause)
        sys.exit(1)


async def _project_until_stdin_ends(settings: Settings) -> None:
    loop, projection = asyncio.get_running_loop(), asyncio.create_task(project(settings))

    def wait_for_end_of_stdin() -> None:
        os.read(0, 1)  # not sys.stdin, whose lock this thread would hold when Python exits
        loop.call_soon_threadsafe(projection.cancel)

    threading.Thread(target=wait_for_end_of_stdin, daemon=True).start()
    with suppress(asyncio.CancelledError):
        await projection


async def project(settings: Settings) -> None:
    """Project the statements of all partners, without end; retry while the database is unavailable.

    Raises Unavailable at the start only.
    """
    vocabulary = bootstrap.load_configured_vocabulary(settings)
    async with open_projector_database(
        settings.database_url, timeout=_STATEMENT_TIMEOUT_SECONDS
    ) as database:
        await migrations.verify(database.readers)
        projector = Projector(database, vocabulary)
        tune_gc()
        delay = _MIN_RETRY_DELAY_SECONDS
        while True:
            started = time.monotonic()
            try:
                lag = await projector.run_once()
            except Unavailable as error:
                _log.warning("projection waits for the database: %s", error.detail_with_cause)
                await asyncio.sleep(delay)
                delay = _next_delay(delay)
                continue
            delay = _MIN_RETRY_DELAY_SECONDS
            await asyncio.sleep(sleep_seconds(lag, time.monotonic() - started))


def sleep_seconds(lag: float, work_seconds: float) -> float:
    """The pause after a batch that took `work_seconds` and left a lag, in seconds."""
    if not lag:
        return _IDLE_SECONDS
    return 0.0 if lag > _LONG_LAG_SECONDS else _SLEEP_PER_WORK_SECOND * work_seconds


if __name__ == "__main__":
    main()
