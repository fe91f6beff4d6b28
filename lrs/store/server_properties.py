"""Properties that a server or command records for others: the base URL, the last backup."""

from __future__ import annotations

from datetime import datetime

import msgspec

from lrs import resources
from lrs.store.postgres import Database, translate_errors

_SET = resources.query("set_server_property")
_GET = resources.query("get_server_property")

_BASE_URL = "base_url"
_LAST_BACKUP = "last_backup"


class Backup(msgspec.Struct, frozen=True):
    """The last backup: a dump (`database`), or a copy of the cluster for the archive (`base`)."""

    kind: str
    at: datetime
    directory: str
    bytes: int | None = None
    statements: int | None = None


async def record_base_url(database: Database, base_url: str) -> None:
    """Records the URL that clients of the server use."""
    with translate_errors():
        await database.readers.execute(_SET, _BASE_URL, base_url)


async def recorded_base_url(database: Database) -> str | None:
    """The URL that the last started server recorded; None before the first start."""
    with translate_errors():
        value = await database.readers.fetchval(_GET, _BASE_URL)
    return None if value is None else str(value)


async def record_backup(database: Database, backup: Backup) -> None:
    with translate_errors():
        await database.readers.execute(_SET, _LAST_BACKUP, msgspec.json.encode(backup).decode())


async def last_backup(database: Database) -> Backup | None:
    """The last backup of a command; None before the first."""
    with translate_errors():
        value = await database.readers.fetchval(_GET, _LAST_BACKUP)
    return None if value is None else msgspec.json.decode(value, type=Backup)
