"""Access tokens of external issuers."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from lrs.auth import jwks
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.oauth import AUDIENCE, ISSUER, bearer, encoded, segments
from tests.support.partners import Partner


class ExternalIssuer:
    """An issuer issuer, with its keys in a file and behind a URL."""

    def __init__(self, directory: Path) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "issuer-1"})
        self.file = directory / "jwks.json"
        self.publish(self.key)
        self.fetches = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                content = issuer.file.read_bytes()
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
        reported = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "exp": int(time.time()) + 60,
            "sub": "someone",
            "scope": "all",
            **claims,
        }
        return jwt.encode(
            {"alg": alg, "typ": "JWT", "kid": key.kid},
            {name: value for name, value in reported.items() if value is not None},
            key,
            [alg],
        )

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[ExternalIssuer]:
    issuer = ExternalIssuer(tmp_path)
    yield issuer
    issuer.close()


def trusting(settings: Settings, jwks: str) -> Settings:
    return replace(settings, oauth_issuer=ISSUER, oauth_jwks=jwks, oauth_audience=AUDIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("position", ["file", "url"])
async def test_token_of_a_configured_issuer_is_accepted(
    settings: Settings, partner: Partner, issuer: ExternalIssuer, position: str
) -> None:
    jwks = str(issuer.file) if position == "file" else f"{issuer.url}/jwks"
    async with serving(trusting(settings, jwks)) as http:

        async def status(token: str) -> int:
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            return answer.status_code

        key = partner.key
        assert await status(issuer.token(client_id=key)) == 200
        assert await status(issuer.token(azp=key)) == 200
        assert await status(issuer.token(sub=key)) == 200
        assert await status(issuer.token(client_id=key, alg="PS256")) == 200
        assert await status(issuer.token(client_id=key, aud=["x", AUDIENCE])) == 200
        assert await status(partner.token) == 200
        # Its scopes limit those of the credential.
        assert await status(issuer.token(client_id=key, scope="statements/write")) == 403
        assert await status(issuer.token(client_id=key, scope="statements/read openid")) == 200
        assert await status(issuer.token(client_id=key, scope="api")) == 200
        # These tokens are invalid.
        assert await status(issuer.token()) == 401
        assert await status(issuer.token(client_id=key, aud="https://another.example")) == 401
        assert await status(issuer.token(client_id=key, aud=None)) == 401
        assert await status(issuer.token(client_id=key, iss="https://another.example")) == 401
        assert await status(issuer.token(client_id=key, exp=None)) == 401
        assert await status(issuer.token(client_id=key, exp=1)) == 403
        stranger = RSAKey.generate_key(2048, {"kid": "issuer-1"})
        assert await status(issuer.token(client_id=key, key=stranger)) == 401
        pem = issuer.key.as_pem(private=False)
        claims = segments(issuer.token(client_id=key))[1]
        head = {"alg": "HS256", "typ": "JWT", "kid": "issuer-1"}
        text = f"{encoded(head)}.{encoded(claims)}"
        forged = f"{text}.{encoded(hmac.digest(pem, text.encode(), 'sha256'))}"
        assert await status(forged) == 401
        unsigned = f"{encoded({**head, 'alg': 'none'})}.{encoded(claims)}."
        assert await status(unsigned) == 401
    assert issuer.fetches <= 1


async def test_token_of_an_unconfigured_issuer_returns_401(
    partner: Partner, issuer: ExternalIssuer
) -> None:
    answer = await partner.get(headers=bearer(issuer.token(client_id=partner.key)))
    assert answer.status_code == 401


async def test_unknown_key_does_not_fetch_the_key_set_again(
    settings: Settings, partner: Partner, issuer: ExternalIssuer
) -> None:
    async with serving(trusting(settings, f"{issuer.url}/jwks")) as http:
        other = RSAKey.generate_key(2048, {"kid": "issuer-2"})
        for _ in range(5):
            token = issuer.token(client_id=partner.key, key=other)
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert answer.status_code == 401
    assert issuer.fetches == 1


async def test_flood_of_unknown_keys_fetches_the_key_set_once(
    settings: Settings, partner: Partner, issuer: ExternalIssuer
) -> None:
    header, claims = segments(issuer.token(client_id=partner.key))
    async with serving(trusting(settings, f"{issuer.url}/jwks")) as http:

        async def status(kid: object) -> int:
            forged = f"{encoded({**header, 'kid': kid})}.{encoded(claims)}.AAAA"
            answer = await http.get(partner.url("statements"), headers=bearer(forged))
            return answer.status_code

        kids: list[Any] = [f"unknown-{number}" for number in range(50)]
        kids += [None, 7, [], {}, "", "x" * 300]
        assert set(await asyncio.gather(*map(status, kids))) == {401}
    assert issuer.fetches == 1


async def test_unsupported_token_fetches_no_key_set(
    settings: Settings, partner: Partner, issuer: ExternalIssuer
) -> None:
    header, claims = segments(issuer.token(client_id=partner.key))
    async with serving(trusting(settings, f"{issuer.url}/jwks")) as http:
        for change in ({"alg": "none"}, {"alg": "HS256"}, {"alg": None}, {"typ": "logout+jwt"}):
            forged = f"{encoded({**header, **change})}.{encoded(claims)}.AAAA"
            answer = await http.get(partner.url("statements"), headers=bearer(forged))
            assert answer.status_code == 401
    assert issuer.fetches == 0


@pytest.mark.parametrize(("max_age_seconds", "kid"), [(300.0, "issuer-1"), (0.0, "issuer-2")])
async def test_withdrawn_key_is_dropped_after_the_cache_expires(
    issuer: ExternalIssuer, max_age_seconds: float, kid: str
) -> None:
    configured = jwks.ExternalIssuer(ISSUER, str(issuer.file), AUDIENCE)
    keys = jwks.ExternalKeys(configured, max_age_seconds=max_age_seconds, min_refresh_seconds=0.0)

    async def cached() -> list[str | None]:
        return [key.kid for key in (await keys.get("issuer-1")).keys]

    assert await cached() == ["issuer-1"]
    issuer.file.rename(issuer.file.with_suffix(".away"))
    assert await cached() == ["issuer-1"]  # an unreachable issuer withdraws nothing
    issuer.publish(RSAKey.generate_key(2048, {"kid": "issuer-2"}))
    assert await cached() == [kid]


@pytest.mark.slow
async def test_unreachable_key_set_returns_503_with_retry_after(
    settings: Settings, partner: Partner, issuer: ExternalIssuer
) -> None:
    token = issuer.token(client_id=partner.key)
    for location in (f"{issuer.url}/nothing", "http://127.0.0.1:1/jwks", "/no/such/file"):
        async with serving(trusting(settings, location)) as http:
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("content", [b" " * 1_100_000, None], ids=["large", "endless"])
async def test_large_or_endless_key_set_returns_503(
    settings: Settings,
    partner: Partner,
    issuer: ExternalIssuer,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
) -> None:
    monkeypatch.setattr(jwks, "_TIMEOUT_SECONDS", 0.3)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + (content or b""))
        with suppress(ConnectionError, asyncio.CancelledError):
            while content is None:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with serving(trusting(settings, f"http://127.0.0.1:{port}/")) as http:
        token = issuer.token(client_id=partner.key)
        answer = await asyncio.wait_for(
            http.get(partner.url("statements"), headers=bearer(token)), 3
        )
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    server.close()


@pytest.mark.parametrize(
    "document",
    ["", "<html>", "[]", "3", "{}", '{"keys": 3}', '{"keys": []}', '{"keys": [3]}',
     '{"keys": [{"kty": "RSA", "n": 3}]}',
     '{"keys": [{"kty": "EC", "crv": "x", "x": "a", "y": "b"}]}'],
)  # fmt: skip
async def test_malformed_key_set_returns_503(
    settings: Settings, partner: Partner, issuer: ExternalIssuer, document: str
) -> None:
    token = issuer.token(client_id=partner.key)
    issuer.file.write_text(document)
    async with serving(trusting(settings, str(issuer.file))) as http:
        for _ in range(2):
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
