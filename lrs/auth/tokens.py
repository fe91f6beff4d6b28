"""Access tokens: JWTs (RFC 9068), signed with RS256 by keys that all workers share.

The signing keys are in the database; the private half is encrypted (JWE) with a key derived from
the secret key in the settings. Tokens of one external issuer are accepted too, if one is
configured; their `client_id` (or `azp`, or `sub`) is the key of a credential.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, RSAKey

from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.errors import TokenExpired, Unauthorized, Unavailable
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import SigningKey

_log = logging.getLogger("lrs.auth")

ALGORITHM = "RS256"
_OUTSIDE_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]
_RELOAD_SECONDS = 1.0
_RELOAD_OUTSIDE_SECONDS = 10.0
_KEEP_OUTSIDE_SECONDS = 300.0
# What reading a document and making keys of it may raise, whatever the document is.
JWKS_ERRORS = (httpx.HTTPError, OSError, ValueError, TypeError, LookupError, JoseError)


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says: whose it is, what it may, until when (seconds since 1970).

    `scopes` is None where the token leaves that to its credential.
    """

    key: str
    scopes: frozenset[str] | None
    expires_at: float


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An outside issuer; `jwks` is the URL or the path of its keys."""

    issuer: str
    jwks: str
    audience: str


class AccessTokens:
    """Issues and verifies access tokens. `issuer` is the public URL of this server."""

    def __init__(
        self,
        database: Database,
        *,
        issuer: str,
        secret_key: str,
        ttl_seconds: int,
        outside: ExternalIssuer | None = None,
    ) -> None:
        self.issuer = issuer
        self.ttl_seconds = ttl_seconds
        self._database = database
        self._secret_box = SecretBox(secret_key)
        self._outside = outside
        self._private = KeySet([])
        self._outside_keys = KeySet([])
        self._loaded_at = self._outside_loaded_at = float("-inf")
        self._outside_error: Unavailable | None = None
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Reads the keys, and makes the first one. Raises WrongSecretKey."""
        stored = await registry.list_signing_keys(self._database)
        if not stored:
            await registry.add_first_signing_key(self._database, self._new_key())
            stored = await registry.list_signing_keys(self._database)
        self._private = KeySet([self._unwrap(each) for each in stored])
        self._loaded_at = time.monotonic()

    def _new_key(self) -> SigningKey:
        key = RSAKey.generate_key(2048, auto_kid=True)
        private = orjson.dumps(key.as_dict(private=True))
        public = orjson.dumps(key.as_dict(private=False)).decode()
        return SigningKey(str(key.kid), self._secret_box.encrypt(private), public)

    def _unwrap(self, stored: SigningKey) -> RSAKey:
        try:
            private = self._secret_box.decrypt(stored.private_jwe)
        except WrongSecretKey:
            raise WrongSecretKey(
                "The signing keys in the database were encrypted with another secret key."
            ) from None
        return RSAKey.import_key(orjson.loads(private), {"kid": stored.kid})

    def public_keys(self) -> dict[str, Any]:
        """The JWK Set (RFC 7517) that our tokens are verified with."""
        keys = [
            {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
            for key in self._private.keys
        ]
        return {"keys": keys}

    def issue(self, key: str, scopes: frozenset[str]) -> str:
        """A new access token for the credential `key` (RFC 9068, section 2)."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": key,
            "client_id": key,
            "scope": " ".join(sorted(scopes)),
            "iat": now,
            "exp": now + self.ttl_seconds,
            "jti": uuid4().hex,
        }
        signing = self._private.keys[0]
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": signing.kid}
        return jwt.encode(header, claims, signing, [ALGORITHM])

    async def verify(self, token: str) -> TokenClaims:
        """What the token says, once its signature, issuer, audience and expiry are found right.

        Raises Unauthorized, or TokenExpired if it is good but too old.
        """
        try:
            unverified = jws.extract_compact(token.encode())
            issuer = orjson.loads(unverified.payload).get("iss")
            header = unverified.headers()
        except (JoseError, ValueError, AttributeError):
            raise _unauthorized("The access token cannot be read.") from None
        if self._outside and issuer == self._outside.issuer:
            return await self._verify_outside(token, header)
        if str(header.get("typ")).lower() not in ("at+jwt", "application/at+jwt"):
            raise _unauthorized("This is not an access token of this server.")
        await self._reload_unless(header.get("kid"))
        return _checked(token, self._private, [ALGORITHM], self.issuer, self.issuer)

    async def _reload_unless(self, kid: object) -> None:
        """Another server may have made the first key at the same time as this one."""
        known = any(key.kid == kid for key in self._private.keys)
        if not known and time.monotonic() - self._loaded_at > _RELOAD_SECONDS:
            await self.load()

    async def _verify_outside(self, token: str, header: dict[str, Any]) -> TokenClaims:
        assert self._outside is not None  # noqa: S101
        await self._reload_outside_unless(self._outside, header.get("kid"))
        return _checked(
            token,
            self._outside_keys,
            _OUTSIDE_ALGORITHMS,
            self._outside.issuer,
            self._outside.audience,
        )

    async def _reload_outside_unless(self, outside: ExternalIssuer, kid: object) -> None:
        """A key that the issuer has withdrawn is good no longer than it takes to ask again."""
        known = any(key.kid == kid for key in self._outside_keys.keys)
        if known and time.monotonic() - self._outside_loaded_at < _KEEP_OUTSIDE_SECONDS:
            return
        try:
            await self._load_outside(outside)
        except Unavailable as error:
            if not known:
                raise
            _log.warning("%s Those known before are still good.", error.detail)

    async def _load_outside(self, outside: ExternalIssuer) -> None:
        async with self._loading:
            if time.monotonic() - self._outside_loaded_at < _RELOAD_OUTSIDE_SECONDS:
                if self._outside_error:
                    raise self._outside_error
                return
            try:
                self._outside_keys = await fetch_jwks(outside.jwks)
                self._outside_error = None
            except JWKS_ERRORS as error:
                # Remembered: those who wait for this one do not each wait for another.
                self._outside_error = Unavailable(
                    f"The keys of the issuer {outside.issuer} cannot be read.",
                    headers={"Retry-After": "10"},
                )
                raise self._outside_error from error
            finally:
                self._outside_loaded_at = time.monotonic()


async def fetch_jwks(place: str) -> KeySet:
    """The keys at a URL or path. Raises one of JWKS_ERRORS."""
    return KeySet.import_key_set(orjson.loads(await _read(place)))


async def _read(place: str) -> bytes:
    if not place.startswith(("http://", "https://")):
        return await asyncio.to_thread(Path(place).read_bytes)
    async with httpx.AsyncClient(timeout=5.0) as client:
        response = await client.get(place)
        return response.raise_for_status().content


def _checked(
    token: str, keys: KeySet, algorithms: list[str], issuer: str, audience: str
) -> TokenClaims:
    claims_registry = jwt.JWTClaimsRegistry(
        leeway=0,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    try:
        claims = jwt.decode(token, keys, algorithms).claims
        claims_registry.validate(claims)
    except ExpiredTokenError:
        raise TokenExpired("The access token has expired.", headers=EXPIRED) from None
    except (JoseError, ValueError, TypeError):
        raise _unauthorized("The access token is not valid here.") from None
    key = claims.get("client_id") or claims.get("azp") or claims.get("sub")
    if not isinstance(key, str):
        raise _unauthorized("The access token names no client.")
    scope = claims.get("scope")
    scopes = frozenset(scope.split()) if isinstance(scope, str) else None
    return TokenClaims(key, scopes, float(claims["exp"]))


EXPIRED = {
    "WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token expired"'
}
INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def _unauthorized(detail: str) -> Unauthorized:
    return Unauthorized(detail, headers=INVALID)
