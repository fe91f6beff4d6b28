"""`lrs serve`: the database under it, the first partner, the workers, and a clean end."""

from __future__ import annotations

import asyncio
import json
import logging.config
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import click
import msgspec
import psutil  # type: ignore[import-untyped]
import uvicorn
from uvicorn.supervisors import Multiprocess

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

from lrs import bootstrap
from lrs.auth.credentials import IssuedCredential
from lrs.bootstrap import DEMO
from lrs.observability import logs
from lrs.server import projector_process, sockets
from lrs.server.http_protocol import BoundedProtocol
from lrs.settings import PREFIX, Settings, SettingsError
from lrs.store import migrations

SAMPLE = {
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


_METRICS = "lrs-metrics-"

_NOT_STARTED = 3  # as uvicorn itself ends then

_STOPPING = (signal.SIGINT, signal.SIGTERM)


def run(settings: Settings) -> None:
    """Serves until told to stop. Raises OperatorError and LRSError."""
    _allow_connections()
    for number in _STOPPING:
        signal.signal(number, _stop)
    logging.config.dictConfig(logs.configuration(settings.log_level))
    bootstrap.vocabulary(settings)
    settings = _with_free_port(settings)
    embedded = not settings.database_url
    with bootstrap.database_url(settings, exclusive=True) as dsn:
        settings = bootstrap.with_secret_key(settings)
        settings = msgspec.structs.replace(settings, database_url=dsn)
        demo = asyncio.run(_prepare(settings, embedded=embedded))
        _greet(settings, demo)
        with _environment(settings), projector_process.beside(settings):
            _serve(settings)


def _allow_connections() -> None:
    """Asks for more open files than the usual 1,024, if we may: each connection is one."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError):  # more than the kernel has
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _stop(signum: int, frame: object) -> None:
    """Ends the process in order, so that what it holds is let go of; once is enough."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def _with_free_port(settings: Settings) -> Settings:
    """The settings, with a free port in the place of 0. Raises SettingsError if it is taken."""
    try:
        port = sockets.free_port(settings.host, settings.port)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {settings.host} port {settings.port}: "
            f"{(error.strerror or str(error)).lower()}; choose another with --port."
        ) from None
    return msgspec.structs.replace(settings, port=port)


async def _prepare(settings: Settings, *, embedded: bool) -> IssuedCredential | None:
    """Brings the schema of our own database up to date, and only looks at that of a given one."""
    if embedded:
        await migrations.migrate(settings.database_url)
    async with bootstrap.open_database(settings.database_url) as database:
        await bootstrap.load_keys(settings, database)
        if embedded and settings.demo_partner:
            return await bootstrap.add_demo(database, settings.base_url)
    return None


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Hands the settings to the worker processes, and their metrics a place to meet in."""
    for name, value in msgspec.structs.asdict(settings).items():
        os.environ.pop(f"{PREFIX}{name.upper()}_FILE", None)
        os.environ[f"{PREFIX}{name.upper()}"] = str(value)
    if settings.workers == 1:
        yield
        return
    _forget_killed()
    prefix = f"{_METRICS}{os.getpid()}-{platform.node()}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        yield


def _forget_killed() -> None:
    """Removes the metrics of servers that could not do it themselves.

    Those of this host alone: containers may share the folder, but not the numbers of processes.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_METRICS}*"):
        pid, _, rest = left.name.removeprefix(_METRICS).partition("-")
        if not pid.isdecimal() or rest.rpartition("-")[0] != platform.node():
            continue
        if int(pid) == os.getpid() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _serve(settings: Settings) -> None:
    config = _configuration(settings)
    listening = sockets.listening_sockets(settings.host, settings.port, settings.workers)
    if settings.workers > 1:
        Multiprocess(config, listening).run()
    else:
        server = uvicorn.Server(config)
        server.run(listening)
        if not server.started:
            sys.exit(_NOT_STARTED)


def _configuration(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "lrs.server.worker:create_worker",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=logs.configuration(settings.log_level),
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application reads them
        timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
        http=partial(  # type: ignore[arg-type]  # uvicorn calls it, and asks no more
            BoundedProtocol,
            request_seconds=settings.request_timeout_seconds,
            most_connections=settings.max_connections,
        ),
    )


def _greet(settings: Settings, demo: IssuedCredential | None) -> None:
    """What a newcomer needs; after the first start the secret is not known any more."""
    url = settings.base_url
    click.echo(f"Learning Record Store at {url} (interface: {url}/docs)")
    if demo is None:
        click.echo("For a credential: lrs credential add PARTNER")
        return
    click.echo(_WELCOME.format(url=url, key=demo.key, secret=demo.secret, partner=DEMO))
    click.echo(f"  -d '{json.dumps(SAMPLE, separators=(',', ':'))}'\n")


_WELCOME = """
A partner to try things with was created. This is shown only once:

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
