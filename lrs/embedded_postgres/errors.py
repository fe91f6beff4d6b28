"""Errors of the embedded PostgreSQL, each one sentence for the operator."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lrs.errors import OperatorError

USE_OWN_POSTGRES = "or set LRS_DATABASE_URL to use a PostgreSQL of your own"


class EmbeddedPostgresError(OperatorError):
    """The embedded PostgreSQL cannot be created, started or reached."""


def disk_full(data: Path) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"The file system of the data directory {data} is full; free some space."
    )


def program_failed(action: str, output: str, data: Path, advice: str = "") -> EmbeddedPostgresError:
    """The first error in a PostgreSQL program's output, as one sentence.

    `action` is a verb, such as "create"; its object is the database.
    """
    if "No space left on device" in output or shutil.disk_usage(data).free < 1_000_000:
        return disk_full(data)
    if cannot_listen := re.search(r"could not (?:bind|translate) .+", output):
        return EmbeddedPostgresError(
            f"PostgreSQL cannot listen on LRS_REPORTS_ADDRESS ({cannot_listen[0].rstrip('.')}); "
            "choose another address."
        )
    first_error = re.search(r"(?:PANIC|FATAL|ERROR|error): +(.+)", output)
    reason = first_error[1] if first_error else (output.strip().splitlines() or ["no output"])[-1]
    advice = advice or (
        f"see {data / 'postgres.log'}; if the directory is damaged, restore it from a backup"
    )
    return EmbeddedPostgresError(
        f"PostgreSQL cannot {action} the database in {data / 'postgres'} "
        f"({reason.rstrip('.')}); {advice}."
    )
