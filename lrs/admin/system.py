"""Use case for the server: versions, settings without secrets, database, disk."""

from __future__ import annotations

import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lrs import __version__, resources
from lrs.admin import backups
from lrs.admin.backups import Backups
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator
from lrs.projection import lag
from lrs.settings import Settings
from lrs.store import migrations, registry
from lrs.store.postgres import Database, server_version, translate_errors

_SIZE = resources.query("get_database_size")
_QUEUES = resources.query("count_queues")
_CONNECTIONS = resources.query("count_connections")

_SECRET_WORDS = ("secret", "token", "database_url", "webhook")
_REDACTED = "…"


@dataclass(frozen=True, slots=True)
class PoolView:
    """The connections of one pool of this worker."""

    name: str
    size: int
    idle: int
    maximum: int


@dataclass(frozen=True, slots=True)
class ReportBacklog:
    """What the reports of a partner do not include: statements, counted up to 1,000."""

    partner: str
    lag_seconds: float
    statements: int


@dataclass(frozen=True, slots=True)
class System:
    """The server and its database. Sizes are in bytes, the lag of reports in seconds.

    `queues` have the lengths: statements that wait for a commit in this worker, references to be
    resolved (up to 10,000), and pipes that are due. `reports` are those of a page of partners.
    """

    version: str
    python: str
    platform: str
    base_url: str
    schema_version: int
    postgres_version: str
    database_bytes: int
    database_connections: dict[str, int]
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    pools: list[PoolView]
    queues: dict[str, int]
    reports: list[ReportBacklog]
    backups: Backups
    settings: dict[str, Any]
    more: str = ""


async def describe(
    database: Database,
    operator: Operator,
    settings: Settings,
    served: Database,
    queued_statements: int,
    reports: list[ReportBacklog],
) -> System:
    """The system; `served` has the pools of the requests. Raises Forbidden (some partners)."""
    operator.require_all_partners()
    with translate_errors():
        size = await database.readers.fetchval(_SIZE)
        rows = await database.readers.fetch(_CONNECTIONS)
        (queues,) = await database.readers.fetch(_QUEUES)
        schema_version = await migrations.verify(database.readers)
        postgres_version = await server_version(database.readers)
    disk = disk_usage(settings)
    return System(
        __version__,
        platform.python_version(),
        platform.platform(),
        settings.base_url,
        schema_version,
        postgres_version,
        size,
        {row["application_name"]: row["count"] for row in rows},
        disk[1] if disk else None,
        disk[0] if disk else None,
        _pools(served),
        {"statements": queued_statements, **queues},
        reports,
        await backups.describe(database),
        redacted(settings),
    )


async def list_report_backlogs(
    database: Database, operator: Operator, *, cursor: str | None = None, limit: int = 100
) -> Page[ReportBacklog]:
    """What the reports of the next partners by name do not include. Raises Forbidden."""
    operator.require_all_partners()
    (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
    partners = await registry.fetch_partner_page(
        database, after=after, within=None, search="", limit=limit + 1
    )
    listed = page(partners, limit, lambda row: (row.name,))
    ids = [row.partner_id for row in listed.items]
    backlogs = {row.partner_id: row for row in await lag.read_backlogs(database, ids)}
    pending = await lag.count_pending(database, ids)
    items = [
        ReportBacklog(row.name, backlogs[row.partner_id].lag_seconds, pending[row.partner_id])
        for row in listed.items
        if row.partner_id in backlogs
    ]
    return Page(items, listed.cursor)


def redacted(settings: Settings) -> dict[str, Any]:
    """The settings, without the values that are secret or contain secrets."""
    values = asdict(settings)
    return {name: _REDACTED if _is_secret(name, value) else value for name, value in values.items()}


def _is_secret(name: str, value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return any(word in name for word in _SECRET_WORDS) or name.endswith("_key")


def _pools(database: Database) -> list[PoolView]:
    pools = {"writers": database.writers, "readers": database.readers, "lists": database.lists}
    return [
        PoolView(name, pool.get_size(), pool.get_idle_size(), pool.get_max_size())
        for name, pool in pools.items()
    ]


def disk_usage(settings: Settings) -> tuple[int, int] | None:
    """Total and free bytes where the data directory is; None without one."""
    try:
        usage = shutil.disk_usage(Path(settings.data_directory).expanduser())
    except OSError:
        return None
    return usage.total, usage.free
