"""Continuous archiving of the embedded PostgreSQL, and point-in-time recovery.

    <archive>/wal/                the write-ahead log, one compressed file per segment
    <archive>/base-<time>/        base backups: the cluster, and what the caller puts beside it

Segments are archived when they are full, or a minute after a change. gzip is on every Linux and
macOS; a segment that was archived early is mostly zeros.
"""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path

from lrs.embedded_postgres.account import Account, current_account
from lrs.embedded_postgres.errors import EmbeddedPostgresError, program_failed
from lrs.embedded_postgres.process import find_running
from lrs.embedded_postgres.programs import find_programs

ARCHIVE_TIMEOUT_SECONDS = 60
CLUSTER = "cluster"
WAL = "wal"
_SUFFIX = ".gz"
_BASE = "base-"
_ENDED = "ended_at"  # written last
_TIME = "%Y%m%dT%H%M%SZ"
_START = re.compile(r"^START WAL LOCATION: \S+ \(file (\w+)\)$", re.MULTILINE)
_RECOVERY_FILE = "postgresql.auto.conf"
_RECOVERY_SETTINGS = (
    "restore_command", "recovery_target_action", "recovery_target_time", "hot_standby"
)  # fmt: skip


def archive_settings(archive: Path, account: Account) -> str:
    """Lines for postgresql.conf. An archived segment is complete, and is never overwritten."""
    directory = archive / WAL
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    account.own(directory)
    target = _segment(directory)
    command = (
        f"if test -f {target}; then gzip -dc {target} | cmp -s - %p; "
        f"else gzip -1 < %p > {target}.new && sync {target}.new && mv {target}.new {target}; fi"
    )
    return (
        f"archive_mode = on\narchive_timeout = {ARCHIVE_TIMEOUT_SECONDS}\n"
        f"archive_command = {_quoted(command)}\n"
    )


def _segment(directory: Path) -> str:
    """The file of a segment, in a command of PostgreSQL, where a percent sign is doubled."""
    return f"{shlex.quote(str(directory)).replace('%', '%%')}/%f{_SUFFIX}"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def new_base(archive: Path) -> Path:
    """The directory of a base backup that begins now."""
    return archive / f"{_BASE}{datetime.now(UTC):{_TIME}}"


def list_bases(archive: Path) -> list[Path]:
    """The complete base backups of an archive, oldest first."""
    return sorted(base for base in archive.glob(f"{_BASE}*") if (base / _ENDED).is_file())


def write_base(data: Path, base: Path) -> None:
    """Copy the cluster of a running PostgreSQL. Raises EmbeddedPostgresError."""
    account = current_account()
    running = find_running(data / "postgres")
    if running is None:
        raise EmbeddedPostgresError(f"PostgreSQL does not run on {data}.")
    command = (
        find_programs(account) / "pg_basebackup", "-U", "postgres", "-h", running.sockets,
        "-p", running.port, "-D", base / CLUSTER, "--checkpoint=fast", "--wal-method=stream",
        "--no-password",
    )  # fmt: skip
    result = account.run(*command)
    if result.returncode:
        raise program_failed("copy", result.stdout, data)
    (base / _ENDED).write_text(datetime.now(UTC).isoformat(), encoding="ascii")


def remove_old(archive: Path, keep: int) -> list[Path]:
    """Remove all but the latest base backups, and the log before them; returns what was removed."""
    bases = list_bases(archive)
    old, kept = bases[:-keep], bases[-keep:]
    for base in old:
        shutil.rmtree(base)
    label = (kept[0] / CLUSTER / "backup_label").read_text(encoding="utf-8")
    first = _START.search(label)
    if first is None:
        raise EmbeddedPostgresError(f"The base backup {kept[0]} has no start of its log.")
    account = current_account()
    program = find_programs(account) / "pg_archivecleanup"
    result = account.run(program, "-x", _SUFFIX, archive / WAL, first[1])
    if result.returncode:
        raise program_failed("clean", result.stdout, archive)
    return old


def find_base(archive: Path, until: datetime | None) -> Path:
    """The latest base backup that ended before a time. Raises EmbeddedPostgresError."""
    bases = [base for base in list_bases(archive) if until is None or _ended(base) <= until]
    if not bases:
        before = f" before {until.isoformat()}" if until else ""
        raise EmbeddedPostgresError(f"The archive {archive} has no base backup{before}.")
    return bases[-1]


def _ended(base: Path) -> datetime:
    return datetime.fromisoformat((base / _ENDED).read_text(encoding="ascii"))


def restore_cluster(base: Path, archive: Path, cluster: Path, until: datetime | None) -> None:
    """Copy a base backup; PostgreSQL recovers it from the archive when it starts."""
    shutil.copytree(base / CLUSTER, cluster)
    cluster.chmod(0o700)
    source = _segment(archive / WAL)
    lines = [
        f"restore_command = {_quoted(f'test -f {source} && gzip -dc {source} > %p')}",
        "recovery_target_action = 'promote'",
        "hot_standby = off",  # PostgreSQL accepts connections once the recovery has ended
        f"recovery_target_time = '{until.isoformat()}'" if until else "",
    ]
    with (cluster / _RECOVERY_FILE).open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    (cluster / "recovery.signal").touch(mode=0o600)


def end_recovery(cluster: Path) -> None:
    """Remove the settings of the recovery, once it has ended."""
    path = cluster / _RECOVERY_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith(_RECOVERY_SETTINGS))
    path.write_text(kept, encoding="utf-8")
