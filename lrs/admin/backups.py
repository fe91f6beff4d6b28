"""Use cases for backups: record what a command has written or restored, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from lrs import resources
from lrs.auth.operators import Operator, record
from lrs.store import server_properties
from lrs.store.postgres import Database, open_transaction, translate_errors
from lrs.store.server_properties import Backup

_ARCHIVE = resources.query("get_archive_state")


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """Continuous archiving of the write-ahead log, as the database reports it.

    `is_failing`: the last attempt failed, and the log collects on the disk.
    """

    is_on: bool
    last_segment: str | None
    last_archived_at: datetime | None
    failures: int
    last_failed_at: datetime | None
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Backups:
    """The last backup of a command, None before the first, and the state of the archive."""

    last: Backup | None
    archive: ArchiveState | None


async def describe(database: Database) -> Backups:
    """What is known of backups, for the page of the system."""
    with translate_errors():
        row = await database.readers.fetchrow(_ARCHIVE)
    archive = None if row is None else ArchiveState(**row)
    return Backups(await server_properties.last_backup(database), archive)


async def record_backup(database: Database, operator: Operator, backup: Backup) -> None:
    """A backup was written; an audit entry."""
    async with open_transaction(database) as transaction:
        await server_properties.record_backup(transaction, backup)
        after = msgspec.to_builtins(backup)
        await record(transaction, operator, "server.backup", "server", after=after)


async def record_restore(
    database: Database, operator: Operator, directory: str, until: datetime | None = None
) -> None:
    """The server was restored from a backup; the first audit entry after those in it."""
    after = {"directory": directory, "until": until.isoformat() if until else None}
    await record(database, operator, "server.restore", "server", after=after)
