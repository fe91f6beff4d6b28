"""Access tokens: claims, metadata, signing keys."""

from __future__ import annotations

import warnings
from dataclasses import replace

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from lrs.api.services import Services
from lrs.app import open_services
from lrs.auth.secret_box import WrongSecretKey
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.oauth import GRANT, TOKEN, WELL_KNOWN, bearer
from tests.support.partners import Partner
from tests.support.statements import statement

with warnings.catch_warnings():  # authlib wants a successor of httpx that is not out yet
    warnings.simplefilter("ignore")
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError


async def test_token_is_an_rfc_9068_jwt_verifiable_with_the_published_key(
    partner: Partner, services: Services
) -> None:
    keys = await partner.http.get("/.well-known/jwks.json")
    assert keys.status_code == 200
    (key,) = keys.json()["keys"]
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)
    token = jwt.decode(partner.token, KeySet.import_key_set(keys.json()), ["RS256"])
    assert token.header == {"alg": "RS256", "typ": "at+jwt", "kid": key["kid"]}
    claims = token.claims
    assert claims["iss"] == claims["aud"] == services.settings.base_url
    assert claims["sub"] == claims["client_id"] == partner.key
    assert claims["scope"] == "all"
    assert claims["exp"] - claims["iat"] == services.settings.access_token_ttl_seconds
    assert len(claims["jti"]) == 32
    jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)


async def test_tokens_are_unique(partner: Partner) -> None:
    first = partner.token
    assert await partner.authenticate() != first


async def test_metadata_follows_rfc_8414(http: httpx.AsyncClient, services: Services) -> None:
    answer = await http.get(WELL_KNOWN)
    metadata = answer.json()
    issuer = services.settings.base_url
    assert metadata["issuer"] == issuer
    assert metadata["token_endpoint"] == "http://lrs.test/oauth2/token"
    assert metadata["jwks_uri"] == "http://lrs.test/.well-known/jwks.json"
    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert metadata["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
    ]
    assert {"all", "statements/read/mine", "track/write", "api"} <= set(
        metadata["scopes_supported"]
    )
    assert (await http.head(WELL_KNOWN)).status_code == 200


async def test_signing_keys_are_shared_by_instances_and_survive_a_restart(
    settings: Settings, partner: Partner
) -> None:
    own = (await partner.http.get("/.well-known/jwks.json")).json()
    for _ in range(2):
        async with serving(settings) as other:
            assert (await other.get("/.well-known/jwks.json")).json() == own
            answer = await other.get(partner.url("statements"), headers=partner.headers)
            assert answer.status_code == 200
            theirs = await other.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
        answer = await partner.get(headers=bearer(theirs.json()["access_token"]))
        assert answer.status_code == 200


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_client_gets_and_renews_a_token(
    partner: Partner, server: str, method: str
) -> None:
    async with AsyncOAuth2Client(
        partner.key,
        partner.secret,
        token_endpoint_auth_method=method,
        token_endpoint=f"{server}{TOKEN}",
        grant_type="client_credentials",
    ) as client:
        token = await client.fetch_token()
        assert token["token_type"] == "Bearer"
        answer = await client.post(f"{server}{partner.url('statements')}", json=statement())
        assert answer.status_code == 200
        result = await client.get(f"{server}{partner.url('statements')}")
        assert [item["id"] for item in result.json()["statements"]] == answer.json()
        # The client renews an expired token itself.
        client.token = {**token, "expires_at": 1}
        renewed = await client.get(f"{server}{partner.url('statements')}")
        assert renewed.status_code == 200
        assert client.token["access_token"] != token["access_token"]


async def test_authlib_client_receives_invalid_client(partner: Partner, server: str) -> None:
    async with AsyncOAuth2Client(partner.key, "wrong") as client:
        with pytest.raises(OAuthError, match="invalid_client"):
            await client.fetch_token(f"{server}{TOKEN}", grant_type="client_credentials")


async def test_services_with_another_secret_key_do_not_start(settings: Settings) -> None:
    other = replace(settings, secret_key="another secret key of 32 characters")
    with pytest.raises(WrongSecretKey, match="encrypted with another secret key"):
        async with open_services(other):
            pass
