"""The process beside the workers that keeps reports up to date: `lrs serve` starts it.

However many there are, on however many machines, each partner's statements are followed by one at a
time. It ends with the process that started it.

It leaves the machine to ingest: everybody else has the processor first, before it and before what
works for it in our own PostgreSQL; it takes thousands of statements at a time, for half of what
hundreds at a time would cost; and it rests, unless it is late.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrs import bootstrap, process_priority
from lrs.environment import from_environment
from lrs.errors import LRSError
from lrs.observability import logs
from lrs.projection.projector import Projector
from lrs.server import garbage_collection
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.postgres import open_projector_database

_log = logging.getLogger("lrs.projection")

_PAUSE_SECONDS = 1.0
_RESTS_FOR_WORK = 2.0
_LATE_SECONDS = 10.0
_RESTART_SECONDS = 2.0
_END_SECONDS = 10.0

# Far longer than a chunk takes: a database that vanished without a word is not waited for for ever.
_STATEMENT_SECONDS = 3600.0


@contextmanager
def beside(settings: Settings) -> Iterator[None]:
    """Keeps the process running meanwhile; its settings are those in the environment."""
    if not settings.projection_enabled:
        yield
        return
    keeper = _Keeper()
    keeper.start()
    try:
        yield
    finally:
        keeper.end()


class _Keeper(threading.Thread):
    """Starts the process, and again whenever it ends too early."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._process = _start()

    def run(self) -> None:
        while True:
            status = self._process.wait()
            if self._ended.is_set():
                return
            _log.warning("the projection ended and is started again", extra={"status": status})
            if self._ended.wait(_RESTART_SECONDS):
                return
            self._process = _start()

    def end(self) -> None:
        self._ended.set()
        _let_go(self._process)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._process.kill()


def _start() -> subprocess.Popen[bytes]:
    """The process ends when its standard input does, whatever ends this one.

    It has a session of its own, so that its priority is.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "lrs.server.projector_process"]
    return subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, env=environment, start_new_session=True
    )


def _let_go(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()


def main() -> None:
    settings = from_environment()
    logging.config.dictConfig(logs.configuration(settings.log_level))
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the server, which then lets go
        signal.signal(number, signal.SIG_IGN)
    process_priority.lower(os.getpid())
    try:
        asyncio.run(_until_let_go(settings))
    except LRSError as error:
        _log.error("cannot follow the statements: %s", error.detail)
        sys.exit(1)


async def _until_let_go(settings: Settings) -> None:
    loop, following = asyncio.get_running_loop(), asyncio.create_task(follow(settings))
    let_go: Callable[[], object] = lambda: loop.call_soon_threadsafe(following.cancel)  # noqa: E731
    # Not through sys.stdin, whose lock this thread would have when Python ends for another reason.
    threading.Thread(target=lambda: (os.read(0, 1), let_go()), daemon=True).start()
    with suppress(asyncio.CancelledError):
        await following


async def follow(settings: Settings) -> None:
    """Follows the statements of all partners, for ever. Raises Unavailable."""
    from lrs import embedded_postgres  # the server, which imports this module, may have none

    vocabulary = bootstrap.vocabulary(settings)
    directory = Path(settings.data_directory)
    async with open_projector_database(
        settings.database_url,
        timeout=_STATEMENT_SECONDS,
        on_connect=lambda pid: embedded_postgres.renice(directory, pid),
    ) as database:
        await migrations.verify(database.readers)
        follower = Projector(database, vocabulary)
        garbage_collection.spare()
        while True:
            began = time.monotonic()
            left = await follower.run_once()
            await asyncio.sleep(rest(left, time.monotonic() - began))


def rest(left: float, worked: float) -> float:
    """Seconds to rest after a round of so many, if what was left has waited for so many."""
    if not left:
        return _PAUSE_SECONDS
    return 0.0 if left > _LATE_SECONDS else _RESTS_FOR_WORK * worked


if __name__ == "__main__":
    main()
