"""Revocation, expiry and rotation of credentials."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt

from lrs.api.services import Services
from lrs.auth import credentials
from lrs.store import registry, signing_keys
from tests.support.oauth import (
    GRANT,
    TOKEN,
    bearer,
    issue,
    refused,
    segments,
    wait_for_cache_expiry,
)
from tests.support.partners import Partner
from tests.support.statements import XAPI, statement


async def requests_by_authentication(
    services: Services, partner: Partner
) -> list[Callable[[], Any]]:
    """One request for each authentication method of a credential."""
    token = partner.token

    async def by_token() -> httpx.Response:
        return await partner.get(headers=bearer(token))

    async def by_basic() -> httpx.Response:
        return await partner.http.get(
            "/xapi/statements", headers=XAPI, auth=(partner.key, partner.secret)
        )

    async def by_token_on_xapi() -> httpx.Response:
        return await partner.http.get("/xapi/statements", headers={**XAPI, **bearer(token)})

    return [by_token, by_basic, by_token_on_xapi]


async def test_revoked_credential_returns_401_for_tokens_and_basic(
    partner: Partner, services: Services
) -> None:
    methods = await requests_by_authentication(services, partner)
    assert [(await use()).status_code for use in methods] == [200] * 3
    await registry.revoke_credential(services.database, partner.key)
    await wait_for_cache_expiry(services)
    invalid = 'Bearer error="invalid_token"'
    for use, challenge in zip(
        methods, [invalid, 'Basic realm="lrs", Bearer', invalid], strict=True
    ):
        response = await use()
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == challenge
    response = await partner.http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
    refused(response, 401, "invalid_client")


@pytest.mark.slow
async def test_expired_credential_returns_401(partner: Partner, services: Services) -> None:
    issued = await issue(services, partner, expires_at=datetime.now(UTC) + timedelta(seconds=0.4))
    guest = Partner(partner.http, partner.name, 0, "", issued.key, issued.secret)
    await guest.authenticate()
    methods = await requests_by_authentication(services, guest)
    assert [(await use()).status_code for use in methods] == [200] * 3
    await asyncio.sleep(0.5)
    assert [(await use()).status_code for use in methods] == [401] * 3


async def test_token_expires_with_its_credential(partner: Partner, services: Services) -> None:
    issued = await issue(services, partner, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    response = await partner.http.post(TOKEN, data=GRANT, auth=(issued.key, issued.secret))
    refused(response, 401, "invalid_client")


async def test_clock_set_back_does_not_delay_a_revocation(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert (await partner.xapi(statement())).status_code == 200
    monkeypatch.setattr(time, "time", now)
    await registry.revoke_credential(services.database, partner.key)
    await wait_for_cache_expiry(services)
    assert (await partner.xapi(statement())).status_code == 401


@pytest.mark.slow
async def test_rotated_secret_overlaps_with_the_old_one(
    partner: Partner, services: Services
) -> None:
    database = services.database
    until = datetime.now(UTC) + timedelta(seconds=0.5)
    rotated = await credentials.rotate_credential(database, partner.key, until)
    assert rotated.key == partner.key

    async def works(secret: str) -> bool:
        response = await partner.http.post(TOKEN, data=GRANT, auth=(partner.key, secret))
        basic = await partner.http.get("/xapi/statements", headers=XAPI, auth=(partner.key, secret))
        assert (response.status_code == 200) == (basic.status_code == 200)
        return response.status_code == 200

    assert await works(partner.secret)
    assert await works(rotated.secret)
    await asyncio.sleep(0.6)
    assert not await works(partner.secret)
    assert await works(rotated.secret)


async def test_rotation_without_overlap_invalidates_the_old_secret(
    partner: Partner, services: Services
) -> None:
    assert (await partner.xapi(statement())).status_code == 200
    database = services.database
    await credentials.rotate_credential(database, partner.key, datetime.now(UTC))
    await wait_for_cache_expiry(services)
    assert (await partner.xapi(statement())).status_code == 401


async def test_rotation_without_overlap_ends_tokens_of_the_old_secret(
    partner: Partner, services: Services
) -> None:
    assert (await partner.get()).status_code == 200
    rotated = await credentials.rotate_credential(services.database, partner.key, None)
    await wait_for_cache_expiry(services)
    response = await partner.get()
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "ended with the secret" in response.json()["detail"]
    renewed = Partner(partner.http, partner.name, 0, "", partner.key, rotated.secret)
    assert (await renewed.get(headers=bearer(await renewed.authenticate()))).status_code == 200


@pytest.mark.slow
async def test_token_ends_with_the_overlap_of_its_secret(
    partner: Partner, services: Services
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=0.6)
    rotated = await credentials.rotate_credential(services.database, partner.key, until)
    during = await partner.authenticate()  # the old secret is still valid
    renewed = Partner(partner.http, partner.name, 0, "", partner.key, rotated.secret)
    lasting = await renewed.authenticate()
    for token in (during, lasting):
        assert (await partner.get(headers=bearer(token))).status_code == 200
    await asyncio.sleep(0.7)
    assert (await partner.get(headers=bearer(during))).status_code == 401
    assert (await partner.get(headers=bearer(lasting))).status_code == 200


async def test_second_rotation_ends_tokens_of_the_first_secret(
    partner: Partner, services: Services
) -> None:
    first = partner.token
    until = datetime.now(UTC) + timedelta(hours=1)
    for expected in (200, 401):
        await credentials.rotate_credential(services.database, partner.key, until)
        await wait_for_cache_expiry(services)
        assert (await partner.get(headers=bearer(first))).status_code == expected


async def test_token_without_a_secret_id_counts_as_of_the_oldest_secret(
    partner: Partner, services: Services
) -> None:
    signing_key = services.tokens.signing_keys.newest
    header, claims = segments(partner.token)
    del claims["secret_id"]
    headers = bearer(jwt.encode(header, claims, signing_key, ["RS256"]))
    assert (await partner.get(headers=headers)).status_code == 200
    until = datetime.now(UTC) + timedelta(hours=1)
    await credentials.rotate_credential(services.database, partner.key, until)
    await wait_for_cache_expiry(services)
    assert (await partner.get(headers=headers)).status_code == 200
    await credentials.rotate_credential(services.database, partner.key, None)
    await wait_for_cache_expiry(services)
    assert (await partner.get(headers=headers)).status_code == 401


async def test_static_token_is_accepted_on_both_interfaces(
    partner: Partner, services: Services
) -> None:
    issued = await issue(services, partner, kind="bearer", label="DataCamp")
    headers = bearer(issued.token)
    response = await partner.send(statement(), headers=headers)
    assert response.status_code == 200
    response = await partner.http.post("/xapi/statements", json=statement(), headers=headers | XAPI)
    assert response.status_code == 200
    for item in await partner.all():
        assert item["authority"]["account"]["name"] == issued.key
        assert item["authority"]["name"] == "DataCamp"
    wrong = bearer(issued.token[:-1] + ("A" if issued.token[-1] != "A" else "B"))
    assert (await partner.get(headers=wrong)).status_code == 401
    basic = await partner.http.get(
        "/xapi/statements", headers=XAPI, auth=(issued.key, issued.secret)
    )
    assert basic.status_code == 401
    as_bearer = bearer(f"{partner.key}.{partner.secret}")
    assert (await partner.get(headers=as_bearer)).status_code == 401
    await registry.revoke_credential(services.database, issued.key)
    await wait_for_cache_expiry(services)
    assert (await partner.get(headers=headers)).status_code == 401


async def test_secrets_are_stored_as_hashes_only(
    partner: Partner, services: Services, database_url: str
) -> None:
    result = await registry.find_credential(services.database, partner.key)
    assert result is not None
    assert result.secret_hash == hashlib.sha256(partner.secret.encode()).digest()
    assert partner.secret not in repr(result)
    for key in await signing_keys.list_active_keys(services.database, 0):
        assert key.private_jwe.count(".") == 4
        assert '"d"' not in key.public_jwk
