"""Tokens, scopes and partners."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import credentials, scopes
from lrs.bootstrap.access_tokens import load_keys
from lrs.store import registry
from tests.support.oauth import issue_token
from tests.support.partners import Partner, new_partner
from tests.support.statements import statement


async def ask(partner: Partner, headers: dict[str, str], path: str = "") -> list[httpx.Response]:
    path = path or partner.url("statements")
    return [
        await partner.http.post(path, json=statement(), headers=headers),
        await partner.http.get(path, headers=headers),
    ]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer not.a.token",
        "Bearer a.b",
        "bearer eyJhbGciOiJub25lIn0.e30.",
        "Basic dTpw",
        "Digest x",
        "nonsense",
    ],
)
async def test_invalid_token_returns_401(partner: Partner, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    for answer in await ask(partner, headers):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert await partner.all() == []


async def test_basic_credentials_return_401_also_when_cached(
    partner: Partner, services: Services
) -> None:
    basic = httpx.BasicAuth(partner.key, partner.secret)
    for pause in (0.0, services.settings.credential_cache_ttl_seconds * 2):
        assert (await partner.xapi(statement())).status_code == 200
        await asyncio.sleep(pause)
        answer = await partner.http.get(partner.url("statements"), auth=basic)
        assert answer.status_code == 401


async def expired(services: Services, partner: Partner) -> dict[str, str]:
    tokens = await load_keys(services.settings, services.database)
    tokens.ttl_seconds = -10
    token = issue_token(tokens, partner)
    return {"Authorization": f"Bearer {token}"}


async def test_expired_token_returns_403(partner: Partner, services: Services) -> None:
    for answer in await ask(partner, await expired(services, partner)):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert await partner.all() == []


@pytest.mark.slow
async def test_token_that_expires_while_cached_returns_403(
    partner: Partner, services: Services
) -> None:
    settings = replace(services.settings, access_token_ttl_seconds=1)
    tokens = await load_keys(settings, services.database)
    headers = {"Authorization": f"Bearer {issue_token(tokens, partner)}"}
    assert [answer.status_code for answer in await ask(partner, headers)] == [200, 200]
    await asyncio.sleep(1.1)
    assert [answer.status_code for answer in await ask(partner, headers)] == [403, 403]


@pytest.mark.parametrize("organization", ["", "/organizations/acme"])
async def test_token_on_another_partners_path_returns_403(
    partner: Partner, stranger: Partner, organization: str
) -> None:
    for name in (stranger.name, "no-such-partner", "%00", "x" * 1000):
        path = f"/v1/partners/{name}{organization}/statements"
        for answer in await ask(partner, partner.headers, path):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert await stranger.all() == []


async def test_token_without_scope_returns_403_with_its_name(
    services: Services, http: httpx.AsyncClient
) -> None:
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    answer = await reader.send(statement())
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    assert "statements/write" in answer.json()["detail"]
    challenge = answer.headers["www-authenticate"]
    assert challenge == 'Bearer error="insufficient_scope", scope="statements/write"'
    assert (await reader.get()).status_code == 200
    writer = await new_partner(services, http, frozenset({scopes.STATEMENTS_WRITE}))
    assert (await writer.send(statement())).status_code == 200
    assert (await writer.get()).json()["code"] == "missing-scope"


async def test_read_mine_returns_own_statements_only(services: Services, partner: Partner) -> None:
    database = services.database
    issued = await credentials.add_credential(
        database,
        await registry.get_partner(database, partner.name),
        kind="client",
        label="",
        granted=frozenset({scopes.STATEMENTS_WRITE, scopes.STATEMENTS_READ_MINE}),
        expires_at=None,
    )
    colleague = Partner(
        partner.http, partner.name, partner.partner_id, partner.home_page, issued.key, issued.secret
    )
    await colleague.authenticate()
    (theirs,) = (await partner.send(statement())).json()
    (own,) = (await colleague.send(statement())).json()
    assert [item["id"] for item in await colleague.all()] == [own]
    assert (await colleague.get(statementId=theirs)).status_code == 404
    assert (await colleague.get(statementId=own)).status_code == 200
    assert {item["id"] for item in await partner.all()} == {theirs, own}
