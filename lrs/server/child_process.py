"""A process that `lrs serve` starts beside the workers: the projector, the pipes.

It is restarted with backoff when it fails, and ends with the server that started it.
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
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress

from lrs.observability import logs
from lrs.settings import Settings

_MIN_RETRY_DELAY_SECONDS = 1.0
_MAX_RETRY_DELAY_SECONDS = 30.0
_STABLE_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 2.0


@contextmanager
def running(module: str, name: str, log: logging.Logger) -> Iterator[None]:
    """Run the module as a process in the block, configured by environment variables."""
    supervisor = _Supervisor(module, name, log)
    supervisor.start()
    try:
        yield
    finally:
        supervisor.stop()


class _Supervisor(threading.Thread):
    """Starts the process, and restarts it with backoff when it fails."""

    def __init__(self, module: str, name: str, log: logging.Logger) -> None:
        super().__init__(daemon=True)
        self._module = module
        self._process_name = name
        self._log = log
        self._stopping = threading.Event()
        self._process = _start_process(module)

    def run(self) -> None:
        delay = _MIN_RETRY_DELAY_SECONDS
        while True:
            started = time.monotonic()
            status = self._process.wait()
            if time.monotonic() - started >= _STABLE_SECONDS:
                delay = _MIN_RETRY_DELAY_SECONDS
            if self._stopping.is_set():
                return
            self._log.warning(
                "%s process ended; it is restarted",
                self._process_name,
                extra={"status": status, "delay_seconds": delay},
            )
            if self._stopping.wait(delay):
                return
            delay = next_delay(delay)
            self._process = _start_process(self._module)

    def stop(self) -> None:
        self._stopping.set()
        if self._process.stdin:
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        self._process.kill()


def next_delay(delay: float) -> float:
    return min(2 * delay, _MAX_RETRY_DELAY_SECONDS)


def _start_process(module: str) -> subprocess.Popen[bytes]:
    """The process stops at the end of its standard input, which also comes when this one dies."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", module]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603


def prepare(settings: Settings, niceness: int) -> None:
    """Sets up a process: logs, signals, priority."""
    logging.config.dictConfig(logs.configuration(settings.log_level))
    for number in (signal.SIGINT, signal.SIGTERM):  # the server handles them and stops this process
        signal.signal(number, signal.SIG_IGN)
    with suppress(AttributeError):  # Windows
        os.nice(niceness)


async def run_until_stdin_ends(work: Coroutine[None, None, None]) -> None:
    """Cancels the work when the server that started this process closes its standard input."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)

    def wait_for_end_of_stdin() -> None:
        os.read(0, 1)  # not sys.stdin, whose lock this thread would hold when Python exits
        loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=wait_for_end_of_stdin, daemon=True).start()
    with suppress(asyncio.CancelledError):
        await task
