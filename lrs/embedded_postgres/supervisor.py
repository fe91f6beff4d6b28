"""The supervisor of the embedded PostgreSQL: it starts PostgreSQL again when it ends.

PostgreSQL ends when it is killed, when there is no room for the next segment of its write-ahead
log, or when its file system becomes read-only. The process that started it restarts it with
backoff: once the cause is removed, the server recovers.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lrs.embedded_postgres.errors import EmbeddedPostgresError, program_failed
from lrs.embedded_postgres.process import (
    PATIENT_STOP,
    PostgresProgram,
    remove_stale_locks,
    stop_processes,
    wait_until_ready,
)

log = logging.getLogger("lrs.postgres")

_MAX_REASON_LINES = 3
_MAX_REASON_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Supervision:
    """What the supervisor does when PostgreSQL ends, and how long it waits for its end.

    The delay before a restart doubles from `min_delay` to `max_delay` seconds. An outage is over
    when PostgreSQL has run for `stable_seconds`. When a start fails `give_up_seconds` after the
    beginning of the outage, `on_failure` is called, and PostgreSQL is not started again.
    `stop_timeouts` returns the seconds for each signal of a stop.
    """

    on_failure: Callable[[], None] = lambda: None
    stop_timeouts: Callable[[], tuple[float, float, float]] = lambda: PATIENT_STOP
    min_delay: float = 1.0
    max_delay: float = 10.0
    stable_seconds: float = 60.0
    give_up_seconds: float = 600.0


@contextmanager
def running_process(program: PostgresProgram, supervision: Supervision) -> Iterator[None]:
    """PostgreSQL, supervised, from the moment that it accepts connections to the end of the block.

    Raises EmbeddedPostgresError, OSError.
    """
    supervisor = _Supervisor(program, supervision)
    try:
        supervisor.start_postgres()
        supervisor.start()
        yield
    finally:
        supervisor.stop()


class _Supervisor(threading.Thread):
    def __init__(self, program: PostgresProgram, supervision: Supervision) -> None:
        super().__init__(name="postgres supervisor", daemon=True)
        self._program = program
        self._supervision = supervision
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start_postgres(self) -> None:
        """Start PostgreSQL and wait until it accepts connections.

        Raises EmbeddedPostgresError, OSError.
        """
        with self._starting:
            if self._stopping.is_set():
                return
            self._process, self._log_start = self._program.start()
        if not wait_until_ready(self._process, self._program.cluster):
            raise program_failed("open", self._log_text(), self._program.data)

    def run(self) -> None:
        failing_since, delay = 0.0, self._supervision.min_delay
        while self._process is not None:
            started = time.monotonic()
            status = self._process.wait()
            ended = time.monotonic()
            if self._stopping.is_set():
                return
            log.error(
                "PostgreSQL ended (%s); its last log lines: %s", _cause(status), self._last_lines()
            )
            if not failing_since or ended - started >= self._supervision.stable_seconds:
                failing_since, delay = ended, self._supervision.min_delay
            delay = self._restart(failing_since, delay)
            if not delay:
                return
            log.warning("PostgreSQL is running again after %.0f s", time.monotonic() - ended)

    def _restart(self, failing_since: float, delay: float) -> float:
        """Start PostgreSQL, in as many attempts as it takes; returns the delay of the next restart.

        0 if the server stops, or the supervisor gives up.
        """
        while not self._stopping.wait(delay):
            delay = min(2 * delay, self._supervision.max_delay)
            try:
                stop_processes(self._program.cluster)  # backends without a postmaster
                remove_stale_locks(self._program.cluster)
                self.start_postgres()
                return 0.0 if self._stopping.is_set() else delay
            except (EmbeddedPostgresError, OSError) as error:
                if self._stopping.is_set():
                    return 0.0
                log.error("PostgreSQL cannot be started: %s", error)
            if time.monotonic() - failing_since >= self._supervision.give_up_seconds:
                log.critical(
                    "PostgreSQL could not be started for %.0f s; the server stops",
                    time.monotonic() - failing_since,
                )
                self._supervision.on_failure()
                return 0.0
        return 0.0

    def stop(self) -> None:
        with self._starting:
            self._stopping.set()
        stop_processes(self._program.cluster, self._supervision.stop_timeouts())
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _log_text(self) -> str:
        return self._program.log_text(self._log_start)

    def _last_lines(self) -> str:
        """The last lines of PostgreSQL's log; before them the last PANIC, which is the cause."""
        lines = [line for line in self._log_text().splitlines() if line.strip()]
        reason_lines = [line for line in lines if " PANIC: " in line][-1:] + lines[
            -_MAX_REASON_LINES:
        ]
        return " | ".join(dict.fromkeys(reason_lines))[:_MAX_REASON_CHARACTERS] or "none"


def _cause(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"signal {-status}, {signal.Signals(-status).name}"
