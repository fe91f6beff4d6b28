"""The backup that a server takes of its embedded database before it migrates the schema."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from lrs.backup import create, manifest
from lrs.store import migrations
from lrs.store.postgres import open_admin_database

DIRECTORY = "backups"
_KEPT = 2


async def pending_versions(dsn: str) -> tuple[int, int] | None:
    """The version of the schema and the one to migrate to; None if it is new or up to date."""
    async with open_admin_database(dsn) as database:
        try:
            applied = await migrations.applied_version(database.readers)
        except migrations.UnknownSchema:  # a new database
            return None
    latest = migrations.all_migrations()[-1].version
    return (applied, latest) if applied < latest else None


def directory(data: Path, version: int) -> Path:
    """Where the backup of a schema version is, below the data directory."""
    return data / DIRECTORY / f"schema-{version:04}"


async def create_backup(dsn: str, target: Path, report: Callable[[str], None]) -> None:
    """Back up into the directory, unless it holds a complete backup of an interrupted migration.

    The secret key is left out: it is in the data directory. Only the latest backups are kept.
    Raises BackupError.
    """
    if (target / manifest.FILE).exists():
        return
    _remove(target)
    percent = -1

    def count(fraction: float) -> None:
        nonlocal percent
        if int(fraction * 10) > percent // 10:
            percent = int(fraction * 100)
            report(f"backup before the migration: {percent} %")

    with create.new_directory(target):
        await create.create(dsn, target, wrapped_key=None, report=count)
    for old in sorted(target.parent.glob("schema-*"))[:-_KEPT]:
        _remove(old)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
