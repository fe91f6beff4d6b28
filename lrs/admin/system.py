"""Use case for the server: versions, settings without secrets, database, disk."""

from __future__ import annotations

import asyncio
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prometheus_client.samples import Sample

from lrs import __version__, resources
from lrs.admin import backups
from lrs.admin.backups import Backups
from lrs.admin.views import Page, decode_cursor, page
from lrs.auth.operators import Operator
from lrs.observability.exposition import samples
from lrs.observability.resource_usage import ResourceUsage
from lrs.projection import lag
from lrs.settings import Settings
from lrs.store import migrations, registry
from lrs.store.postgres import Database, server_version, translate_errors, waiting

_SIZE = resources.query("get_database_size")
_QUEUES = resources.query("count_queues")
_CONNECTIONS = resources.query("count_connections")

_SHED, _LIMITED = "lrs_shed_requests_total", "lrs_limited_requests_total"
_WAIT = "lrs_database_wait_seconds"

_SECRET_WORDS = ("secret", "token", "database_url", "webhook")
_REDACTED = "…"


@dataclass(frozen=True, slots=True)
class PoolView:
    """The connections of one pool of this worker, and how many requests wait for one.

    `waits` is how often a request of any worker has waited since the start of the server,
    `wait_seconds` the sum of these times.
    """

    name: str
    size: int
    idle: int
    maximum: int
    waiting: int
    waits: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class LoadView:
    """What the requests of this worker hold, and what all workers have rejected since their start.

    `shed` counts by the resource that lacked, `limited` by the limit of a partner, credential or
    client address.
    """

    usage: list[ResourceUsage]
    shed: dict[str, int]
    limited: dict[str, int]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What this worker knows of itself; `database` has the pools of the requests."""

    database: Database
    queued_statements: int
    usage: list[ResourceUsage]


@dataclass(frozen=True, slots=True)
class ReportBacklog:
    """What the reports of a partner do not include: statements, counted up to 1,000."""

    partner: str
    lag_seconds: float
    statements: int


@dataclass(frozen=True, slots=True)
class System:
    """The server and its database. Sizes are in bytes, the lag of reports in seconds.

    `pools` and `load` are those of the worker that responds, one of `workers`.
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
    workers: int
    pools: list[PoolView]
    load: LoadView
    queues: dict[str, int]
    reports: list[ReportBacklog]
    backups: Backups
    settings: dict[str, Any]
    more: str = ""


async def describe(
    database: Database,
    operator: Operator,
    settings: Settings,
    worker: WorkerState,
    reports: list[ReportBacklog],
) -> System:
    """Raises Forbidden (some partners)."""
    operator.require_all_partners()
    measured = await asyncio.to_thread(_measured)
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
        settings.workers,
        _pools(worker.database, measured),
        LoadView(worker.usage, _by_label(measured, _SHED), _by_label(measured, _LIMITED)),
        {"statements": worker.queued_statements, **queues},
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


def _pools(database: Database, measured: list[Sample]) -> list[PoolView]:
    pools = {"writers": database.writers, "readers": database.readers, "lists": database.lists}
    waits, seconds = _by_label(measured, f"{_WAIT}_count"), _seconds_by_pool(measured)
    return [
        PoolView(
            name,
            pool.get_size(),
            pool.get_idle_size(),
            pool.get_max_size(),
            waiting(pool),
            waits.get(name, 0),
            seconds.get(name, 0.0),
        )
        for name, pool in pools.items()
    ]


def _measured() -> list[Sample]:
    """The samples of all workers that the view shows."""
    return samples({_WAIT, *(name.removesuffix("_total") for name in (_SHED, _LIMITED))})


def _by_label(measured: list[Sample], name: str) -> dict[str, int]:
    """The values of a metric with one label, by the value of this label."""
    return {
        next(iter(sample.labels.values())): int(sample.value)
        for sample in measured
        if sample.name == name
    }


def _seconds_by_pool(measured: list[Sample]) -> dict[str, float]:
    return {
        sample.labels["pool"]: round(sample.value, 3)
        for sample in measured
        if sample.name == f"{_WAIT}_sum"
    }


def disk_usage(settings: Settings) -> tuple[int, int] | None:
    """Total and free bytes where the data directory is; None without one."""
    try:
        usage = shutil.disk_usage(Path(settings.data_directory).expanduser())
    except OSError:
        return None
    return usage.total, usage.free
