"""Output of commands that run in this process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from click.testing import Result

Lrs = Callable[..., Result]


def refused(result: Result | subprocess.CompletedProcess[str]) -> str:
    """The one sentence of the error that ends a command."""
    code = result.exit_code if isinstance(result, Result) else result.returncode
    assert code == 1, result
    if isinstance(result, Result):
        assert isinstance(result.exception, SystemExit), result.exception
    (line,) = result.stderr.splitlines()
    assert line.startswith("lrs: ")
    assert line.endswith("."), line
    return line.removeprefix("lrs: ")


def new_name() -> str:
    return f"cli-{time.time_ns()}"


def printed_fields(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
