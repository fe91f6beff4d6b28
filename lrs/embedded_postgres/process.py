"""PostgreSQL's processes: found, stopped and started, and where they listen."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from lrs.embedded_postgres.account import Account, open_in_place, open_parents
from lrs.embedded_postgres.errors import EmbeddedError, failure

LOG_LIMIT = 10_000_000
SOCKET = ".s.PGSQL."  # and the port
SOCKET_PATH_LIMIT = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Note:
    """What PostgreSQL itself notes of a server, in the cluster's `postmaster.pid`."""

    pid: str = ""
    port: str = ""
    sockets: str = ""
    ready: bool = False


def _note(cluster: Path) -> Note:
    try:
        text = os.fsdecode((cluster / "postmaster.pid").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Note()
    # Pid, directory, start, port, socket directory, …, …, status; written one after the other.
    lines = text.split("\n") + [""] * 8
    return Note(lines[0], lines[3], lines[4], ready=lines[7].strip() == "ready")


def _processes(cluster: Path) -> list[psutil.Process]:
    """Every process of a PostgreSQL on the cluster; they all work in its directory."""
    home, found = cluster.resolve(), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and Path(process.cwd()) == home:
                found.append(process)
    return found


def works_on(cluster: Path, pid: int) -> bool:
    return any(process.pid == pid for process in _processes(cluster))


def listening(cluster: Path) -> Note | None:
    """Where the PostgreSQL listens that runs on the cluster, if one does."""
    note = _note(cluster)
    alive = {str(process.pid) for process in _processes(cluster)}
    return note if note.ready and note.pid in alive else None


def stop_processes(cluster: Path) -> None:
    """Stop what runs on the cluster: the postmaster in order, orphans and the deaf by force."""
    for number, patience in (
        (signal.SIGINT, 60.0),
        (signal.SIGQUIT, 10.0),
        (signal.SIGKILL, 10.0),
    ):
        targets = _processes(cluster)
        if number == signal.SIGINT:
            postmaster = _note(cluster).pid
            targets = [process for process in targets if str(process.pid) == postmaster]
        for process in targets:
            with suppress(psutil.Error):
                process.send_signal(number)
        end = time.monotonic() + patience
        while targets and _processes(cluster) and time.monotonic() < end:
            time.sleep(0.02)


def require_free(host: str, port: str) -> None:
    """Find out whether PostgreSQL can listen there, which does not say itself why it cannot.

    Like it, be content with one of the host's addresses. Raises EmbeddedError.
    """
    reason: str | None = None
    try:
        for family, _, _, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            reason = _reason_not_to_listen(family, place)
            if reason is None:
                return
    except OSError as error:
        reason = error.strerror
    raise EmbeddedError(
        f"LRS_REPORTS_ADDRESS: cannot listen on {host} port {port}: {str(reason).lower()}; "
        "choose another."
    )


def _reason_not_to_listen(family: int, place: tuple[Any, ...]) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # as PostgreSQL does: the same port of IPv4 is another
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        return error.strerror or str(error)
    return None


def forget_dead_server(cluster: Path) -> None:
    """Remove locks whose pid is another program's by now: PostgreSQL would wait for that one."""
    for lock in (cluster / "postmaster.pid", *cluster.glob(f"{SOCKET}*.lock")):
        with suppress(FileNotFoundError):
            pid = lock.read_text(errors="replace").partition("\n")[0]
            if not pid.isdigit() or psutil.pid_exists(int(pid)):
                lock.unlink()


@contextmanager
def socket_directory(cluster: Path, account: Account) -> Iterator[Path]:
    """The cluster itself, closed to others as it is; elsewhere when its path cannot be used."""
    path = os.fsencode(cluster / f"{SOCKET}65535")
    if len(path) <= SOCKET_PATH_LIMIT and b"," not in path:
        yield cluster
        return
    sockets = Path(tempfile.mkdtemp(prefix="lrs-")).resolve()
    try:
        account.own(sockets)
        open_parents(sockets, account)
        yield sockets
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def serving(binaries: Path, data: Path, sockets: Path, account: Account) -> Iterator[None]:
    """PostgreSQL, once it is ready, however long its recovery takes, to the end of the block."""
    cluster, journal = data / "postgres", data / "postgres.log"
    if journal.exists() and journal.stat().st_size > LOG_LIMIT:
        journal.replace(data / "postgres.log.1")
    settings = {
        "config_file": data / "postgres.conf",
        "hba_file": data / "postgres.hba.conf",
        "ident_file": data / "postgres.ident.conf",
        "unix_socket_directories": sockets,
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    with os.fdopen(open_in_place(journal, os.O_WRONLY | os.O_APPEND, 0o600), "ab") as output:
        account.own(journal)
        said_before = output.tell()
        process = account.start(binaries / "postgres", "-D", cluster, *flags, output=output)
    try:
        if not _comes_up(process, cluster):
            said = journal.read_bytes()[said_before:].decode(errors="replace")
            raise failure("opened", said, data)
        yield
    finally:
        stop_processes(cluster)
        process.kill()
        process.wait()


def _comes_up(process: subprocess.Popen[bytes], cluster: Path) -> bool:
    started = warned = time.monotonic()
    while process.poll() is None:
        note = _note(cluster)
        if note.ready and note.pid == str(process.pid):
            return True
        if time.monotonic() - warned > 10:
            warned = time.monotonic()
            log.warning("PostgreSQL is recovering, for %.0f s now", warned - started)
        time.sleep(0.02)
    return False
