"""The worker processes: one in the first process of `lrs serve`, or several below it.

uvicorn's own supervisor waits without end for a worker that hangs, takes a worker that fails to
start during an outage of the database for a reason to stop, and hides the exit status of workers.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from lrs.server import cut_requests
from lrs.server.shutdown import FAILED, STOP_SIGNALS, Shutdown

_log = logging.getLogger("lrs.server")

_POLL_SECONDS = 0.2
_MAX_RESTART_DELAY_SECONDS = 30.0
_STABLE_SECONDS = 60.0

multiprocessing.allow_connection_pickling()  # of sockets
_context = multiprocessing.get_context("spawn")


def run_workers(config: uvicorn.Config, listening: list[socket.socket], shutdown: Shutdown) -> None:
    """Serve until a stop signal; `shutdown.status` is then non-zero if requests were cut off."""
    if config.workers == 1:
        shutdown.status = _serve(config, listening, on_stop=shutdown.begin) or shutdown.status
    else:
        _WorkerProcesses(config, listening, shutdown).run()


class _Server(uvicorn.Server):
    """uvicorn's server, which reports that it has started, and its stop signal."""

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)


def _serve(
    config: uvicorn.Config,
    listening: list[socket.socket],
    *,
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> int:
    """Serve until a stop signal in this process; returns its exit status."""
    server = _Server(config, on_start, on_stop)
    for number in STOP_SIGNALS:  # before uvicorn handles them, and after it has ended
        signal.signal(number, server.handle_exit)
    server.run(listening)
    if not server.started:
        return 0  # stopped during the start
    return FAILED if cut_requests.count() else 0


def _serve_in_process(
    config: uvicorn.Config, listening: list[socket.socket], has_served: Any
) -> None:
    config.configure_logging()

    def on_start() -> None:
        has_served.value = 1

    sys.exit(_serve(config, listening, on_start=on_start))


class _Worker:
    """One worker process, and when it is started next if it has ended.

    `start_failed` says that the last process could not start.
    """

    def __init__(self, start: Callable[[], SpawnProcess]) -> None:
        self._start = start
        self._delay = 0.0
        self._has_ended = False
        self._restart_at: float | None = None
        self.start_failed = False
        self.begin()

    @property
    def is_running(self) -> bool:
        return self.process.exitcode is None

    def begin(self) -> None:
        self._started_at = time.monotonic()
        self.process = self._start()

    def check(self) -> None:
        """Start the process again after it ended: at once, then with backoff."""
        now = time.monotonic()
        if self.is_running:
            return
        if self._restart_at is None:
            self._delay = self._next_delay(now)
            self._restart_at = now + self._delay
            self.start_failed = self.process.exitcode == STARTUP_FAILURE
            _log.error(
                "worker process ended; it is restarted",
                extra={
                    "pid": self.process.pid,
                    "status": self.process.exitcode,
                    "delay_seconds": self._delay,
                },
            )
        if now >= self._restart_at:
            self._restart_at, self.start_failed = None, False
            self.begin()

    def _next_delay(self, now: float) -> float:
        is_first_end, self._has_ended = not self._has_ended, True
        stable = now - self._started_at >= _STABLE_SECONDS
        if stable or (is_first_end and self.process.exitcode != STARTUP_FAILURE):
            return 0.0
        return min(2 * self._delay, _MAX_RESTART_DELAY_SECONDS) or 1.0


class _WorkerProcesses:
    """The workers below the first process: starts, restarts and stops them."""

    def __init__(
        self, config: uvicorn.Config, listening: list[socket.socket], shutdown: Shutdown
    ) -> None:
        self._config = config
        self._listening = listening
        self._shutdown = shutdown
        self._stopping = False
        # Set by the first worker that has started. Without a lock: workers may be killed.
        self._has_served = _context.RawValue("b", 0)

    def run(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self._handle_stop)
        workers = [_Worker(self._start) for _ in range(self._config.workers)]
        try:
            while not self._stopping:
                wait(
                    [worker.process.sentinel for worker in workers if worker.is_running],
                    _POLL_SECONDS,
                )
                for worker in workers:
                    if not self._stopping:
                        worker.check()
                if not self._has_served.value and all(item.start_failed for item in workers):
                    self._shutdown.status = STARTUP_FAILURE
                    self._shutdown.begin()
                    break
        finally:
            self._stop([worker.process for worker in workers])

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        self._shutdown.begin()
        self._stopping = True

    def _start(self) -> SpawnProcess:
        arguments = (self._config, self._listening, self._has_served)
        process = _context.Process(target=_serve_in_process, args=arguments)
        process.start()
        return process

    def _stop(self, processes: Sequence[SpawnProcess]) -> None:
        for listener in self._listening:
            listener.close()  # else new clients would wait for a worker
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + max(2.0, self._shutdown.remaining() - 1.5)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                _log.error("worker process did not stop in time; it is killed")
                process.kill()
                process.join()
        if any(process.exitcode != 0 for process in processes):
            self._shutdown.status = self._shutdown.status or FAILED
