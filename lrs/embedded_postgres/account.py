"""Whom PostgreSQL runs as, and what that user may reach.

PostgreSQL refuses to run as root. A server that root started therefore runs it as another user,
who needs to own the cluster and to pass through the directories above it; for anybody else there
is nothing to give away.
"""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lrs.embedded_postgres.errors import ELSEWHERE, EmbeddedError

SERVICE_USER = "pgserver"

# glibc would give the memory of each answer back to the kernel, and fault it in again for the next:
# that was a third of what a list took, and half of a look-up.
_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "16777216",
    "MALLOC_MMAP_THRESHOLD_": "16777216",
    "MALLOC_TOP_PAD_": "1048576",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group to run programs as: the present ones or, for root, others."""

    uid: int
    gid: int

    def own(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, *command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            **self._options(),
        )

    def start(self, *command: str | Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._options()
        )

    def _options(self) -> dict[str, Any]:
        """Programs are deaf to the terminal's Ctrl-C and to PG* variables."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        options: dict[str, Any] = {
            "env": _MEMORY | environment | {"LC_ALL": "C"},
            "cwd": "/",
            "umask": 0o077,
            "start_new_session": True,
        }
        if os.geteuid() == 0:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options


def present_account() -> Account:
    return Account(os.geteuid(), os.getegid())


def account_for(cluster: Path) -> Account:
    """As root: whoever owns the cluster, so that what a user made stays that user's."""
    if os.geteuid() != 0:
        return present_account()
    if cluster.exists() and cluster.stat().st_uid != 0:
        return Account(cluster.stat().st_uid, cluster.stat().st_gid)
    return _service_account()


def _service_account() -> Account:
    import pwd

    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--shell", "/usr/sbin/nologin", SERVICE_USER]
    for _ in range(50):  # another server may be adding it at this moment
        with suppress(KeyError):
            entry = pwd.getpwnam(SERVICE_USER)
            return Account(entry.pw_uid, entry.pw_gid)
        with suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        time.sleep(0.1)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the system user {SERVICE_USER} cannot be created "
        f"(is useradd missing?); create it, start the server as an ordinary user, {ELSEWHERE}."
    )


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def open_parents(path: Path, account: Account) -> None:
    """As root: let the account pass through the directories above `path`, and only pass."""
    if os.geteuid() != 0:
        return
    for parent in path.parents:
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
        log.info("let user %s pass through %s", user_name(account.uid), parent)


def open_in_place(path: Path, flags: int, mode: int) -> int:
    """Open or make a file; a link, which could lead root elsewhere, is not followed."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, mode)
