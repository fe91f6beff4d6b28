"""PostgreSQL ends with a command that is killed, and stays after one that ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrs.embedded_postgres.orphans import signalled_with_this_process

COMMAND = """
import sys, time
from pathlib import Path
from lrs.embedded_postgres.orphans import signalled_with_this_process
with signalled_with_this_process(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends at SIGINT."""
    # A shell that starts the tests in the background lets them ignore SIGINT.
    with subprocess.Popen(["env", "--default-signal=INT", "sleep", "60"]) as process:
        yield process
        process.kill()


def test_server_of_a_killed_command_is_stopped(
    server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    pid_file = tmp_path / "postmaster.pid"
    command = [sys.executable, "-c", COMMAND, str(pid_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        pid_file.write_text(f"{server.pid}\n/data\n")
        process.kill()
    assert server.wait(10) == -2


def test_server_of_a_command_that_ends_is_not_signalled(
    server: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    pid_file = tmp_path / "postmaster.pid"
    pid_file.write_text(f"{server.pid}\n")
    with signalled_with_this_process(pid_file):
        pass
    with pytest.raises(subprocess.TimeoutExpired):
        server.wait(1.5)
