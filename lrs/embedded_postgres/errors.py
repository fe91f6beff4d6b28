"""What the operator is told when the embedded PostgreSQL cannot be had."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ELSEWHERE = "or set LRS_DATABASE_URL to use a PostgreSQL of your own"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be had; the message is one sentence for the operator."""


def disk_full(data: Path) -> EmbeddedError:
    return EmbeddedError(
        f"The disk that holds the data directory {data} is full; free space, then start again."
    )


def failure(what: str, output: str, data: Path, advice: str = "") -> EmbeddedError:
    """Why PostgreSQL gave up, by the first grave thing it said."""
    if "No space left on device" in output or shutil.disk_usage(data).free < 1_000_000:
        return disk_full(data)
    grave = re.search(r"(?:PANIC|FATAL|ERROR|error): +(.+)", output)
    reason = grave[1] if grave else (output.strip().splitlines() or ["it gave no reason"])[-1]
    advice = advice or (
        f"see {data / 'postgres.log'}, and restore the directory from a backup if it is damaged"
    )
    return EmbeddedError(
        f"The database in {data / 'postgres'} cannot be {what} ({reason.rstrip('.')}); {advice}."
    )
