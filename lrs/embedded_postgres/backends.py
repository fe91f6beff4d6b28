"""The processes of sessions of reporting roles: priority, memory, temporary files.

Every method ignores a process that has ended, and what the operating system does not allow.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_NICENESS = 19
_TEMP_FILE = re.compile(r"pgsql_tmp(\d+)\.")


class Backends:
    """The server processes of an embedded PostgreSQL, by process id.

    `max_memory_bytes` is a limit of the kernel for the memory of one process: PostgreSQL then
    reports "out of memory" to the client.
    """

    def __init__(self, data_directory: Path, max_memory_bytes: int) -> None:
        self._base_directory = data_directory.expanduser() / "postgres" / "base"
        self._temp_directory = self._base_directory / "pgsql_tmp"
        self._max_memory_bytes = max_memory_bytes

    def restrain(self, pid: int) -> None:
        """Give every other process precedence, and limit the memory.

        PostgreSQL makes each process a session, and Linux may schedule sessions as groups.
        """
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            process.nice(_NICENESS)
            with suppress(OSError):
                Path(f"/proc/{pid}/autogroup").write_text(str(_NICENESS), encoding="ascii")
            if hasattr(process, "rlimit"):  # Linux
                limit = (self._max_memory_bytes, self._max_memory_bytes)
                process.rlimit(psutil.RLIMIT_DATA, limit)

    def memory_bytes(self, pid: int) -> int:
        """The private memory of the process: without the shared buffers that it has touched."""
        with suppress(psutil.Error, OSError):
            usage = psutil.Process(pid).memory_info()
            return int(usage.rss - getattr(usage, "shared", 0))
        return 0

    def temp_file_bytes(self) -> dict[int, int]:
        """The size of the temporary files of each process."""
        sizes: Counter[int] = Counter()
        for pid, file in _temp_files(self._temp_directory):
            with suppress(OSError):
                sizes[pid] += file.stat().st_size
        return sizes

    def free_disk_bytes(self) -> int:
        return shutil.disk_usage(self._base_directory).free


def _temp_files(directory: Path) -> Iterator[tuple[int, os.DirEntry[str]]]:
    """Files `pgsql_tmp<pid>.<n>`, and those in directories `pgsql_tmp<pid>.<n>.fileset`."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if not (match := _TEMP_FILE.match(entry.name)):
                continue
            pid = int(match[1])
            if not entry.is_dir(follow_symlinks=False):
                yield pid, entry
                continue
            with suppress(OSError), os.scandir(entry.path) as files:
                for file in files:
                    yield pid, file
