"""Assembly: one worker's services, and the ASGI application around them."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import multiprocessing.process
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.types import ASGIApp

from lrs import administration, collector, logs
from lrs.api import (
    canvas,
    contents,
    documentation,
    oauth,
    operations,
    partners,
    people,
    records,
    reports,
    xapi,
)
from lrs.api.admission import Admission
from lrs.api.application import Application
from lrs.api.forwarded import Forwarded
from lrs.api.origins import CrossOrigin
from lrs.api.services import Services
from lrs.auth.authenticate import Authenticator
from lrs.auth.callbacks import Callbacks
from lrs.auth.limits import RateLimit
from lrs.auth.vault import Vault
from lrs.environment import from_environment
from lrs.errors import LRSError
from lrs.ingest import Ingest
from lrs.settings import Settings
from lrs.store import callbacks, inheritance, migrations
from lrs.store.changes import Changes
from lrs.store.commit import GroupCommit
from lrs.store.database import Database, connected
from lrs.store.exports import exporting
from lrs.store.horizon import Horizon
from lrs.store.pages import Pages
from lrs.store.registry import Registry
from lrs.store.statements import Lookups
from lrs.store.tools import Tools

_log = logging.getLogger("lrs")

_SWEEP_SECONDS = 60.0

# A partner's transactions at a time: while one is written to disk, the next one is made ready. Of
# several workers, another one does that: more of them would only be smaller, and wait for each
# other's rows.
_ABREAST = 2

ROUTES = [
    *partners.ROUTES,
    *records.ROUTES,
    *reports.ROUTES,
    *people.ROUTES,
    *contents.ROUTES,
    *xapi.ROUTES,
    *canvas.ROUTES,
    *oauth.ROUTES,
    *operations.ROUTES,
    *documentation.ROUTES,
]


def create_app(settings: Settings) -> Application:
    """The application; its services live as long as its lifespan."""
    return Application(
        ROUTES,
        lambda: running(settings),
        origins=_origins(settings),
        timed=settings.server_timing,
    )


def _origins(settings: Settings) -> CrossOrigin | None:
    if not settings.cors_origins:
        return None
    return CrossOrigin(
        [origin.strip() for origin in settings.cors_origins.split(",")],
        allow_headers=xapi.ALLOWED_HEADERS,
        expose_headers=xapi.EXPOSED_HEADERS,
    )


def worker() -> ASGIApp:
    """What a worker process of `lrs serve` runs: everything comes from the environment.

    One of several workers ends with the process that started it.
    """
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    settings = from_environment()
    logging.config.dictConfig(logs.configuration(settings.log_level))
    app = Admission(
        Forwarded(create_app(settings), settings.forwarded_allow_ips),
        most_requests=settings.requests_at_once,
        most_bytes=max(settings.bodies_bytes, settings.body_bytes),
    )
    collector.spare()
    return app


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """One worker's services. Raises Unavailable if the database is away or has another schema."""
    async with (
        connected(
            settings.database_url,
            writers=settings.database_writers,
            readers=settings.database_readers,
            timeout=settings.database_timeout_seconds,
        ) as database,
        exporting(
            settings.database_url,
            database,
            horizon := Horizon(database),
            connections=settings.database_exports,
            seconds=settings.export_seconds,
        ) as exports,
    ):
        await migrations.verify(database.readers)
        registry = Registry(database.readers)
        tokens = await administration.load_keys(settings, registry)
        vault = Vault(settings.secret_key)
        commits = GroupCommit(
            database,
            queue_limit=settings.queue_statements,
            transactions_per_partner=_ABREAST if settings.workers == 1 else 1,
        )
        sweeping = asyncio.create_task(_sweep(database))
        try:
            yield Services(
                settings,
                database,
                tokens,
                Authenticator(registry, tokens, cache_seconds=settings.credential_cache_seconds),
                RateLimit(settings.rate_limit),
                horizon,
                Lookups(database),
                Pages(database),
                Ingest(database, commits),
                vault,
                _callbacks(settings, database, vault),
                exports,
                Changes(database.readers),
            )
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            await commits.drain()


def _callbacks(settings: Settings, database: Database, vault: Vault) -> Callbacks:
    return Callbacks(
        Tools(database.readers, database.writers),
        vault,
        lifetime=settings.callback_seconds,
        require_body_hash=settings.callback_body_hash,
        cache_seconds=settings.credential_cache_seconds,
    )


async def _sweep(database: Database) -> None:
    """Now and then: references that a crash left unsettled, which are few, and old nonces."""
    while True:
        for sweep in (_settle, callbacks.sweep):
            try:
                await sweep(database)
            except LRSError as error:
                _log.warning("cannot sweep: %s", error.detail, exc_info=error.__cause__)
        await asyncio.sleep(_SWEEP_SECONDS)


async def _settle(database: Database) -> None:
    if settled := await inheritance.sweep(database):
        _log.warning("settled references left by a crash", extra={"count": settled})
