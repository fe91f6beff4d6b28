"""The thread that watches reporting roles: it runs beside the workers, in the server's process.

It also limits the log of the embedded PostgreSQL, to which refused connections write.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lrs.reports.session_limits import SessionLimits
from lrs.reports.watchdog import Processes, ReportWatchdog
from lrs.settings import Settings
from lrs.store.postgres import open_admin_database

_log = logging.getLogger("lrs.reports")

_INTERVAL_SECONDS = 0.5
_RETRY_SECONDS = 2.0
_TIMEOUT_SECONDS = 10.0
_STOP_TIMEOUT_SECONDS = 1.0


@contextmanager
def running(settings: Settings, *, embedded: bool) -> Iterator[None]:
    """Run the watchdog in the block, on `settings.database_url`."""
    processes: Processes | None = None
    limit_log: Callable[[], None] | None = None
    if embedded:
        from lrs.embedded_postgres.backends import Backends
        from lrs.embedded_postgres.process import limit_log as limit_postgres_log

        data = Path(settings.data_directory).expanduser()
        # One session may use half of what its role may use.
        processes = Backends(data, settings.max_report_memory_bytes // 2)
        limit_log = partial(limit_postgres_log, data)
    thread = _WatchdogThread(settings, processes, limit_log)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


class _WatchdogThread(threading.Thread):
    """A daemon with an event loop of its own: a busy worker does not delay it."""

    def __init__(
        self, settings: Settings, processes: Processes | None, limit_log: Callable[[], None] | None
    ) -> None:
        super().__init__(name="report-watchdog", daemon=True)
        self._dsn = settings.database_url
        self._limits = session_limits(settings)
        self._processes = processes
        self._limit_log = limit_log
        self._stopping = threading.Event()
        self._failing = False

    def stop(self) -> None:
        self._stopping.set()
        self.join(_STOP_TIMEOUT_SECONDS)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._watch())
            except Exception as error:
                if not self._failing and not self._stopping.is_set():
                    _log.warning("watchdog of reporting roles failed; it retries: %s", error)
                self._failing = True
            self._stopping.wait(_RETRY_SECONDS)

    async def _watch(self) -> None:
        """Look again and again, until the thread is to stop or the database fails."""
        async with open_admin_database(self._dsn) as database:
            watchdog = ReportWatchdog(database.readers, self._limits, self._processes)
            while not self._stopping.is_set():
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    await watchdog.run_once()
                if self._limit_log:
                    self._limit_log()
                self._failing = False
                await asyncio.sleep(_INTERVAL_SECONDS)


def session_limits(settings: Settings) -> SessionLimits:
    return SessionLimits(
        transaction_seconds=settings.report_transaction_timeout_seconds,
        memory_bytes=settings.max_report_memory_bytes,
        temp_file_bytes=settings.max_report_temp_file_bytes,
    )
