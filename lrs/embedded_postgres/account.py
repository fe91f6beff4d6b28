"""The operating system user that PostgreSQL runs as.

PostgreSQL refuses to run as root. When root starts the server, PostgreSQL runs as the owner of the
cluster directory, or as `nobody` for a new cluster. It keeps one capability, CAP_DAC_OVERRIDE, so
that it reaches its files below directories that are closed to that user. So only the cluster
directory changes its owner, and nothing outside the data directory changes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lrs.embedded_postgres.errors import USE_OWN_POSTGRES, EmbeddedPostgresError

UNPRIVILEGED_USER = "nobody"
SETPRIV = (
    "setpriv",
    "--clear-groups",
    "--no-new-privs",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",  # or access(2) ignores the capability
)

# By default glibc returns freed memory to the kernel after each query and faults it in again for
# the next: a third of the time of a list of statements, half of the time of a lookup by id.
MALLOC_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": "16777216",
    "MALLOC_MMAP_THRESHOLD_": "16777216",
    "MALLOC_TOP_PAD_": "1048576",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group to run programs as."""

    uid: int
    gid: int

    def own(self, *paths: Path | int) -> None:
        """Make the account the owner of files, by paths or descriptors."""
        if self._is_other_user:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=isinstance(path, int))

    def run(self, *command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end; standard error is part of its output."""
        return subprocess.run(
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            **self._arguments(command),
        )

    def start(self, *command: str | Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._arguments(command)
        )

    @property
    def _is_other_user(self) -> bool:
        return self.uid != os.geteuid()

    def _arguments(self, command: tuple[str | Path, ...]) -> dict[str, Any]:
        """For subprocess: no PG* variables; a session of its own, which Ctrl-C does not reach."""
        if self._is_other_user:
            command = (*SETPRIV, f"--reuid={self.uid}", f"--regid={self.gid}", "--", *command)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return {
            "args": command,
            "env": MALLOC_ENVIRONMENT | environment | {"LC_ALL": "C"},
            "cwd": "/",
            "umask": 0o077,
            "start_new_session": True,
        }


def current_account() -> Account:
    return Account(os.geteuid(), os.getegid())


def postgres_account(cluster: Path) -> Account:
    """The account that PostgreSQL runs as; for root, another one than root's."""
    if os.geteuid() != 0:
        return current_account()
    if shutil.which("setpriv") is None:
        raise EmbeddedPostgresError(
            "PostgreSQL refuses to run as root, and setpriv (package util-linux), which starts it "
            f"as another user, is not installed; start as an ordinary user, {USE_OWN_POSTGRES}."
        )
    if cluster.exists() and cluster.stat().st_uid != 0:
        return Account(cluster.stat().st_uid, cluster.stat().st_gid)
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and this system has no user {UNPRIVILEGED_USER} "
            f"to run it as; start as an ordinary user, {USE_OWN_POSTGRES}."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def open_no_follow(path: Path, flags: int) -> int:
    """Open or create a file with mode 0600; refuse a symbolic link, which could mislead root."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
