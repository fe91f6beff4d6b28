"""Liveness, readiness and metrics."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client import REGISTRY as LOCAL
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lrs import __version__
from lrs.api import request_parsing
from lrs.api.responses import json_response
from lrs.api.services import Services
from lrs.errors import Unavailable
from lrs.observability import metrics
from lrs.projection import lag
from lrs.store import migrations
from lrs.store.postgres import Database, translate_errors


async def get_health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def get_ready(request: Request) -> Response:
    """Whether the database is available and has the expected schema version."""
    with translate_errors():
        version = await migrations.verify(request_parsing.services(request).database.readers)
    return json_response({"ready": True, "version": __version__, "schema": version})


async def get_metrics(request: Request) -> Response:
    services = request_parsing.services(request)
    _set_pool_gauges(services)
    await _set_lag_gauge(services.database)
    return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return LOCAL
    _remove_dead_workers(directory)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _remove_dead_workers(directory: str) -> None:
    """Remove the gauges of killed workers, which would be part of every sum from then on."""
    for path in Path(directory).glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            with suppress(FileNotFoundError):  # removed by another worker
                multiprocess.mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


def _set_pool_gauges(services: Services) -> None:
    pools = {name: getattr(services.database, name) for name in ("writers", "readers", "lists")}
    for name, pool in {**pools, "exports": services.exports.pool}.items():
        idle = pool.get_idle_size()
        metrics.DATABASE_CONNECTIONS.labels(name, "idle").set(idle)
        metrics.DATABASE_CONNECTIONS.labels(name, "busy").set(pool.get_size() - idle)


async def _set_lag_gauge(database: Database) -> None:
    """Without the database the gauge keeps its last value."""
    with suppress(Unavailable):
        lags = [backlog.lag_seconds for backlog in await lag.read_backlogs(database)]
        metrics.PROJECTION_LAG.set(max(lags, default=0.0))
