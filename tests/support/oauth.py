"""Credentials, tokens and the checks on token errors."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx

from lrs.api.services import Services
from lrs.auth import credential_secrets, credentials, scopes
from lrs.auth.tokens import AccessTokens
from lrs.store import registry
from tests.support.partners import Partner

TOKEN = "/oauth2/token"
GRANT = {"grant_type": "client_credentials"}
WELL_KNOWN = "/.well-known/oauth-authorization-server"
ISSUER = "https://login.example.org"
AUDIENCE = "https://lrs.example.org"


async def issue(
    services: Services, partner: Partner, **options: Any
) -> credentials.IssuedCredential:
    """A further credential of the partner."""
    database = services.database
    chosen = {
        "kind": "client",
        "label": "",
        "granted": frozenset({scopes.ALL}),
        "expires_at": None,
        **options,
    }
    return await credentials.add_credential(
        database, await registry.get_partner(database, partner.name), **chosen
    )


def issue_token(tokens: AccessTokens, partner: Partner) -> str:
    """A token of the partner with all scopes."""
    secret_hash = credential_secrets.hash_secret(partner.secret)
    return tokens.issue(partner.key, frozenset({scopes.ALL}), secret_hash)


async def wait_for_cache_expiry(services: Services) -> None:
    """Waits until a changed credential is in effect."""
    await asyncio.sleep(services.settings.credential_cache_ttl_seconds * 1.5)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused(response: httpx.Response, status: int, error: str) -> None:
    """An error of RFC 6749, section 5.2."""
    assert (response.status_code, response.json().get("error")) == (status, error), response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert set(response.json()) == {"error", "error_description"}
    assert response.json()["error_description"].isascii()
    assert ("www-authenticate" in response.headers) == (status == 401)
    if status == 401:
        assert response.headers["www-authenticate"].startswith('Basic realm="lrs", ')


def segments(token: str) -> list[Any]:
    return [
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for part in token.split(".")[:2]
    ]


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
