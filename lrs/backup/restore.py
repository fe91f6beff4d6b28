"""Restores a backup into an empty database, and verifies one in a temporary database."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lrs import resources
from lrs.backup import contents, manifest, programs
from lrs.backup.manifest import Manifest
from lrs.backup.programs import BackupError, Program
from lrs.backup.progress import CopyProgress, Report
from lrs.store import migrations
from lrs.store.postgres import Connection, open_admin_database

_JOBS = 2
_TABLES_START, _TABLES_END, _COMPARED = 0.2, 0.7, 0.95


async def verify(directory: Path, report: Report) -> Manifest:
    """Check the files of a backup, restore it into a temporary database and compare the contents.

    Raises BackupError, which says what differs.
    """
    from lrs import embedded_postgres  # optional: not installed with an external database

    written = check_files(directory, report)
    with (
        tempfile.TemporaryDirectory(prefix="lrs-verify-") as scratch,
        embedded_postgres.running(Path(scratch) / "data") as dsn,
    ):
        await restore(directory, written, dsn, report)
    report(1.0)
    return written


def check_files(directory: Path, report: Report) -> Manifest:
    """The manifest, once all files are compared with it. Raises BackupError."""
    written = manifest.read(directory)
    size = sum(file.bytes for file in written.files) or 1
    done = 0

    def count(read: int) -> None:
        nonlocal done
        done += read
        report(_TABLES_START * done / size)

    manifest.check_files(directory, written, count)
    latest = migrations.all_migrations()[-1].version
    if written.schema > latest:
        raise BackupError(
            f"The backup has schema version {written.schema} and this lrs has {latest}: "
            f"install lrs {written.lrs} or later."
        )
    return written


async def restore(directory: Path, written: Manifest, dsn: str, report: Report) -> None:
    """Restore a backup, whose files are checked, into an empty database; compare; migrate.

    The database is left empty unless it is restored whole, but for an interruption. Raises
    BackupError.
    """
    async with open_admin_database(dsn) as database, database.writers.acquire() as connection:
        await _require_empty(connection)
        program = programs.find_pg_restore(
            connection.get_server_version().major, written.dump_version
        )
        await connection.execute("set statement_timeout = 0")
        await _load(connection, directory, written, dsn, program, report)
        await connection.execute("analyze")
        report(_COMPARED)
        restored = await contents.read(connection)
    if lines := contents.differences(written.contents, restored):
        differences = "; ".join(lines[:20])
        raise BackupError(f"The restored database differs from the backup: {differences}.")
    await migrations.migrate(dsn)


async def _load(
    connection: Connection,
    directory: Path,
    written: Manifest,
    dsn: str,
    program: Program,
    report: Report,
) -> None:
    size = sum(file.bytes for file in written.files) * 4  # COPY text compresses to about a quarter
    progress = CopyProgress(connection, size, report, _TABLES_START, _TABLES_END)
    options = [
        "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction",
        str(directory / manifest.DATABASE),
    ]  # fmt: skip
    await programs.run_program(program, dsn, options, progress.poll)


async def _require_empty(connection: Connection) -> None:
    if await connection.fetchval(resources.query("has_tables")):
        raise BackupError("The database has tables: restore into an empty one.")
