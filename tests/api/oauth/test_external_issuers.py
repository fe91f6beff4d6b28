"""Access tokens of external issuers."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from lrs.auth import jwks
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.oauth import AUDIENCE, ISSUER, bearer, encoded, segments
from tests.support.partners import Partner

# Tokens of an outside issuer


class ExternalIssuer:
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
def outside(tmp_path: Path) -> Iterator[ExternalIssuer]:
    issuer = ExternalIssuer(tmp_path)
    yield issuer
    issuer.close()


def trusting(settings: Settings, jwks: str) -> Settings:
    return msgspec.structs.replace(
        settings, oauth_issuer=ISSUER, oauth_jwks=jwks, oauth_audience=AUDIENCE
    )


@pytest.mark.parametrize("place", ["file", "url"])
async def test_tokens_of_a_configured_issuer_are_accepted(
    settings: Settings, partner: Partner, outside: ExternalIssuer, place: str
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
    partner: Partner, outside: ExternalIssuer
) -> None:
    answer = await partner.get(headers=bearer(outside.token(client_id=partner.key)))
    assert answer.status_code == 401


async def test_unknown_keys_do_not_make_us_ask_again_and_again(
    settings: Settings, partner: Partner, outside: ExternalIssuer
) -> None:
    async with serving(trusting(settings, f"{outside.url}/jwks")) as http:
        other = RSAKey.generate_key(2048, {"kid": "outside-2"})
        for _ in range(5):
            token = outside.token(client_id=partner.key, key=other)
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert answer.status_code == 401
    assert outside.asked == 1


async def test_a_key_that_is_withdrawn_is_good_for_a_while_only(
    settings: Settings, partner: Partner, outside: ExternalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "_MIN_REFRESH_SECONDS", 0.0)
    async with serving(trusting(settings, str(outside.file))) as http:

        async def status() -> int:
            """Of a token that was never seen."""
            token = outside.token(client_id=partner.key, jti=str(time.monotonic_ns()))
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            return answer.status_code

        assert await status() == 200
        outside.publish(RSAKey.generate_key(2048, {"kid": "outside-2"}))
        assert await status() == 200
        monkeypatch.setattr(jwks, "_MAX_AGE_SECONDS", 0.0)
        outside.file.rename(outside.file.with_suffix(".away"))
        assert await status() == 200  # an issuer that is away withdraws nothing
        outside.file.with_suffix(".away").rename(outside.file)
        assert await status() == 401


async def test_keys_that_cannot_be_had_are_503(
    settings: Settings, partner: Partner, outside: ExternalIssuer
) -> None:
    token = outside.token(client_id=partner.key)
    for location in (f"{outside.url}/nothing", "http://127.0.0.1:1/jwks", "/no/such/file"):
        async with serving(trusting(settings, location)) as http:
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
    settings: Settings, partner: Partner, outside: ExternalIssuer, document: str
) -> None:
    token = outside.token(client_id=partner.key)
    outside.file.write_text(document)
    async with serving(trusting(settings, str(outside.file))) as http:
        for _ in range(2):
            answer = await http.get(partner.url("statements"), headers=bearer(token))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
