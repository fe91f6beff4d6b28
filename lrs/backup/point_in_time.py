"""Base backups of the embedded database, and restore to a time from its archived log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lrs.backup import manifest
from lrs.backup.programs import BackupError
from lrs.bootstrap.database import database_url, empty_database
from lrs.settings import Settings


def create_base(
    settings: Settings, wrapped_key: str | None, *, keep: int
) -> tuple[Path, list[Path]]:
    """Copy the embedded database, running or not, into the archive.

    Returns the new base backup, and those that were removed because more than `keep` exist.
    `wrapped_key` is the encrypted secret key, None to leave it out. Raises OperatorError.
    """
    from lrs.embedded_postgres import wal_archive

    if settings.database_url or not settings.wal_archive_directory:
        raise BackupError(
            "A base backup needs an embedded database with LRS_WAL_ARCHIVE_DIRECTORY."
        )
    archive = Path(settings.wal_archive_directory).resolve()
    with database_url(settings):
        base = wal_archive.new_base(archive)
        base.mkdir(mode=0o700, parents=True)
        try:
            if wrapped_key is not None:
                path = base / manifest.SECRET_KEY
                path.touch(mode=0o600)
                path.write_text(wrapped_key + "\n", encoding="ascii")
            wal_archive.write_base(Path(settings.data_directory).resolve(), base)
        except BaseException:
            shutil.rmtree(base, ignore_errors=True)
            raise
    return base, wal_archive.remove_old(archive, keep)


def is_archive(directory: Path) -> bool:
    """Whether a directory is an archive of the write-ahead log, and no backup."""
    return (directory / "wal").is_dir()


def find_base(archive: Path, until: datetime | None) -> Path:
    """The base backup from which a time is restored. Raises EmbeddedPostgresError."""
    from lrs.embedded_postgres import wal_archive

    return wal_archive.find_base(archive.resolve(), until)


@contextmanager
def recovered(
    archive: Path, base: Path, settings: Settings, until: datetime | None
) -> Iterator[None]:
    """A new data directory with the database as of a time, or the end of the log.

    If the block fails, the data directory is empty again. Raises OperatorError.
    """
    from lrs.embedded_postgres import wal_archive

    if settings.database_url:
        raise BackupError("An archive is restored into an embedded database only.")
    cluster = Path(settings.data_directory).resolve() / "postgres"

    def prepare(_: Path) -> None:
        wal_archive.restore_cluster(base, archive.resolve(), cluster, until)

    with empty_database(settings, prepare):
        wal_archive.end_recovery(cluster)
        yield
