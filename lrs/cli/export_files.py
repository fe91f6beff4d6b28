"""The files of an export: they get their names when all are complete.

Until then they have none (`O_TMPFILE`), so that nothing is left of an export that is killed. Where
the file system does not support that, they are in a directory that the next export removes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import IO

from lrs.errors import InvalidParameter

_PREFIX = ".export-"
_LOCK = "lock"


ListFiles = Callable[[Path], Collection[str]]
"""The names of the files that a file lists, in its directory."""


class ExportFiles:
    """Files that are written one after the other, and then get their names in one directory.

    `last` is the name that comes last, and whose present file is removed first: with it, the
    directory has all files of one export, even after a crash between two names. `list_earlier` has
    the names of the earlier export in a present file of that name, which are removed.
    """

    def __init__(self, out: Path, last: str, list_earlier: ListFiles, stack: ExitStack) -> None:
        self._out = out
        self._last = last
        self._list_earlier = list_earlier
        self._stack = stack
        self._files: dict[str, IO[bytes] | Path] = {}
        self._directory: Path | None = None

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """A new file, open for writing in the block. Raises InvalidParameter."""
        with _os_errors_translated(self._out):
            file = self._without_name()
            if file is not None:
                self._stack.callback(file.close)
                self._files[name] = file
                yield file
                file.flush()
                return
            path = self._temporary_directory() / name
            self._files[name] = path
            with path.open("wb") as named:
                yield named

    def publish(self) -> None:
        """Give all files their names. Raises InvalidParameter."""
        with _os_errors_translated(self._out):
            self._out.mkdir(parents=True, exist_ok=True)
            earlier = self._list_earlier(self._out / self._last)
            (self._out / self._last).unlink(missing_ok=True)
            for name in set(earlier) - self._files.keys():
                (self._out / name).unlink(missing_ok=True)
            for name in sorted(self._files, key=lambda name: name == self._last):
                file, target = self._files[name], self._out / name
                if isinstance(file, Path):
                    file.replace(target)
                else:
                    target.unlink(missing_ok=True)
                    _link(file, target)

    def _without_name(self) -> IO[bytes] | None:
        """A file without a name on the file system of the directory; None if unsupported."""
        if self._directory or not hasattr(os, "O_TMPFILE"):
            return None
        existing = next(path for path in (self._out, *self._out.parents) if path.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
        try:
            descriptor = os.open(existing, os.O_TMPFILE | os.O_RDWR, 0o666)
        except OSError:
            if not os.access(existing, os.W_OK):
                raise
            return None
        if not Path(f"/proc/self/fd/{descriptor}").exists():
            os.close(descriptor)
            return None
        return os.fdopen(descriptor, "wb")

    def _temporary_directory(self) -> Path:
        """A directory below the output, locked while the export lives."""
        if self._directory is None:
            is_new = not self._out.exists()
            self._out.mkdir(parents=True, exist_ok=True)
            if is_new:
                self._stack.callback(_remove_if_empty, self._out)
            for left in self._out.glob(f"{_PREFIX}*"):
                _remove_unless_locked(left)
            self._directory = Path(mkdtemp(prefix=_PREFIX, dir=self._out))
            self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
            lock = self._stack.enter_context((self._directory / _LOCK).open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        return self._directory


@contextmanager
def export_files(
    out: Path, last: str, list_earlier: ListFiles = lambda path: ()
) -> Iterator[ExportFiles]:
    """The files of one export, which get their names at the end of the block: see ExportFiles.

    A failure and SIGTERM leave nothing behind. Raises InvalidParameter if `out` cannot be written.
    """
    with _exit_on_sigterm(), ExitStack() as stack:
        files = ExportFiles(out, last, list_earlier, stack)
        yield files
        files.publish()


def _link(file: IO[bytes], target: Path) -> None:
    """Give a file without a name a name; with a directory descriptor, Python calls linkat()."""
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{file.fileno()}", target, src_dir_fd=directory)
    finally:
        os.close(directory)


def _remove_unless_locked(directory: Path) -> None:
    """Remove the directory of an export that was killed."""
    with suppress(OSError), (directory / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory, ignore_errors=True)


def _remove_if_empty(directory: Path) -> None:
    with suppress(OSError):
        directory.rmdir()


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """SIGTERM exits through all `finally` blocks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextmanager
def _os_errors_translated(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidParameter(f"{out} cannot be written to: {error}.") from None
