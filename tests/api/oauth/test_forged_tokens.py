"""Forged access tokens are refused."""

from __future__ import annotations

import hmac
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from lrs.api.services import Services
from tests.support.oauth import bearer, encoded, segments
from tests.support.partners import Partner


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


@pytest.mark.slow
async def test_forged_token_returns_401(partner: Partner) -> None:
    for name, token in (await forgeries(partner)).items():
        response = await partner.get(headers=bearer(token))
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized"), name


async def test_token_with_own_signature_and_wrong_claims_returns_401(
    partner: Partner, services: Services
) -> None:
    tokens = services.tokens
    key = tokens.signing_keys.newest
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
        response = await partner.get(headers=bearer(token))
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized"), change
