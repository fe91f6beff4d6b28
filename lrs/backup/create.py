"""Writes a backup of a running or stopped database."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from asyncpg.pool import PoolConnectionProxy

from lrs import __version__, resources
from lrs.backup import contents, manifest, programs
from lrs.backup.manifest import File, Manifest, Reader
from lrs.backup.programs import BackupError
from lrs.backup.progress import CopyProgress, Report
from lrs.store import migrations
from lrs.store.postgres import open_admin_database, server_version

_JOBS = 2


@contextmanager
def new_directory(directory: Path) -> Iterator[None]:
    """A directory for a backup, new or empty before. If the block fails, nothing is left behind.

    Raises BackupError.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise BackupError(f"{directory} is not empty: write each backup to a new directory.")
    is_new = not directory.exists()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if is_new:
            directory.rmdir()
        raise


async def create(dsn: str, directory: Path, *, wrapped_key: str | None, report: Report) -> Manifest:
    """Back up a database into an empty directory, while others use it.

    The dump and the contents in the manifest are of one snapshot: all that was committed before it
    is in the backup. `wrapped_key` is the encrypted secret key, None for a backup without. Raises
    BackupError.
    """
    async with _snapshot(dsn) as (connection, snapshot):
        schema = await migrations.applied_version(connection)
        program = programs.find_pg_dump(connection.get_server_version().major)
        version = await server_version(connection)
        readers = [Reader(**row) for row in await connection.fetch(_READERS)]
        size = await contents.table_bytes(connection)
        progress = CopyProgress(connection, size, report, 0.0, 0.6)
        options = _dump_options(directory / manifest.DATABASE, snapshot, readers)
        await programs.run_program(program, dsn, options, progress.poll)
        held = await contents.read(connection)
        report(0.9)
    written = Manifest(
        created_at=datetime.now(UTC),
        lrs=__version__,
        schema=schema,
        postgresql=version,
        dump_version=program.version,
        contents=held,
        readers=readers,
        files=await asyncio.to_thread(_write_files, directory, wrapped_key),
    )
    manifest.write(directory, written)
    report(1.0)
    return written


def _write_files(directory: Path, wrapped_key: str | None) -> list[File]:
    """Write the files beside the dump; returns all files."""
    if wrapped_key is not None:
        path = directory / manifest.SECRET_KEY
        path.touch(mode=0o600)
        path.write_text(wrapped_key + "\n", encoding="ascii")
    return manifest.list_files(directory, lambda _: None)


_READERS = resources.query("list_report_readers")


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[tuple[PoolConnectionProxy, str]]:
    """A connection in a transaction, and the name of its snapshot for other sessions."""
    async with (
        open_admin_database(dsn) as database,
        database.readers.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute("set local statement_timeout = 0")
        await connection.execute("set local idle_in_transaction_session_timeout = 0")
        yield connection, await connection.fetchval("select pg_export_snapshot()")


def _dump_options(target: Path, snapshot: str, readers: list[Reader]) -> list[str]:
    """Reports are left out: the schemas of their views are created again by `lrs reports grant`."""
    schemas = sorted({reader.schema for reader in readers})
    return [
        "--format=directory", f"--file={target}", f"--jobs={_JOBS}", "--compress=1",
        f"--snapshot={snapshot}", "--no-owner", "--no-privileges", "--no-unlogged-table-data",
        *(f"--exclude-schema={_pattern(schema)}" for schema in schemas),
    ]  # fmt: skip


def _pattern(name: str) -> str:
    """A pattern of pg_dump that matches one name."""
    return '"' + name.replace('"', '""') + '"'
