"""`lrs serve`: the embedded database, the demo partner, the workers and the projector."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.config
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import click
import psutil  # type: ignore[import-untyped]
import uvicorn

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

from lrs.auth.operators import LINK_SECONDS
from lrs.backup import before_migration
from lrs.bootstrap.access_tokens import load_keys
from lrs.bootstrap.database import database_url, open_verified_database
from lrs.bootstrap.demo import DEMO_PARTNER, Demo, add_demo
from lrs.bootstrap.secret_key import with_secret_key
from lrs.bootstrap.vocabulary import load_configured_vocabulary
from lrs.observability import logs
from lrs.server import pipes_process, projector_process, report_watchdog, sockets
from lrs.server.http_protocol import LimitedHttpProtocol
from lrs.server.shutdown import Shutdown, request_seconds
from lrs.server.startup_responder import StartupResponder
from lrs.server.uvicorn_check import check_uvicorn
from lrs.server.worker_processes import run_workers
from lrs.settings import PREFIX, Settings, SettingsError
from lrs.settings.server import is_loopback
from lrs.store import migrations, server_properties

_log = logging.getLogger("lrs.server")

SAMPLE_STATEMENT = {
    "actor": {
        "mbox": "mailto:john.doe@company.com",
        "name": "John Doe",
        "objectType": "Agent",
    },
    "verb": {
        "id": "http://adlnet.gov/expapi/verbs/completed",
        "display": {"en-US": "completed"},
    },
    "object": {
        "id": "https://yourprovider.com/courses/course-101",
        "definition": {
            "name": {"en-US": "Cloud Foundations"},
            "description": {"en-US": "Learn the basics of cloud computing."},
        },
        "objectType": "Activity",
    },
    "result": {"completion": True, "success": True, "duration": "PT30M"},
    "context": {
        "platform": "YourLMS",
        "instructor": {"name": "Jane Smith", "mbox": "mailto:jane.smith@yourlms.com"},
    },
}

_METRICS_PREFIX = "lrs-metrics-"


def run(settings: Settings) -> None:
    """Serve until a stop signal, then exit. Raises OperatorError and LRSError."""
    _raise_open_files_limit()
    shutdown = Shutdown(settings.shutdown_timeout_seconds)
    shutdown.exit_on_signals()
    logging.config.dictConfig(logs.configuration(settings.log_level))
    asyncio.run(check_uvicorn())
    load_configured_vocabulary(settings)
    settings = _with_port(settings)
    _warn_about_public_address(settings)
    embedded = not settings.database_url
    listener = sockets.listen(settings.host, settings.port, settings.workers)
    with (
        closing(listener),
        closing(StartupResponder(listener)) as responder,
        database_url(
            settings,
            exclusive=True,
            on_failure=shutdown.fail,
            stop_timeouts=shutdown.postgres_timeouts,
        ) as dsn,
    ):
        settings = with_secret_key(settings)
        settings = replace(settings, database_url=dsn)
        demo = asyncio.run(_prepare_database(settings, responder, embedded=embedded))
        responder.close()
        _print_welcome(settings, demo)  # a client that follows the link waits for the first worker
        with (
            _worker_environment(settings),
            projector_process.running(settings),
            pipes_process.running(settings),
            report_watchdog.running(settings, embedded=embedded),
        ):
            listening = _further_sockets(settings, listener)
            run_workers(_uvicorn_config(settings), [listener, *listening], shutdown)
    shutdown.finish()
    sys.exit(shutdown.status)


def _raise_open_files_limit() -> None:
    """Raise the soft limit, usually 1,024, to the hard limit: each connection is an open file."""
    if resource is not None:
        _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError):  # the hard limit may exceed the kernel's maximum
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def _with_port(settings: Settings) -> Settings:
    """The settings with a free port instead of 0. Raises SettingsError if a port is in use."""
    if settings.metrics_listener:
        _find_port(*settings.metrics_listener, "LRS_METRICS_ADDRESS")
    port = _find_port(settings.host, settings.port, "--port")
    return replace(settings, port=port)


def _find_port(host: str, port: int, setting: str) -> int:
    try:
        return sockets.find_port(host, port)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host} port {port}: "
            f"{(error.strerror or str(error)).lower()}; choose another with {setting}."
        ) from None


def _warn_about_public_address(settings: Settings) -> None:
    if is_loopback(settings.host) or settings.public_url.startswith("https://"):
        return
    _log.warning(
        "listening on %s without TLS: set LRS_PUBLIC_URL to the https URL of the reverse proxy in "
        "front, or LRS_HOST to 127.0.0.1; see docs/deployment.md",
        settings.host,
    )


def _further_sockets(settings: Settings, listener: socket.socket) -> list[socket.socket]:
    """The other sockets of the server, and that of the listener for metrics if there is one."""
    further = sockets.further_sockets(listener, settings.workers)
    if settings.metrics_listener:
        further.append(sockets.bind(*settings.metrics_listener, settings.workers))
    return further


async def _prepare_database(
    settings: Settings, responder: StartupResponder, *, embedded: bool
) -> Demo | None:
    """Migrate the embedded database; only verify the schema of an external one.

    Returns the credential of the demo partner and the link of the demo owner if they are created.
    """
    if embedded:
        await _migrate(settings, responder)
    async with open_verified_database(settings.database_url) as database:
        await load_keys(settings, database)
        await server_properties.record_base_url(database, settings.base_url)
        if embedded and settings.demo_partner:
            return await add_demo(database, settings.base_url)
    return None


async def _migrate(settings: Settings, responder: StartupResponder) -> None:
    """Back up and migrate the embedded database; the responder says how far that is."""

    def report(line: str) -> None:
        responder.step = line
        _log.info(line)

    dsn = settings.database_url
    versions = await before_migration.pending_versions(dsn)
    if versions and settings.backup_before_migration:
        target = before_migration.directory(Path(settings.data_directory), versions[0])
        await before_migration.create_backup(dsn, target, report)
        _log.info("backed up schema %d to %s", versions[0], target)
    await migrations.migrate(dsn, report=report)
    if versions:
        _log.info("migrated schema %d → %d", *versions)


@contextmanager
def _worker_environment(settings: Settings) -> Iterator[None]:
    """Environment variables for the worker processes: settings, and the directory of metrics."""
    for name, value in asdict(settings).items():
        os.environ.pop(f"{PREFIX}{name.upper()}_FILE", None)
        os.environ[f"{PREFIX}{name.upper()}"] = str(value)
    if settings.workers == 1:
        yield
        return
    _remove_stale_metrics()
    prefix = f"{_METRICS_PREFIX}{os.getpid()}-{platform.node()}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        yield


def _remove_stale_metrics() -> None:
    """Remove the metrics of servers that were killed.

    Only those of this host: containers may share the directory, but not the process ids.
    """
    for directory in Path(tempfile.gettempdir()).glob(f"{_METRICS_PREFIX}*"):
        pid, _, rest = directory.name.removeprefix(_METRICS_PREFIX).partition("-")
        if not pid.isdecimal() or rest.rpartition("-")[0] != platform.node():
            continue
        if int(pid) == os.getpid() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(directory, ignore_errors=True)


def _uvicorn_config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "lrs.server.worker:create_worker",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=logs.configuration(settings.log_level),
        access_log=False,
        server_header=False,
        proxy_headers=False,  # see lrs.server.proxy_headers
        timeout_graceful_shutdown=request_seconds(settings.shutdown_timeout_seconds),  # type: ignore[arg-type]
        timeout_keep_alive=settings.keep_alive_timeout_seconds,
        http=LimitedHttpProtocol,
    )


def _print_welcome(settings: Settings, demo: Demo | None) -> None:
    """Print the URL, and what a new demo partner and owner log in with: it is stored hashed."""
    url = settings.base_url
    click.echo(f"Learning Record Store at {url} (console: {url}/console, API: {url}/docs)")
    if demo is None:
        click.echo("To create a credential: lrs credential add PARTNER")
        click.echo("To log in to the console: lrs operator add EMAIL --role owner")
        return
    issued = demo.credential
    click.echo(_WELCOME.format(url=url, key=issued.key, secret=issued.secret, partner=DEMO_PARTNER))
    click.echo(f"  -d '{json.dumps(SAMPLE_STATEMENT, separators=(',', ':'))}'\n")
    if demo.link:
        minutes = LINK_SECONDS // 60
        click.echo(_CONSOLE.format(link=demo.link.url(url), minutes=minutes, email=demo.link.email))


_CONSOLE = """Log in to the console as {email}; the link works once, for {minutes} minutes:

  {link}
"""

_WELCOME = """
A demo partner was created. Its credential is shown only once:

  base URL  {url}
  partner   {partner}
  key       {key}
  secret    {secret}

Get an access token:

  TOKEN=$(curl -s {url}/oauth2/token -u {key}:{secret} \\
  -d grant_type=client_credentials | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

Store a statement:

  curl -s {url}/v1/partners/{partner}/statements \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\"""
