"""Rotation and retirement of the keys that sign access tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from lrs.api.services import Services
from lrs.app import create_app
from lrs.auth import signing_keys
from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.auth.signing_keys import SigningKeys
from lrs.errors import Conflict, NotFound
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store import signing_keys as stored_keys
from lrs.store.postgres import Database, open_database
from tests.support.app import SECRET_KEY
from tests.support.oauth import GRANT, TOKEN, bearer, segments
from tests.support.partners import Partner, new_partner
from tests.support.statements import new_id

BOX = SecretBox(SECRET_KEY)
FIRST_KEY = signing_keys.new_key(BOX)

Server = tuple[httpx.AsyncClient, Services]


@pytest.fixture(scope="module")
async def other_url(database_url: str) -> AsyncIterator[str]:
    """A database of this module, because a retired key ends all tokens."""
    name = f"keys_{new_id()[:8]}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"create database {name}")
    url = urlsplit(database_url)._replace(path=f"/{name}").geturl()
    await migrations.migrate(url)
    yield url
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
async def database(other_url: str) -> AsyncIterator[Database]:
    """The database with one signing key."""
    async with open_database(other_url) as opened:
        await opened.writers.execute("delete from signing_key")
        await stored_keys.add_first_key(opened, FIRST_KEY)
        yield opened


async def loaded(database: Database, activation_seconds: float) -> list[str | None]:
    keys = SigningKeys(database, BOX, activation_seconds=activation_seconds)
    await keys.load()
    return [key.kid for key in keys.key_set.keys]


async def test_new_key_signs_after_its_activation(database: Database) -> None:
    (first,) = await loaded(database, 0)
    second = await signing_keys.rotate(database, BOX)
    assert await loaded(database, 3600) == [first, second]  # the first one signs
    assert await loaded(database, 0) == [second, first]
    third = await signing_keys.rotate(database, BOX)
    assert await loaded(database, 3600) == [first, second, third]
    assert await loaded(database, 0) == [third, second, first]


async def test_only_key_signs_before_its_activation(database: Database) -> None:
    (first,) = await loaded(database, 3600)
    second = await signing_keys.rotate(database, BOX)
    await signing_keys.retire(database, str(first))
    assert await loaded(database, 3600) == [second]


async def test_only_key_cannot_be_retired(database: Database) -> None:
    (first,) = await loaded(database, 0)
    with pytest.raises(Conflict, match="lrs keys rotate"):
        await signing_keys.retire(database, str(first))
    second = await signing_keys.rotate(database, BOX)
    results = await asyncio.gather(
        *(signing_keys.retire(database, str(kid)) for kid in (first, second)),
        return_exceptions=True,
    )
    assert [type(result) for result in results if result] == [Conflict]
    for kid in ("unknown", "", "no\0key"):
        with pytest.raises(NotFound):
            await signing_keys.retire(database, kid)


async def test_rotation_with_another_secret_key_is_refused(database: Database) -> None:
    before = await loaded(database, 0)
    with pytest.raises(WrongSecretKey):
        await signing_keys.rotate(database, SecretBox("another secret key of 32 characters"))
    assert await loaded(database, 0) == before


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Server]:
    """A server that reloads its signing keys every 0.05 seconds."""
    app = create_app(settings)
    async with app.lifespan():
        assert app.services
        services = app.services
        services.authenticator._proof_seconds = 0.05
        services.tokens.signing_keys._activation_seconds = 0.2
        task = asyncio.create_task(services.tokens.signing_keys.reload_periodically(0.05))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as http:
            yield http, services
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def published(http: httpx.AsyncClient) -> list[str]:
    keys = (await http.get("/.well-known/jwks.json")).json()["keys"]
    return sorted(key["kid"] for key in keys)


@pytest.mark.slow
async def test_running_servers_take_up_rotation_and_retirement(
    settings: Settings, database: Database, other_url: str
) -> None:
    configured = replace(settings, database_url=other_url, credential_cache_ttl_seconds=1000)
    async with serving(configured) as (http, services), serving(configured) as (second_http, _):
        partner = await new_partner(services, http)
        old = segments(partner.token)[0]["kid"]
        new = await signing_keys.rotate(database, BOX)
        tokens = [partner.token]
        for client in (http, second_http):
            tokens.append(await new_token(client, partner, new))
            assert await published(client) == sorted([old, new])

        async def statuses(client: httpx.AsyncClient) -> list[int]:
            return [
                (await client.get(partner.url("statements"), headers=bearer(token))).status_code
                for token in tokens
            ]

        assert [await statuses(client) for client in (http, second_http)] == [[200] * 3] * 2
        await signing_keys.retire(database, old)
        for client in (http, second_http):
            for _ in range(100):
                if await published(client) == [new]:
                    break
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)  # the proof of the cached token ends
            assert await statuses(client) == [401, 200, 200]


async def new_token(http: httpx.AsyncClient, partner: Partner, kid: str) -> str:
    """A token that is signed with this key, as soon as the server signs with it."""
    async with asyncio.timeout(10):
        while True:
            answer = await http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
            token = str(answer.json()["access_token"])
            if segments(token)[0]["kid"] == kid:
                return token
            await asyncio.sleep(0.05)


async def test_unknown_key_is_loaded(database: Database) -> None:
    keys = SigningKeys(database, BOX, activation_seconds=0)
    await keys.load()
    kid = await signing_keys.rotate(database, BOX)
    keys._loaded_at -= 2
    await keys.reload_if_unknown(kid)
    assert keys.newest.kid == kid


async def test_flood_of_unknown_keys_loads_the_keys_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = SigningKeys(database, BOX)
    await keys.load()
    loads = 0
    load = keys.load

    async def counted() -> None:
        nonlocal loads
        loads += 1
        await load()

    monkeypatch.setattr(keys, "load", counted)
    for expected in (0, 1, 1):
        await asyncio.gather(*(keys.reload_if_unknown(number) for number in range(50)))
        assert loads == expected
        if not loads:
            keys._loaded_at -= 2


async def test_failed_reload_keeps_the_keys(
    settings: Settings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    keys = SigningKeys(database, BOX)
    await keys.load()
    before = keys.key_set
    keys._secret_box = SecretBox("another secret key of 32 characters")
    await signing_keys.rotate(database, BOX)
    task = asyncio.create_task(keys.reload_periodically(0.01))
    await asyncio.sleep(0.15)
    task.cancel()
    assert keys.key_set is before
    assert [record.message for record in caplog.records] == ["signing keys are not reloaded"]


def test_key_id_is_a_valid_command_argument() -> None:
    assert signing_keys.new_key(BOX).kid.isalnum()
