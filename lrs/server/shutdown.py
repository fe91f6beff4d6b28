"""The shutdown of the server: what a stop signal starts, and by when every process has ended.

The timeout is for the whole server. Requests have all of it but the last seconds, in which the
workers, the projector and the embedded PostgreSQL end. Whatever still hangs then is killed: an
acknowledged statement survives that.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from types import FrameType

import psutil  # type: ignore[import-untyped]

_log = logging.getLogger("lrs.server")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# The exit status of a server that cut requests off, or whose database could not be started again.
FAILED = 1

_CLOSING_SECONDS = 5.0
_KILL_AFTER_SECONDS = 10.0
_MIN_FAST_SHUTDOWN_SECONDS = 1.5
_IMMEDIATE_SHUTDOWN_SECONDS = 1.0


def request_seconds(timeout: float) -> float:
    """The part of the shutdown timeout in which requests in progress may finish."""
    return max(0.1, timeout - min(_CLOSING_SECONDS, timeout / 2))


class Shutdown:
    """The stop of the first process of `lrs serve`; `status` is its exit status so far."""

    def __init__(self, timeout: float) -> None:
        self.status = 0
        self._timeout = timeout
        self._deadline: float | None = None

    def exit_on_signals(self) -> None:
        """Until the workers run, a stop signal exits through all `finally` blocks."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._exit)

    def _exit(self, number: int, frame: FrameType | None) -> None:
        for ignored in STOP_SIGNALS:
            signal.signal(ignored, signal.SIG_IGN)
        self.begin()
        sys.exit(self.status)

    def begin(self) -> None:
        """Set the deadline, at the first stop signal. Called in the main thread."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout
            if sys.platform != "win32":
                signal.signal(signal.SIGALRM, _kill)
                signal.setitimer(signal.ITIMER_REAL, self._timeout + _KILL_AFTER_SECONDS)

    def finish(self) -> None:
        """All processes have ended: nothing is left to kill. Called in the main thread."""
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, 0)

    def fail(self) -> None:
        """Stop the server, with a non-zero exit status. Called in any thread."""
        self.status = FAILED
        os.kill(os.getpid(), signal.SIGTERM)

    def remaining(self) -> float:
        """The seconds until the deadline; the whole timeout before a stop signal."""
        if self._deadline is None:
            return self._timeout
        return max(0.0, self._deadline - time.monotonic())

    def postgres_timeouts(self) -> tuple[float, float, float]:
        """The seconds for a fast shutdown of PostgreSQL, an immediate one, and its kill."""
        fast = self.remaining() - _IMMEDIATE_SHUTDOWN_SECONDS - 0.5
        return max(fast, _MIN_FAST_SHUTDOWN_SECONDS), _IMMEDIATE_SHUTDOWN_SECONDS, 5.0


def _kill(number: int, frame: FrameType | None) -> None:
    """The last resort: kill all processes of the server."""
    _log.critical("the server did not stop in time; its processes are killed")
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(FAILED)
