"""One database and one application per test process; a new partner for each test."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import asyncpg
import httpx
import pytest
import uvicorn
from click.testing import CliRunner, Result
from hypothesis import settings as hypothesis_settings

from lrs.api.application import Application
from lrs.api.services import Services
from lrs.app import create_app
from lrs.cli import main
from lrs.environment import convert
from lrs.server.http_protocol import LimitedHttpProtocol
from lrs.server.load_shedding import LoadShedder
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.postgres import WRITER
from lrs.store.statements import reference_backlog
from tests.support import examples  # noqa: F401  registers the profiles
from tests.support.app import SECRET_KEY
from tests.support.database import embedded_database, external_database
from tests.support.partners import Partner, new_partner

hypothesis_settings.load_profile("standard")


def pytest_xdist_auto_num_workers() -> int:
    """Three test processes for two cores, since tests wait for servers and for time to pass."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A database of this process, with the schema in it.

    LRS_TEST_DATABASE_URL names an empty one on another PostgreSQL. With xdist, each worker has a
    database of its own.
    """
    external = os.environ.get("LRS_TEST_DATABASE_URL")
    with external_database(external) if external else embedded_database() as url:
        asyncio.run(migrations.migrate(url))
        yield url


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    return convert(
        {
            "database_url": database_url,
            "secret_key": SECRET_KEY,
            "credential_cache_ttl_seconds": 0.05,
            "log_level": "warning",
            "max_authentication_failures": 0,  # all tests share one client address
        }
    )


@pytest.fixture(scope="session", autouse=True)
def idle_backlog() -> Iterator[None]:
    """Keeps servers from the backlog of references, which tests work off themselves."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reference_backlog, "_IDLE_INTERVAL", 3600.0)
        yield


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[Application]:
    """The application with its services running."""
    application = create_app(settings, metrics_cache_seconds=0)
    async with application.lifespan():
        yield application


@pytest.fixture(scope="session")
async def services(app: Application) -> Services:
    assert app.services
    return app.services


@pytest.fixture(scope="session")
async def http(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as client:
        yield client


@pytest.fixture
async def partner(services: Services, http: httpx.AsyncClient) -> Partner:
    """A new partner with one credential that may do everything."""
    return await new_partner(services, http)


@pytest.fixture
async def stranger(services: Services, http: httpx.AsyncClient) -> Partner:
    """Another partner."""
    return await new_partner(services, http)


@pytest.fixture(scope="session")
def server(settings: Settings) -> Iterator[str]:
    """The base URL of the application behind uvicorn, for clients that need a socket."""
    application = create_app(replace(settings, public_url="http://127.0.0.1:1"))
    config = uvicorn.Config(
        LoadShedder(application),
        port=0,
        http=LimitedHttpProtocol,
        proxy_headers=False,
        log_config=None,
        access_log=False,
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        thread.join(0.02)
        assert thread.is_alive()
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def run(settings: Settings) -> Callable[..., Result]:
    """Runs a command of `lrs` on the same database."""
    environment = {
        name: "" for name in os.environ if name.startswith("LRS_") and "TEST" not in name
    } | {"LRS_DATABASE_URL": settings.database_url, "LRS_SECRET_KEY": SECRET_KEY}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main.main, arguments, env=environment)

    return invoke


@pytest.fixture
async def slow_writer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A writer of another server, whose transactions last as long as a test likes."""
    connection = await asyncpg.connect(
        database_url, server_settings={"application_name": WRITER, "timezone": "UTC"}
    )
    yield connection
    await connection.close()


@pytest.fixture
async def connection(services: Services) -> AsyncIterator[asyncpg.Connection]:
    async with services.database.readers.acquire() as acquired:
        yield acquired


@pytest.fixture(scope="session")
async def second_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another server on the same database."""
    app = create_app(settings)
    async with (
        app.lifespan(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://second.test"
        ) as client,
    ):
        yield client
