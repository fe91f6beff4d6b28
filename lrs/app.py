"""The ASGI application, and the services of one worker that it uses."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from starlette.middleware import Middleware

from lrs.admin.masking import Masking
from lrs.admin.pipe_check import PipeChecks
from lrs.api.application import Application
from lrs.api.cors import CORS
from lrs.api.downloads import Downloads
from lrs.api.metrics import MetricsListener, open_exposition
from lrs.api.readiness import Readiness
from lrs.api.request_log import RequestLog
from lrs.api.routes import ROUTES
from lrs.api.services import Services
from lrs.api.xapi import middleware as xapi
from lrs.auth.authenticate import Authenticator
from lrs.auth.callback_tokens import CallbackTokens
from lrs.auth.oidc import open_oidc_client
from lrs.auth.operators import Operators
from lrs.auth.secret_box import SecretBox
from lrs.bootstrap.access_tokens import load_keys
from lrs.bootstrap.secret_key import open_secret_box
from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.console.routes import CONSOLE_ROUTES
from lrs.errors import LRSError
from lrs.ingest.canvas_report import CanvasReports
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.pipeline import IngestPipeline
from lrs.ledger.alarms import ALARM_SECONDS, Alarms
from lrs.ledger.worker import Ledger, open_ledger
from lrs.limits.services import LimitServices, open_limits
from lrs.observability.exposition import CACHE_SECONDS
from lrs.pacing import Pacing
from lrs.periodic import repeat
from lrs.pipes.client.address_rules import AddressRules
from lrs.pipes.pull.items import ItemStore
from lrs.projection.partner_lock import open_partner_lock
from lrs.reports.exports import Exports, open_exports
from lrs.settings import Settings
from lrs.store import callback_tokens, idempotency, migrations, nonces
from lrs.store import operators as stored_operators
from lrs.store.nonces import NonceRecovery
from lrs.store.postgres import Database, open_database, open_operator_database
from lrs.store.statements import watermark
from lrs.store.statements.lookup import StatementLoader
from lrs.store.statements.page_loader import PageLoader
from lrs.store.statements.page_query import PAGE_LIMITS, PageLimits
from lrs.store.statements.reference_backlog import ReferenceBacklog
from lrs.store.statements.watermark import WatermarkReader
from lrs.threads import FairThread

_log = logging.getLogger("lrs")

_CLEANUP_INTERVAL_SECONDS = 60.0

# A query that has not waited for anything ends by its own timeout, before the time limit.
_TIME_LIMIT_MARGIN_SECONDS = 1.0

# At the end, all requests have their responses: only transactions of lost clients are left.
_DRAIN_TIMEOUT_SECONDS = 0.5

# Concurrent transactions of one partner with a single worker: PostgreSQL prepares one while it
# writes the other to disk. With several workers, each has one: more would hold fewer statements
# each and wait for each other's row locks.
_TRANSACTIONS_PER_PARTNER = 2


def create_app(
    settings: Settings,
    page_limits: PageLimits = PAGE_LIMITS,
    metrics_cache_seconds: float = CACHE_SECONDS,
) -> Application:
    """The application; its services exist while its lifespan lasts."""
    return Application(
        [*ROUTES, *CONSOLE_ROUTES],
        lambda: open_services(settings, page_limits, metrics_cache_seconds),
        middleware=[
            Middleware(RequestLog, server_timing=settings.server_timing),
            *_metrics_listener(settings),
            *_cors(settings),
            Middleware(xapi.XAPIMiddleware),
        ],
        time_limit_seconds=settings.database_timeout_seconds + _TIME_LIMIT_MARGIN_SECONDS,
    )


def _metrics_listener(settings: Settings) -> list[Middleware]:
    if settings.metrics_listener is None:
        return []
    return [Middleware(MetricsListener, port=settings.metrics_listener[1])]


def _cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    cors = Middleware(
        CORS,
        allow_origins=[origin.strip() for origin in settings.cors_origins.split(",")],
        allow_headers=xapi.ALLOWED_HEADERS,
        expose_headers=xapi.EXPOSED_HEADERS,
    )
    return [cors]


@asynccontextmanager
async def open_services(
    settings: Settings,
    page_limits: PageLimits = PAGE_LIMITS,
    metrics_cache_seconds: float = CACHE_SECONDS,
) -> AsyncIterator[Services]:
    """The services of one worker.

    Raises Unavailable if the database is not reachable or has another schema version.
    """
    async with (
        open_database(
            settings.database_url,
            writers=settings.max_database_write_connections,
            readers=settings.max_database_read_connections,
            timeout=settings.database_timeout_seconds,
        ) as database,
        open_exports(
            settings.database_url,
            database,
            watermark_reader := WatermarkReader(database),
            max_connections=settings.max_concurrent_exports,
            timeout_seconds=settings.export_timeout_seconds,
        ) as exports,
        open_limits(settings, database) as limits,
        open_ledger(settings, database, watermark_reader) as ledger,
        open_partner_lock(
            settings.database_url, timeout=settings.database_timeout_seconds
        ) as partner_lock,
        open_exposition(database, exports, cache_seconds=metrics_cache_seconds) as exposition,
        open_operator_database(settings.database_url) as admin_database,
    ):
        await migrations.verify(database.readers)
        tokens = await load_keys(settings, database)
        secret_box = open_secret_box(settings)
        vocabulary = load_configured_vocabulary(settings)
        nonce_recovery = NonceRecovery(database)
        pacing = Pacing()
        group_commit = GroupCommit(
            database,
            pacing=pacing,
            nonce_recovery=nonce_recovery,
            queue_limit=settings.max_queued_statements,
            transactions_per_partner=_TRANSACTIONS_PER_PARTNER if settings.workers == 1 else 1,
        )
        thread = FairThread(pacing)
        pipeline = IngestPipeline(
            database, group_commit, limits.quotas, thread, ledger, pacing=pacing
        )
        statement_loader = StatementLoader(database)
        readiness = Readiness(database, has_capacity=group_commit.has_capacity)
        tasks = [
            asyncio.create_task(
                _clean_up_periodically(database, settings.callback_url_ttl_seconds)
            ),
            asyncio.create_task(ReferenceBacklog(database).run()),
            asyncio.create_task(
                repeat("judge alarms", _alarms(settings, database).run_once, ALARM_SECONDS, _log)
            ),
            asyncio.create_task(tokens.signing_keys.reload_periodically()),
        ]
        try:
            yield Services(
                settings=settings,
                database=database,
                tokens=tokens,
                authenticator=Authenticator(
                    database,
                    tokens,
                    limits,
                    cache_seconds=settings.credential_cache_ttl_seconds,
                ),
                limits=limits,
                ledger=ledger,
                watermark_reader=watermark_reader,
                statement_loader=statement_loader,
                page_loader=PageLoader(database, page_limits, pacing),
                pipeline=pipeline,
                secret_box=secret_box,
                callback_tokens=_callback_tokens(settings, database, secret_box, limits),
                canvas_reports=CanvasReports(
                    pipeline,
                    statement_loader,
                    nonce_recovery,
                    page_views=settings.page_views_enabled,
                    max_page_view_seconds=settings.max_page_view_seconds,
                ),
                exports=exports,
                downloads=_downloads(settings, exports),
                partner_lock=partner_lock,
                exposition=exposition,
                readiness=readiness,
                thread=thread,
                pacing=pacing,
                admin_database=admin_database,
                operators=Operators(admin_database, limits.failures),
                vocabulary=vocabulary,
                masking=Masking(secret_box.derive_keys("masked identities")[0]),
                pipe_checks=_pipe_checks(settings, database, pipeline, ledger, limits),
                oidc=open_oidc_client(settings),
            )
        finally:
            await readiness.close()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            nonce_recovery.close()
            with suppress(TimeoutError):  # a database that hangs
                async with asyncio.timeout(_DRAIN_TIMEOUT_SECONDS):
                    await group_commit.drain()


def _alarms(settings: Settings, database: Database) -> Alarms:
    return Alarms(database, webhook_url=settings.alarm_webhook_url, server_url=settings.base_url)


def _pipe_checks(
    settings: Settings,
    database: Database,
    pipeline: IngestPipeline,
    ledger: Ledger,
    limits: LimitServices,
) -> PipeChecks:
    max_bytes = settings.max_xapi_statement_bytes
    return PipeChecks(
        AddressRules(settings.pipe_networks),
        ItemStore(database, pipeline, ledger, limits.default, max_bytes),
    )


def _downloads(settings: Settings, exports: Exports) -> Downloads:
    """Spooled in the data directory, if there is one: temporary files may be in memory."""
    directory = Path(settings.data_directory).expanduser()
    is_writable = os.access(directory, os.W_OK | os.X_OK)
    return Downloads(
        exports,
        timeout_seconds=settings.export_timeout_seconds,
        max_spool_bytes=settings.max_export_spool_bytes,
        spool_directory=str(directory) if is_writable else None,
    )


def _callback_tokens(
    settings: Settings, database: Database, secret_box: SecretBox, limits: LimitServices
) -> CallbackTokens:
    return CallbackTokens(
        database,
        secret_box,
        limits,
        ttl_seconds=settings.callback_url_ttl_seconds,
        require_body_hash=settings.require_callback_body_hash,
        cache_seconds=settings.credential_cache_ttl_seconds,
    )


async def _clean_up_periodically(database: Database, callback_url_ttl_seconds: int) -> None:
    while True:
        for clean_up in (
            nonces.delete_expired,
            watermark.delete_old_floors,
            stored_operators.delete_expired_sessions,
            partial(callback_tokens.delete_unused, ttl_seconds=callback_url_ttl_seconds),
            idempotency.delete_old,
        ):
            try:
                await clean_up(database)
            except LRSError as error:
                _log.warning("cleanup failed: %s", error.detail_with_cause)
        await asyncio.sleep(_CLEANUP_INTERVAL_SECONDS)
