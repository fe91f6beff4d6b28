"""Commands of backup and restore."""

from __future__ import annotations

import subprocess

from tests.support.cli import refused

PASSPHRASE = "correct horse battery"


def last_line_refused(result: subprocess.CompletedProcess[str]) -> str:
    """The sentence of the error, below the label of a progress bar."""
    result.stderr = result.stderr.splitlines()[-1] + "\n"
    return refused(result)
