"""PostgreSQL's processes: start, stop, their sockets and their log."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from lrs.embedded_postgres.account import Account, open_no_follow

MAX_LOG_BYTES = 10_000_000
MAX_SOCKET_PATH_BYTES = 100
SOCKET_PREFIX = ".s.PGSQL."  # followed by the port
# The seconds that PostgreSQL has to end after SIGINT (fast shutdown), SIGQUIT and SIGKILL.
PATIENT_STOP = (60.0, 10.0, 10.0)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
_MAX_LOG_TEXT_BYTES = 65_536

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PidFile:
    """The cluster's `postmaster.pid`, which PostgreSQL writes while it runs."""

    pid: str = ""
    port: str = ""
    sockets: str = ""
    ready: bool = False


def read_pid_file(cluster: Path) -> PidFile:
    try:
        text = os.fsdecode((cluster / "postmaster.pid").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return PidFile()
    # Lines, written one by one: pid, directory, start, port, socket directory, -, -, status.
    lines = text.split("\n") + [""] * 8
    return PidFile(lines[0], lines[3], lines[4], ready=lines[7].strip() == "ready")


def find_processes(cluster: Path) -> list[psutil.Process]:
    """All processes of a PostgreSQL on the cluster, which is their working directory."""
    directory, processes = cluster.resolve(), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and Path(process.cwd()) == directory:
                processes.append(process)
    return processes


def find_running(cluster: Path) -> PidFile | None:
    """The pid file of the PostgreSQL that runs on the cluster and accepts connections."""
    pid_file = read_pid_file(cluster)
    pids = {str(process.pid) for process in find_processes(cluster)}
    return pid_file if pid_file.ready and pid_file.pid in pids else None


def stop_processes(cluster: Path, timeouts: tuple[float, float, float] = PATIENT_STOP) -> None:
    """Stop PostgreSQL on the cluster: fast shutdown first, then by force, orphans included.

    `timeouts` are in seconds, one for each signal.
    """
    for number, timeout in zip(_STOP_SIGNALS, timeouts, strict=True):
        targets = find_processes(cluster)
        if number == signal.SIGINT:
            postmaster = read_pid_file(cluster).pid
            targets = [process for process in targets if str(process.pid) == postmaster]
        for process in targets:
            with suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + timeout
        while targets and find_processes(cluster) and time.monotonic() < deadline:
            time.sleep(0.02)


def remove_stale_locks(cluster: Path) -> None:
    """Remove lock files whose pid now belongs to another program: PostgreSQL would refuse to start.

    Only for a cluster on which no PostgreSQL runs.
    """
    for lock in (cluster / "postmaster.pid", *cluster.glob(f"{SOCKET_PREFIX}*.lock")):
        with suppress(FileNotFoundError):
            pid = lock.read_text(errors="replace").partition("\n")[0]
            if not pid.isdigit() or psutil.pid_exists(int(pid)):
                lock.unlink()


def limit_log(data: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Move the content of a log over `max_bytes` to postgres.log.1; PostgreSQL keeps it open.

    Lines that PostgreSQL writes at the same moment are lost. A client whose connection is refused
    causes lines, as often as it likes.
    """
    with suppress(OSError), (data / "postgres.log").open("r+b") as log_file:
        if os.fstat(log_file.fileno()).st_size <= max_bytes:
            return
        old = data / "postgres.log.1"
        old.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_EXCL
        with os.fdopen(open_no_follow(old, flags), "wb") as old_file:
            shutil.copyfileobj(log_file, old_file)
        log_file.truncate(0)


@contextmanager
def socket_directory(cluster: Path, account: Account) -> Iterator[Path]:
    """The cluster, or a temporary directory where a socket path cannot hold the cluster's path."""
    path = os.fsencode(cluster / f"{SOCKET_PREFIX}65535")
    if len(path) <= MAX_SOCKET_PATH_BYTES and b"," not in path:
        yield cluster
        return
    sockets = Path(tempfile.mkdtemp(prefix="lrs-")).resolve()
    try:
        account.own(sockets)
        yield sockets
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class PostgresProgram:
    """PostgreSQL's programs with the directories and the account that they run with."""

    programs: Path
    data: Path
    sockets: Path
    account: Account

    @property
    def cluster(self) -> Path:
        return self.data / "postgres"

    @property
    def log_file(self) -> Path:
        return self.data / "postgres.log"

    def start(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start PostgreSQL; returns the process, and the length of the log before its first line.

        Raises OSError if the log cannot be opened.
        """
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.data / "postgres.log.1")
        settings = {
            "config_file": self.data / "postgres.conf",
            "hba_file": self.data / "postgres.hba.conf",
            "ident_file": self.data / "postgres.ident.conf",
            "unix_socket_directories": self.sockets,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with os.fdopen(open_no_follow(self.log_file, os.O_WRONLY | os.O_APPEND), "ab") as output:
            self.account.own(output.fileno())
            start = output.tell()
            postgres = self.programs / "postgres"
            return self.account.start(postgres, "-D", self.cluster, *options, output=output), start

    def log_text(self, start: int) -> str:
        """The log from an offset on, at most its last 64 kB; empty if it cannot be read."""
        try:
            with self.log_file.open("rb") as log_file:
                size = log_file.seek(0, os.SEEK_END)
                log_file.seek(max(start, size - _MAX_LOG_TEXT_BYTES) if size >= start else 0)
                return log_file.read(_MAX_LOG_TEXT_BYTES).decode(errors="replace")
        except OSError:
            return ""


def wait_until_ready(process: subprocess.Popen[bytes], cluster: Path) -> bool:
    """False when the process ends before it accepts connections.

    Crash recovery has no time limit.
    """
    started = warned = time.monotonic()
    while process.poll() is None:
        pid_file = read_pid_file(cluster)
        if pid_file.ready and pid_file.pid == str(process.pid):
            return True
        if time.monotonic() - warned > 10:
            warned = time.monotonic()
            log.warning("PostgreSQL crash recovery: running for %.0f s", warned - started)
        time.sleep(0.02)
    return False
