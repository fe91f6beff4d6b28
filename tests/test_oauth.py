"""How a client gets an access token, what the token is, and what ends it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import msgspec
import pytest
from conftest import new_partner
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from support import XAPI, Partner, serving, statement

from lrs import bootstrap
from lrs.api.services import Services
from lrs.app import running
from lrs.auth import scopes, tokens
from lrs.auth.tokens import KeyLost
from lrs.settings import Settings

with warnings.catch_warnings():  # authlib wants a successor of httpx that is not out yet
    warnings.simplefilter("ignore")
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError

TOKEN = "/oauth2/token"
GRANT = {"grant_type": "client_credentials"}
WELL_KNOWN = "/.well-known/oauth-authorization-server"
ISSUER = "https://login.example.org"
AUDIENCE = "https://lrs.example.org"


async def issue(services: Services, partner: Partner, **options: Any) -> bootstrap.Issued:
    """A further credential of the partner."""
    registry = services.authenticator.registry
    chosen = {
        "kind": "client",
        "label": "",
        "granted": frozenset({scopes.ALL}),
        "expires_at": None,
        **options,
    }
    return await bootstrap.add_credential(registry, await registry.partner(partner.name), **chosen)


async def settle(services: Services) -> None:
    """Waits until a change of a credential must be in effect."""
    await asyncio.sleep(services.settings.credential_cache_seconds * 1.5)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Asking for a token


@pytest.mark.parametrize("path", [TOKEN, "/oauth2-provider/token"])
@pytest.mark.parametrize("form", ["data", "json"])
@pytest.mark.parametrize("way", ["basic", "body"])
async def test_a_client_gets_a_token(partner: Partner, path: str, form: str, way: str) -> None:
    told = dict(GRANT)
    request: dict[str, Any] = {form: told}
    if way == "basic":
        request["auth"] = (partner.key, partner.secret)
    else:
        told |= {"client_id": partner.key, "client_secret": partner.secret}
    answer = await partner.http.post(path, **request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "all")
    found = await partner.get(headers=bearer(body["access_token"]))
    assert found.status_code == 200


async def test_percipios_request_is_answered(partner: Partner) -> None:
    answer = await partner.http.post(
        "/oauth2-provider/token",
        json={
            "client_id": partner.key,
            "client_secret": partner.secret,
            "grant_type": "client_credentials",
            "scope": "api",
        },
    )
    assert answer.status_code == 200
    assert (await partner.get(headers=bearer(answer.json()["access_token"]))).status_code == 200


async def test_a_secret_is_percent_decoded_in_basic_credentials(partner: Partner) -> None:
    quoted = "".join(f"%{ord(letter):02X}" for letter in partner.secret)
    answer = await partner.http.post(TOKEN, data=GRANT, auth=(partner.key, quoted))
    assert answer.status_code == 200


def refused(answer: httpx.Response, status: int, error: str) -> None:
    """An error of RFC 6749, section 5.2."""
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error_description"].isascii()
    assert ("www-authenticate" in answer.headers) == (status == 401)
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_a_client_that_is_not_known_is_refused(partner: Partner) -> None:
    wrong: list[dict[str, Any]] = [
        {"auth": (partner.key, "wrong")},
        {"auth": (partner.key, "")},
        {"auth": ("nobody", partner.secret)},
        {"auth": ("", "")},
        {"auth": (f"{partner.key}\0", partner.secret)},
        {"auth": ("ключ", "секрет")},
        {"headers": {"Authorization": "Basic"}},
        {"headers": {"Authorization": "Basic !!!"}},
        {"headers": {"Authorization": "Basic bm9jb2xvbg=="}},
        {"headers": {"Authorization": f"Basic {base64.b64encode(b':').decode()}"}},
        {"headers": {"Authorization": f"Basic {base64.b64encode(bytes([255, 58])).decode()}"}},
        {},
    ]
    for each in wrong:
        refused(await partner.http.post(TOKEN, data=GRANT, **each), 401, "invalid_client")
    for key, secret in (("", ""), (partner.key, "wrong"), ("a\0b", "x"), ("ü", "ü")):
        form = {**GRANT, "client_id": key, "client_secret": secret}
        for sent in ({"data": form}, {"json": form}):
            refused(await partner.http.post(TOKEN, **sent), 401, "invalid_client")  # type: ignore[arg-type]


async def test_a_static_token_is_no_client(partner: Partner, services: Services) -> None:
    issued = await issue(services, partner, kind="bearer")
    answer = await partner.http.post(TOKEN, data=GRANT, auth=(issued.key, issued.secret))
    refused(answer, 401, "invalid_client")


async def test_a_client_authenticates_once(partner: Partner) -> None:
    auth = (partner.key, partner.secret)
    both = {**GRANT, "client_id": partner.key, "client_secret": partner.secret}
    refused(await partner.http.post(TOKEN, data=both, auth=auth), 400, "invalid_request")
    answer = await partner.http.post(TOKEN, data=both, headers=bearer("x"))
    refused(answer, 400, "invalid_request")
    named = {**GRANT, "client_id": "another"}
    refused(await partner.http.post(TOKEN, data=named, auth=auth), 400, "invalid_request")
    named = {**GRANT, "client_id": partner.key}
    assert (await partner.http.post(TOKEN, data=named, auth=auth)).status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "ünsupported\x00\n"}, "unsupported_grant_type"),
        ({**GRANT, "scope": "everything"}, "invalid_scope"),
        ({**GRANT, "scope": 'statements/write "ü"'}, "invalid_scope"),
    ],
)
@pytest.mark.parametrize("kind", ["data", "json"])
async def test_a_wrong_request_is_refused_in_the_words_of_rfc_6749(
    partner: Partner, form: dict[str, str], error: str, kind: str
) -> None:
    answer = await partner.http.post(TOKEN, **{kind: form}, auth=(partner.key, partner.secret))  # type: ignore[arg-type]
    refused(answer, 400, error)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", FORM),
        (
            b'{"grant_type":"client_credentials","grant_type":"client_credentials"}',
            "application/json",
        ),
        (b"grant_type=client_credentials&scope=all&scope=all", FORM),
        (b"grant_type", FORM),
        (b"grant_type=\xff", FORM),
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (b'{"grant_type":1}', "application/json"),
        (b'{"grant_type":["client_credentials"]}', "application/json"),
        (b'{"grant_type":"client_credentials","scope":{}}', "application/json"),
        (b"[" * 10_000, "application/json"),
        (b"grant_type=client_credentials", "text/plain"),
        (b"grant_type=client_credentials", ""),
    ],
)
async def test_a_body_that_cannot_be_read_is_an_invalid_request(
    partner: Partner, body: bytes, content_type: str
) -> None:
    answer = await partner.http.post(
        TOKEN,
        content=body,
        headers={"Content-Type": content_type},
        auth=(partner.key, partner.secret),
    )
    refused(answer, 400, "invalid_request")


async def test_a_large_body_is_refused(partner: Partner) -> None:
    answer = await partner.http.post(TOKEN, data={"grant_type": "x" * 20_000})
    assert answer.status_code == 413


async def test_the_token_endpoint_answers_post_only(http: httpx.AsyncClient) -> None:
    answer = await http.get(TOKEN)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# Scopes


@pytest.mark.parametrize("asked", [None, "", "api", "all", "api all"])
async def test_no_scope_and_api_mean_whatever_was_granted(
    partner: Partner, asked: str | None
) -> None:
    form = GRANT if asked is None else {**GRANT, "scope": asked}
    answer = await partner.http.post(TOKEN, data=form, auth=(partner.key, partner.secret))
    assert answer.json()["scope"] == "all"


async def test_a_token_may_be_narrower_than_its_credential(partner: Partner) -> None:
    answer = await partner.http.post(
        TOKEN,
        data={**GRANT, "scope": "statements/write statements/read/mine"},
        auth=(partner.key, partner.secret),
    )
    assert answer.json()["scope"] == "statements/read/mine statements/write"
    headers = bearer(answer.json()["access_token"])
    assert (await partner.send(statement(), headers=headers)).status_code == 200
    track = await partner.send({}, resource="track", headers=headers)
    assert (track.status_code, track.json()["code"]) == (403, "missing-scope")


async def test_a_token_is_never_wider_than_its_credential(
    services: Services, http: httpx.AsyncClient
) -> None:
    reader = await new_partner(services, http, frozenset({scopes.STATEMENTS_READ}))
    for asked in ("all", "admin", "statements/write", "api statements/write"):
        answer = await http.post(
            TOKEN, data={**GRANT, "scope": asked}, auth=(reader.key, reader.secret)
        )
        refused(answer, 400, "invalid_scope")
    implied = await http.post(
        TOKEN, data={**GRANT, "scope": "statements/read/mine"}, auth=(reader.key, reader.secret)
    )
    assert implied.json()["scope"] == "statements/read/mine"


async def test_all_does_not_include_admin(partner: Partner) -> None:
    answer = await partner.http.post(
        TOKEN, data={**GRANT, "scope": "admin"}, auth=(partner.key, partner.secret)
    )
    refused(answer, 400, "invalid_scope")


# What a token is


async def test_a_token_is_an_rfc_9068_jwt_that_anyone_can_verify(
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
    assert claims["exp"] - claims["iat"] == services.settings.access_token_seconds
    assert len(claims["jti"]) == 32
    jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)


async def test_no_two_tokens_are_the_same(partner: Partner) -> None:
    first = partner.token
    assert await partner.authenticate() != first


async def test_the_metadata_follow_rfc_8414(http: httpx.AsyncClient, services: Services) -> None:
    answer = await http.get(WELL_KNOWN)
    metadata = answer.json()
    issuer = services.settings.base_url
    assert metadata["issuer"] == issuer
    assert metadata["token_endpoint"] == f"{issuer}/oauth2/token"
    assert metadata["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert metadata["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
    ]
    assert {"all", "statements/read/mine", "track/write", "api"} <= set(
        metadata["scopes_supported"]
    )
    assert (await http.head(WELL_KNOWN)).status_code == 200


async def test_instances_share_their_keys_and_a_restart_keeps_them(
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
async def test_authlibs_client_gets_a_token_and_uses_it(
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
        found = await client.get(f"{server}{partner.url('statements')}")
        assert [each["id"] for each in found.json()["statements"]] == answer.json()
        # It renews an expired token by itself.
        client.token = {**token, "expires_at": 1}
        renewed = await client.get(f"{server}{partner.url('statements')}")
        assert renewed.status_code == 200
        assert client.token["access_token"] != token["access_token"]


async def test_authlibs_client_understands_a_refusal(partner: Partner, server: str) -> None:
    async with AsyncOAuth2Client(partner.key, "wrong") as client:
        with pytest.raises(OAuthError, match="invalid_client"):
            await client.fetch_token(f"{server}{TOKEN}", grant_type="client_credentials")


# What ends a credential


async def uses(services: Services, partner: Partner) -> list[Callable[[], Any]]:
    """One request for each way that a credential of the partner can be used."""
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


async def test_a_revocation_ends_tokens_and_basic_alike(
    partner: Partner, services: Services
) -> None:
    ways = await uses(services, partner)
    assert [(await use()).status_code for use in ways] == [200] * 3
    await services.authenticator.registry.revoke_credential(partner.key)
    await settle(services)
    invalid = 'Bearer error="invalid_token"'
    for use, challenge in zip(ways, [invalid, 'Basic realm="lrs", Bearer', invalid], strict=True):
        answer = await use()
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == challenge
    answer = await partner.http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
    refused(answer, 401, "invalid_client")


async def test_a_credential_is_good_until_it_expires(partner: Partner, services: Services) -> None:
    issued = await issue(services, partner, expires_at=datetime.now(UTC) + timedelta(seconds=0.4))
    guest = Partner(partner.http, partner.name, 0, "", issued.key, issued.secret)
    await guest.authenticate()
    ways = await uses(services, guest)
    assert [(await use()).status_code for use in ways] == [200] * 3
    await asyncio.sleep(0.5)
    assert [(await use()).status_code for use in ways] == [401] * 3


async def test_a_token_does_not_outlive_its_credential(
    partner: Partner, services: Services
) -> None:
    issued = await issue(services, partner, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answer = await partner.http.post(TOKEN, data=GRANT, auth=(issued.key, issued.secret))
    refused(answer, 401, "invalid_client")


async def test_a_clock_that_is_set_back_delays_no_revocation(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert (await partner.xapi(statement())).status_code == 200
    monkeypatch.setattr(time, "time", now)
    await services.authenticator.registry.revoke_credential(partner.key)
    await settle(services)
    assert (await partner.xapi(statement())).status_code == 401


async def test_a_rotated_secret_overlaps_with_the_old_one(
    partner: Partner, services: Services
) -> None:
    registry = services.authenticator.registry
    until = datetime.now(UTC) + timedelta(seconds=0.5)
    rotated = await bootstrap.rotate_credential(registry, partner.key, until)
    assert rotated.key == partner.key

    async def works(secret: str) -> bool:
        answer = await partner.http.post(TOKEN, data=GRANT, auth=(partner.key, secret))
        basic = await partner.http.get("/xapi/statements", headers=XAPI, auth=(partner.key, secret))
        assert (answer.status_code == 200) == (basic.status_code == 200)
        return answer.status_code == 200

    assert await works(partner.secret)
    assert await works(rotated.secret)
    await asyncio.sleep(0.6)
    assert not await works(partner.secret)
    assert await works(rotated.secret)
    assert (await partner.get()).status_code == 200


async def test_a_rotation_without_overlap_ends_the_old_secret(
    partner: Partner, services: Services
) -> None:
    assert (await partner.xapi(statement())).status_code == 200
    registry = services.authenticator.registry
    await bootstrap.rotate_credential(registry, partner.key, datetime.now(UTC))
    await settle(services)
    assert (await partner.xapi(statement())).status_code == 401


async def test_a_static_token_is_good_on_both_interfaces(
    partner: Partner, services: Services
) -> None:
    issued = await issue(services, partner, kind="bearer", label="DataCamp")
    headers = bearer(issued.token)
    answer = await partner.send(statement(), headers=headers)
    assert answer.status_code == 200
    answer = await partner.http.post("/xapi/statements", json=statement(), headers=headers | XAPI)
    assert answer.status_code == 200
    for each in await partner.all():
        assert each["authority"]["account"]["name"] == issued.key
        assert each["authority"]["name"] == "DataCamp"
    wrong = bearer(issued.token[:-1] + ("A" if issued.token[-1] != "A" else "B"))
    assert (await partner.get(headers=wrong)).status_code == 401
    basic = await partner.http.get(
        "/xapi/statements", headers=XAPI, auth=(issued.key, issued.secret)
    )
    assert basic.status_code == 401
    as_bearer = bearer(f"{partner.key}.{partner.secret}")
    assert (await partner.get(headers=as_bearer)).status_code == 401
    await services.authenticator.registry.revoke_credential(issued.key)
    await settle(services)
    assert (await partner.get(headers=headers)).status_code == 401


async def test_secrets_are_kept_as_hashes_only(
    partner: Partner, services: Services, database_url: str
) -> None:
    found = await services.authenticator.registry.credential(partner.key)
    assert found is not None
    assert found.secret_hash == hashlib.sha256(partner.secret.encode()).digest()
    assert partner.secret not in repr(found)
    for key in await services.authenticator.registry.signing_keys():
        assert key.private_jwe.count(".") == 4
        assert '"d"' not in key.public_jwk


# Tokens that nobody issued


def segments(token: str) -> list[Any]:
    return [
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for part in token.split(".")[:2]
    ]


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def forgeries(partner: Partner) -> dict[str, str]:
    header, claims = segments(partner.token)
    signature = partner.token.rsplit(".", 1)[1]
    (public,) = (await partner.http.get("/.well-known/jwks.json")).json()["keys"]
    pem = RSAKey.import_key(public).as_pem(private=False)

    def signed(head: dict[str, Any], key: bytes) -> str:
        text = f"{encoded(head)}.{encoded(claims)}"
        return f"{text}.{encoded(hmac.digest(key, text.encode(), 'sha256'))}"

    other = RSAKey.generate_key(2048, {"kid": header["kid"]})
    return {
        "no algorithm": f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}.",
        "no signature": f"{encoded(header)}.{encoded(claims)}.",
        "HS256 with the public key as PEM": signed({**header, "alg": "HS256"}, pem),
        "HS256 with the public key as JWK": signed(
            {**header, "alg": "HS256"}, json.dumps(public).encode()
        ),
        "HS256 with nothing": signed({**header, "alg": "HS256"}, b""),
        "another key under our name": jwt.encode(header, claims, other, ["RS256"]),
        "a key of its own in the header": jwt.encode(
            {**header, "kid": "x", "jwk": other.as_dict(private=False)}, claims, other, ["RS256"]
        ),
        "claims changed": f"{encoded(header)}.{encoded({**claims, 'sub': 'x'})}.{signature}",
        "signature changed": partner.token[:-8] + "AAAAAAAA",
        "not of its type": f"{encoded({**header, 'typ': 'JWT'})}.{encoded(claims)}.{signature}",
        "type is a number": f"{encoded({**header, 'typ': 7})}.{encoded(claims)}.{signature}",
        "type is null": f"{encoded({**header, 'typ': None})}.{encoded(claims)}.{signature}",
        "kid is a list": f"{encoded({**header, 'kid': []})}.{encoded(claims)}.{signature}",
        "kid is null": f"{encoded({**header, 'kid': None})}.{encoded(claims)}.{signature}",
        "alg is a number": f"{encoded({**header, 'alg': 256})}.{encoded(claims)}.{signature}",
        "crit": f"{encoded({**header, 'crit': ['x'], 'x': 1})}.{encoded(claims)}.{signature}",
        "crit is a number": f"{encoded({**header, 'crit': 1})}.{encoded(claims)}.{signature}",
        "b64": f"{encoded({**header, 'b64': False, 'crit': ['b64']})}.x.{signature}",
        "header is a list": f"{encoded([])}.{encoded(claims)}.{signature}",
        "claims are a list": f"{encoded(header)}.{encoded([])}.{signature}",
        "claims are text": f"{encoded(header)}.{encoded('x')}.{signature}",
        "claims are no JSON": f"{encoded(header)}.{encoded(b'{')}.{signature}",
        "claims are not UTF-8": f"{encoded(header)}.{encoded(bytes([255]))}.{signature}",
        "issuer is a list": f"{encoded(header)}.{encoded({**claims, 'iss': []})}.{signature}",
        "not base64": f"*.{encoded(claims)}.{signature}",
        "empty": "..",
        "deep": f"{encoded(b'[' * 5000)}.{encoded(b'[' * 5000)}.{signature}",
        "encrypted": "a.b.c.d.e",
        "very long": f"{encoded(header)}.{'A' * 100_000}.{signature}",
    }


async def test_a_forged_token_is_refused(partner: Partner) -> None:
    for name, token in (await forgeries(partner)).items():
        answer = await partner.get(headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), name


async def test_our_own_key_does_not_make_every_token_good(
    partner: Partner, services: Services
) -> None:
    tokens = services.tokens
    key = tokens._private.keys[0]
    header, claims = segments(partner.token)
    now = int(time.time())
    for change in (
        {"iss": "http://another.example"},
        {"aud": "http://another.example"},
        {"nbf": now + 3600},
        {"exp": "tomorrow"},
        {"exp": None},
        {"client_id": "nobody", "sub": "nobody"},
        {"client_id": "no\0body"},
        {"client_id": 7},
    ):
        token = jwt.encode(header, {**claims, **change}, key, ["RS256"])
        answer = await partner.get(headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), change


# Tokens of an outside issuer


class Outside:
    """An outside issuer, with its keys in a file and behind a URL."""

    def __init__(self, directory: Path) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "outside-1"})
        self.file = directory / "jwks.json"
        self.publish(self.key)
        self.asked = 0
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside.asked += 1
                content = outside.file.read_bytes()
                self.send_response(200 if self.path == "/jwks" else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def publish(self, *keys: RSAKey) -> None:
        self.file.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}))

    def token(self, key: RSAKey | None = None, alg: str = "RS256", **claims: Any) -> str:
        key = key or self.key
        told = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "exp": int(time.time()) + 60,
            "sub": "someone",
            **claims,
        }
        return jwt.encode(
            {"alg": alg, "typ": "JWT", "kid": key.kid},
            {name: value for name, value in told.items() if value is not None},
            key,
            [alg],
        )

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    issuer = Outside(tmp_path)
    yield issuer
    issuer.close()


def trusting(settings: Settings, jwks: str) -> Settings:
    return msgspec.structs.replace(
        settings, oauth_issuer=ISSUER, oauth_jwks=jwks, oauth_audience=AUDIENCE
    )


@pytest.mark.parametrize("place", ["file", "url"])
async def test_tokens_of_a_configured_issuer_are_accepted(
    settings: Settings, partner: Partner, outside: Outside, place: str
) -> None:
    jwks = str(outside.file) if place == "file" else f"{outside.url}/jwks"
    async with serving(trusting(settings, jwks)) as http:

        async def status(token: str) -> int:
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            return answer.status_code

        key = partner.key
        assert await status(outside.token(client_id=key)) == 200
        assert await status(outside.token(azp=key)) == 200
        assert await status(outside.token(sub=key)) == 200
        assert await status(outside.token(client_id=key, alg="PS256")) == 200
        assert await status(outside.token(client_id=key, aud=["x", AUDIENCE])) == 200
        assert await status(partner.token) == 200
        # Its scopes limit what the credential may do.
        assert await status(outside.token(client_id=key, scope="statements/write")) == 403
        assert await status(outside.token(client_id=key, scope="statements/read openid")) == 200
        assert await status(outside.token(client_id=key, scope="api")) == 200
        # And these are not good.
        assert await status(outside.token()) == 401
        assert await status(outside.token(client_id=key, aud="https://another.example")) == 401
        assert await status(outside.token(client_id=key, aud=None)) == 401
        assert await status(outside.token(client_id=key, iss="https://another.example")) == 401
        assert await status(outside.token(client_id=key, exp=None)) == 401
        assert await status(outside.token(client_id=key, exp=1)) == 403
        stranger = RSAKey.generate_key(2048, {"kid": "outside-1"})
        assert await status(outside.token(client_id=key, key=stranger)) == 401
        pem = outside.key.as_pem(private=False)
        claims = segments(outside.token(client_id=key))[1]
        head = {"alg": "HS256", "typ": "JWT", "kid": "outside-1"}
        text = f"{encoded(head)}.{encoded(claims)}"
        forged = f"{text}.{encoded(hmac.digest(pem, text.encode(), 'sha256'))}"
        assert await status(forged) == 401
        unsigned = f"{encoded({**head, 'alg': 'none'})}.{encoded(claims)}."
        assert await status(unsigned) == 401
    assert outside.asked <= 1


async def test_without_a_configured_issuer_its_tokens_are_unknown(
    partner: Partner, outside: Outside
) -> None:
    answer = await partner.get(headers=bearer(outside.token(client_id=partner.key)))
    assert answer.status_code == 401


async def test_unknown_keys_do_not_make_us_ask_again_and_again(
    settings: Settings, partner: Partner, outside: Outside
) -> None:
    async with serving(trusting(settings, f"{outside.url}/jwks")) as http:
        other = RSAKey.generate_key(2048, {"kid": "outside-2"})
        for _ in range(5):
            token = outside.token(client_id=partner.key, key=other)
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert answer.status_code == 401
    assert outside.asked == 1


async def test_a_key_that_is_withdrawn_is_good_for_a_while_only(
    settings: Settings, partner: Partner, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_RELOAD_OUTSIDE_SECONDS", 0.0)
    async with serving(trusting(settings, str(outside.file))) as http:

        async def status() -> int:
            """Of a token that was never seen."""
            token = outside.token(client_id=partner.key, jti=str(time.monotonic_ns()))
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            return answer.status_code

        assert await status() == 200
        outside.publish(RSAKey.generate_key(2048, {"kid": "outside-2"}))
        assert await status() == 200
        monkeypatch.setattr(tokens, "_KEEP_OUTSIDE_SECONDS", 0.0)
        outside.file.rename(outside.file.with_suffix(".away"))
        assert await status() == 200  # an issuer that is away withdraws nothing
        outside.file.with_suffix(".away").rename(outside.file)
        assert await status() == 401


async def test_keys_that_cannot_be_had_are_503(
    settings: Settings, partner: Partner, outside: Outside
) -> None:
    token = outside.token(client_id=partner.key)
    for jwks in (f"{outside.url}/nothing", "http://127.0.0.1:1/jwks", "/no/such/file"):
        async with serving(trusting(settings, jwks)) as http:
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "document",
    ["", "<html>", "[]", "3", "{}", '{"keys": 3}', '{"keys": []}', '{"keys": [3]}',
     '{"keys": [{"kty": "RSA", "n": 3}]}',
     '{"keys": [{"kty": "EC", "crv": "x", "x": "a", "y": "b"}]}'],
)  # fmt: skip
async def test_what_is_no_key_set_is_503(
    settings: Settings, partner: Partner, outside: Outside, document: str
) -> None:
    token = outside.token(client_id=partner.key)
    outside.file.write_text(document)
    async with serving(trusting(settings, str(outside.file))) as http:
        for _ in range(2):
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


# Rates


async def test_a_credential_has_a_rate(settings: Settings, partner: Partner) -> None:
    limited = msgspec.structs.replace(settings, rate_limit="3/minute")
    async with serving(limited) as http:
        url = partner.url("statements")
        answers = [await http.get(url, headers=partner.headers) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].json()["code"] == "too-many-requests"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60
        # It is the credential that is counted, whichever way it is used.
        basic = await http.get("/xapi/statements", headers=XAPI, auth=(partner.key, partner.secret))
        assert basic.status_code == 429
        token = await http.post(TOKEN, data=GRANT, auth=(partner.key, partner.secret))
        assert (token.status_code, token.headers["retry-after"].isdigit()) == (429, True)


async def test_one_credentials_rate_is_not_anothers(
    settings: Settings, partner: Partner, stranger: Partner
) -> None:
    async with serving(msgspec.structs.replace(settings, rate_limit="1/minute")) as http:
        for who in (partner, stranger):
            answers = [await http.get(who.url("statements"), headers=who.headers) for _ in "12"]
            assert [answer.status_code for answer in answers] == [200, 429]


async def test_services_of_another_secret_key_do_not_start(settings: Settings) -> None:
    other = msgspec.structs.replace(settings, secret_key="another secret key of 32 characters")
    with pytest.raises(KeyLost, match="encrypted with another secret key"):
        async with running(other):
            pass
