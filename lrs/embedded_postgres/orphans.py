"""Stops PostgreSQL when the command that started it is killed.

A shell waits for the end of a pipe, which the kernel closes with this process, whatever ends it.
`lrs serve` does not need it: its next start stops what is left.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# PostgreSQL writes the file soon after its start. SIGINT is a fast shutdown.
_WAIT_AND_STOP = 'read -r line; sleep 1; kill -s INT "$(head -n 1 "$0")"'


@contextmanager
def stopped_with_this_process(data_directory: Path) -> Iterator[None]:
    """Within the block, PostgreSQL on the data directory ends if this process is killed."""
    pid_file = data_directory.expanduser().resolve() / "postgres" / "postmaster.pid"
    with signalled_with_this_process(pid_file):
        yield


@contextmanager
def signalled_with_this_process(pid_file: Path) -> Iterator[None]:
    """Within the block, the process in the first line of a file gets SIGINT if this one is killed.

    The file may appear within the block.
    """
    reader, writer = os.pipe()  # no other child process inherits the writer
    try:
        shell = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _WAIT_AND_STOP, str(pid_file)],
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process
        )
    finally:
        os.close(reader)
    try:
        yield
    finally:
        shell.kill()
        shell.wait()
        os.close(writer)
