"""Access tokens: JWTs (RFC 9068), signed with RS256 by keys that all workers share.

The signing keys are in the database, the private half encrypted. Tokens of one external issuer are
accepted too, if one is configured; their `client_id` (or `azp`, or `sub`) is the key of a
credential. joserfc validates the claims. Authlib's RFC 9068 validator would not do: it accepts a
token without `typ` and requires claims that external issuers omit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, RSAKey

from lrs.auth.jwks import ExternalIssuer, ExternalKeys
from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.errors import TokenExpired, Unauthorized
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import SigningKey

ALGORITHM = "RS256"
_EXTERNAL_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]
_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_MIN_RELOAD_SECONDS = 1.0

INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
EXPIRED_TOKEN = {
    "WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token expired"'
}


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The claims of a verified token: key of a credential, scopes, expiry (seconds since 1970).

    `scopes` is None if the token does not restrict those of the credential.
    """

    key: str
    scopes: frozenset[str] | None
    expires_at: float


class AccessTokens:
    """Issues and verifies access tokens. `issuer` is the public URL of this server."""

    def __init__(
        self,
        database: Database,
        *,
        issuer: str,
        secret_key: str,
        ttl_seconds: int,
        external_issuer: ExternalIssuer | None = None,
    ) -> None:
        self.issuer = issuer
        self.ttl_seconds = ttl_seconds
        self._database = database
        self._secret_box = SecretBox(secret_key)
        self._external_issuer = external_issuer
        self._external_keys = ExternalKeys(external_issuer) if external_issuer else None
        self._signing_keys = KeySet([])
        self._loaded_at = float("-inf")

    async def load(self) -> None:
        """Loads the signing keys; creates the first one. Raises WrongSecretKey."""
        stored = await registry.list_signing_keys(self._database)
        if not stored:
            await registry.add_first_signing_key(self._database, self._new_key())
            stored = await registry.list_signing_keys(self._database)
        self._signing_keys = KeySet([self._decrypt_key(key) for key in stored])
        self._loaded_at = time.monotonic()

    def _new_key(self) -> SigningKey:
        key = RSAKey.generate_key(2048, auto_kid=True)
        private = orjson.dumps(key.as_dict(private=True))
        public = orjson.dumps(key.as_dict(private=False)).decode()
        return SigningKey(str(key.kid), self._secret_box.encrypt(private), public)

    def _decrypt_key(self, stored: SigningKey) -> RSAKey:
        try:
            private = self._secret_box.decrypt(stored.private_jwe)
        except WrongSecretKey:
            raise WrongSecretKey(
                "The signing keys in the database are encrypted with another secret key."
            ) from None
        return RSAKey.import_key(orjson.loads(private), {"kid": stored.kid})

    def public_keys(self) -> dict[str, Any]:
        """The JWK Set (RFC 7517) with which clients verify tokens of this server."""
        keys = [
            {**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
            for key in self._signing_keys.keys
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
        signing_key = self._signing_keys.keys[0]
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": signing_key.kid}
        return jwt.encode(header, claims, signing_key, [ALGORITHM])

    async def verify(self, token: str) -> TokenClaims:
        """Verifies signature, issuer, audience and expiry (RFC 9068, section 4).

        Raises Unauthorized, TokenExpired, and Unavailable (no keys of the external issuer).
        """
        try:
            unverified = jws.extract_compact(token.encode())
            issuer = orjson.loads(unverified.payload).get("iss")
            header = unverified.headers()
        except (JoseError, ValueError, AttributeError):
            raise _unauthorized("The access token is malformed.") from None
        external = self._external_issuer
        if external and self._external_keys and issuer == external.issuer:
            keys = await self._external_keys.get(header.get("kid"))
            return _verify(token, keys, _EXTERNAL_ALGORITHMS, external.issuer, external.audience)
        if str(header.get("typ")).lower() not in _TOKEN_TYPES:
            raise _unauthorized("The token is not an access token of this server.")
        await self._reload_if_unknown(header.get("kid"))
        return _verify(token, self._signing_keys, [ALGORITHM], self.issuer, self.issuer)

    async def _reload_if_unknown(self, kid: object) -> None:
        """Loads a key that another server created after this one loaded its keys."""
        is_loaded = any(key.kid == kid for key in self._signing_keys.keys)
        if not is_loaded and time.monotonic() - self._loaded_at > _MIN_RELOAD_SECONDS:
            await self.load()


def _verify(
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
        raise TokenExpired("The access token has expired.", headers=EXPIRED_TOKEN) from None
    except (JoseError, ValueError, TypeError):
        raise _unauthorized("The access token is not valid.") from None
    key = claims.get("client_id") or claims.get("azp") or claims.get("sub")
    if not isinstance(key, str):
        raise _unauthorized("The access token has no client_id, azp or sub.")
    scope = claims.get("scope")
    scopes = frozenset(scope.split()) if isinstance(scope, str) else None
    return TokenClaims(key, scopes, float(claims["exp"]))


def _unauthorized(detail: str) -> Unauthorized:
    return Unauthorized(detail, headers=INVALID_TOKEN)
