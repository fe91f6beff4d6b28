"""`/metrics`: the credentials or the client that it requires, its listener, and its gauges."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lrs.api import access, problem_details, request_parsing
from lrs.errors import Forbidden, LRSError, NotFound, Unauthorized
from lrs.observability import metrics
from lrs.observability.exposition import CACHE_SECONDS, Exposition
from lrs.projection import lag
from lrs.reports.exports import Exports
from lrs.settings.server import is_loopback
from lrs.store import pipes
from lrs.store.postgres import Database, waiting

PATH = "/metrics"

_POOL_GAUGES_INTERVAL_SECONDS = 5.0
_LAG_TIMEOUT_SECONDS = 1.0

_THROTTLE_KEY = "metrics token"

_HOST = re.compile(r"(?:\[([^]]*)\]|([^:]*))(?::[0-9]*)?")

# Sent by a proxy, or by a browser for a page of another origin.
_INDIRECT = frozenset({b"forwarded", b"origin", b"via", b"x-forwarded-for"})


async def get_metrics(request: Request) -> Response:
    _require_access(request)
    text = await request_parsing.services(request).exposition.text()
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _require_access(request: Request) -> None:
    """Raises Unauthorized without the token of the settings; Forbidden if there is none.

    Raises TooManyRequests after many failures.
    """
    services = request_parsing.services(request)
    token = services.settings.metrics_token
    if not token and not _is_local(request):
        raise Forbidden(
            "Without LRS_METRICS_TOKEN, metrics are served to direct clients on the same host only."
        )
    address, throttle = access.client_address(request), services.limits.failures
    if token:
        throttle.check(address, _THROTTLE_KEY)
    if token and not _has_token(request, token):
        throttle.failed(address, _THROTTLE_KEY)
        raise Unauthorized(
            "Send the value of LRS_METRICS_TOKEN as a Bearer token.",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )


def _has_token(request: Request, token: str) -> bool:
    scheme, _, sent = (request_parsing.header(request.scope, b"authorization") or "").partition(" ")
    matches = hmac.compare_digest(sent.strip().encode(), token.encode())
    return matches and scheme.lower() == "bearer"


def _is_local(request: Request) -> bool:
    """Whether the request comes from this host, and neither through a proxy nor from a page.

    A proxy on the same host that adds no header still sends a `Host` of its clients, and so does a
    browser whose page rebinds its own name to 127.0.0.1.
    """
    if not _INDIRECT.isdisjoint(name for name, _ in request.scope["headers"]):
        return False
    host = _HOST.fullmatch(request_parsing.header(request.scope, b"host") or "")
    client = (request.scope.get("client") or ("",))[0]
    return host is not None and is_loopback(client) and is_loopback(host[1] or host[2])


class MetricsListener:
    """Middleware for a listener of its own: `/metrics` is on that port only, and nothing else."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            listening = scope.get("server") or ("", None)
            if (listening[1] == self._port) != (scope["path"] == PATH):
                error = NotFound(f"No resource at {scope['path']}.")
                await problem_details.response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


@asynccontextmanager
async def open_exposition(
    database: Database, exports: Exports, *, cache_seconds: float = CACHE_SECONDS
) -> AsyncIterator[Exposition]:
    """The text of the metrics, and a task that keeps the gauges of this worker up to date.

    The text of another worker includes them.
    """
    lag_gauge, pipe_gauges = _LagGauge(database), _PipeGauges(database)

    async def update_gauges() -> None:
        _set_pool_gauges(database, exports)
        await asyncio.gather(lag_gauge.update(), pipe_gauges.update())

    task = asyncio.create_task(_set_pool_gauges_periodically(database, exports))
    try:
        yield Exposition(update_gauges, cache_seconds=cache_seconds)
    finally:
        lag_gauge.close()
        pipe_gauges.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _set_pool_gauges_periodically(database: Database, exports: Exports) -> None:
    while True:
        _set_pool_gauges(database, exports)
        await asyncio.sleep(_POOL_GAUGES_INTERVAL_SECONDS)


def _set_pool_gauges(database: Database, exports: Exports) -> None:
    pools = {name: getattr(database, name) for name in ("writers", "readers", "lists")}
    for name, pool in {**pools, "exports": exports.pool}.items():
        idle = pool.get_idle_size()
        metrics.DATABASE_CONNECTIONS.labels(name, "idle").set(idle)
        metrics.DATABASE_CONNECTIONS.labels(name, "busy").set(pool.get_size() - idle)
        metrics.DATABASE_CONNECTIONS.labels(name, "waiting").set(waiting(pool))


class _StoredGauge:
    """Gauges that are read from the database; without it, they keep their last value.

    A query that hangs goes on in its task, and no second one is started.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def update(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        await asyncio.wait({self._task}, timeout=_LAG_TIMEOUT_SECONDS)

    async def _read(self) -> None:
        with suppress(LRSError):
            await self._set()

    async def _set(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self._task:
            self._task.cancel()


class _LagGauge(_StoredGauge):
    """The projection lag."""

    async def _set(self) -> None:
        lags = [backlog.lag_seconds for backlog in await lag.read_backlogs(self._database)]
        metrics.PROJECTION_LAG.set(max(lags, default=0.0))


class _PipeGauges(_StoredGauge):
    """What pipes have done since they were added. A removed pipe neither fails nor lags."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._exposed: set[tuple[str, str]] = set()

    async def _set(self) -> None:
        now = datetime.now(UTC)
        present: set[tuple[str, str]] = set()
        for pipe in await pipes.list_pipes(self._database, None):
            partner = metrics.partner_label(pipe.partner)
            if partner == metrics.OTHER_PARTNERS:
                continue
            present.add((partner, pipe.name))
            for outcome, count in pipe.counts.items():
                metrics.PIPE_STATEMENTS.labels(partner, pipe.name, outcome).set(count)
            for status, count in pipe.requests.items():
                metrics.PIPE_REQUESTS.labels(partner, pipe.name, status).set(count)
            if pipe.position_at is not None:
                lag_seconds = (now - pipe.position_at).total_seconds()
                metrics.PIPE_LAG.labels(partner, pipe.name).set(max(lag_seconds, 0.0))
            metrics.PIPE_FAILING.labels(partner, pipe.name).set(pipe.failures > 0)
            metrics.PIPE_DEAD_LETTERS.labels(partner, pipe.name).set(pipe.dead_letters)
        for labels in self._exposed - present:
            for gauge in (metrics.PIPE_LAG, metrics.PIPE_FAILING, metrics.PIPE_DEAD_LETTERS):
                gauge.labels(*labels).set(0)
        self._exposed = present
