"""The embedded PostgreSQL, which starts and stops with the server, and is restarted when it ends.

    <data>/lock                  held by the server process while it runs
    <data>/postgres/             the cluster
    <data>/postgres.conf …       settings and access rules, written at each start
    <data>/postgres.log          PostgreSQL's log; postgres.log.1 is the previous one

Peer authentication admits the user that started the server, and root, as the ordinary role `lrs`.
Roles that read reports connect with a password, through the socket or the reports address.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from lrs.errors import OperatorError

if sys.platform == "win32":
    raise OperatorError(
        "There is no embedded PostgreSQL for Windows; use Linux or macOS, or set LRS_DATABASE_URL."
    )

import fcntl

from lrs.embedded_postgres.account import open_no_follow, postgres_account, user_name
from lrs.embedded_postgres.cluster import (
    check_cluster,
    create_cluster,
    create_database,
    write_configuration,
)
from lrs.embedded_postgres.errors import EmbeddedPostgresError, disk_full
from lrs.embedded_postgres.orphans import stopped_with_this_process
from lrs.embedded_postgres.process import (
    PostgresProgram,
    find_running,
    remove_stale_locks,
    socket_directory,
    stop_processes,
)
from lrs.embedded_postgres.programs import find_programs
from lrs.embedded_postgres.supervisor import Supervision, running_process
from lrs.embedded_postgres.wal_archive import archive_settings

__all__ = [
    "EmbeddedPostgresError",
    "Supervision",
    "find_dsn",
    "running",
    "stopped_with_this_process",
]

DEFAULT_PORT = "5432"  # names the socket only, unless there is a reports address


@contextmanager
def running(
    data_directory: Path,
    reports_address: str = "",
    supervision: Supervision = Supervision(),  # noqa: B008  # immutable
    wal_archive: Path | None = None,
) -> Iterator[str]:
    """Run PostgreSQL on a data directory, created if need be; yields the DSN for asyncpg.

    `reports_address`, "host:port", is where roles that read reports connect over TCP. The
    write-ahead log is archived below `wal_archive`: see `wal_archive.py`.
    PostgreSQL is started again when it ends: see `supervisor`. Raises EmbeddedPostgresError.
    """
    data = _resolve(data_directory)
    with ExitStack() as stack:
        with _os_errors_explained(data):
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_data_directory_lock(data))
            dsn = _start(data, reports_address, supervision, wal_archive, stack)
        yield dsn


def find_dsn(data_directory: Path) -> str | None:
    """The DSN of the PostgreSQL that another process runs on a data directory."""
    data = _resolve(data_directory)
    with _os_errors_explained(data):
        pid_file = find_running(data / "postgres")
        return _dsn(pid_file.sockets, pid_file.port) if pid_file else None


def _start(
    data: Path,
    reports_address: str,
    supervision: Supervision,
    wal_archive: Path | None,
    stack: ExitStack,
) -> str:
    cluster = data / "postgres"
    host, _, port = reports_address.rpartition(":")
    host, port = host.strip("[]"), port or DEFAULT_PORT
    account = postgres_account(cluster)
    programs = find_programs(account)
    stop_processes(cluster)
    if not cluster.exists() or not any(cluster.iterdir()):
        create_cluster(programs, cluster, account)
    check_cluster(cluster, account)
    remove_stale_locks(cluster)
    sockets = stack.enter_context(socket_directory(cluster, account))
    archiving = archive_settings(wal_archive.resolve(), account) if wal_archive else ""
    write_configuration(data, account, host, port, archiving)
    program = PostgresProgram(programs, data, sockets, account)
    stack.enter_context(running_process(program, supervision))
    create_database(programs, sockets, port, data)
    return _dsn(str(sockets), port)


def _dsn(sockets: str, port: str) -> str:
    return f"postgresql://lrs@/lrs?host={quote(sockets, safe='/')}&port={port}"


def _resolve(data_directory: Path) -> Path:
    return data_directory.expanduser().resolve()


@contextmanager
def _data_directory_lock(data: Path) -> Iterator[None]:
    with os.fdopen(open_no_follow(data / "lock", os.O_RDWR), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedPostgresError(
                f"The data directory {data} is in use by another lrs server "
                f"(process {lock.read().strip() or 'unknown'})."
            ) from None
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def _os_errors_explained(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explain(error, data) from error


def _explain(error: OSError, data: Path) -> EmbeddedPostgresError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(data)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return EmbeddedPostgresError(
            f"The data directory {data} is a file, or is inside one; set LRS_DATA_DIRECTORY."
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return EmbeddedPostgresError(
            f"The data directory {data} is not writable by user {user_name(os.geteuid())} "
            f"({error.filename}: {error.strerror}); change its owner, or set LRS_DATA_DIRECTORY."
        )
    return EmbeddedPostgresError(f"The data directory {data} cannot be used: {error}.")
