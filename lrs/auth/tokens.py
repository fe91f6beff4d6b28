"""Access tokens: JWTs (RFC 9068), signed with RS256 by keys that all workers share.

Tokens of one external issuer are accepted too, if one is configured; they name a credential.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from joserfc import jwt

from lrs.auth import credential_secrets, token_claims
from lrs.auth.jwks import ExternalIssuer, ExternalKeys
from lrs.auth.signing_keys import ALGORITHM, SigningKeys
from lrs.auth.token_claims import ACCESS_TOKEN

_EXTERNAL_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]
_SECRET_CLAIM = "secret_id"  # noqa: S105


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The claims of a verified token: key of a credential, scopes, expiry (seconds since 1970).

    `secret_id` identifies the secret with which a token of this server was issued (see
    `credential_secrets.secret_id`); it is None for a token of an external issuer.
    """

    key: str
    scopes: frozenset[str]
    expires_at: float
    secret_id: str | None


class AccessTokens:
    """Issues and verifies access tokens. `issuer` is the public URL of this server."""

    def __init__(
        self,
        signing_keys: SigningKeys,
        *,
        issuer: str,
        ttl_seconds: int,
        external_issuer: ExternalIssuer | None = None,
    ) -> None:
        self.issuer = issuer
        self.ttl_seconds = ttl_seconds
        self.signing_keys = signing_keys
        self._external_keys = ExternalKeys(external_issuer) if external_issuer else None

    def issue(self, key: str, scopes: frozenset[str], secret_hash: bytes) -> str:
        """A new access token for the credential `key` (RFC 9068, section 2).

        It is valid as long as the secret with this hash.
        """
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
            _SECRET_CLAIM: credential_secrets.secret_id(secret_hash),
        }
        signing_key = self.signing_keys.newest
        header = {"alg": ALGORITHM, "typ": ACCESS_TOKEN, "kid": signing_key.kid}
        return jwt.encode(header, claims, signing_key, [ALGORITHM])

    async def verify(self, token: str) -> TokenClaims:
        """Verifies type, signature, issuer, audience and times (RFC 9068, section 4).

        Raises Unauthorized, TokenExpired, and Unavailable (no keys of the external issuer).
        """
        header, issuer = token_claims.read_unverified(token)
        if self._external_keys and issuer == self._external_keys.issuer.issuer:
            return await _verify_external(self._external_keys, token, header)
        token_claims.require_type(header, is_own=True)
        await self.signing_keys.reload_if_unknown(header.get("kid"))
        claims = token_claims.verify(
            token, self.signing_keys.key_set, [ALGORITHM], issuer=self.issuer, audience=self.issuer
        )
        key = token_claims.client(claims, "client_id")
        secret_id = str(claims.get(_SECRET_CLAIM, ""))
        return TokenClaims(key, token_claims.scopes(claims), float(claims["exp"]), secret_id)


async def _verify_external(
    keys: ExternalKeys, token: str, header: Mapping[str, Any]
) -> TokenClaims:
    token_claims.require_type(header, is_own=False)
    if header.get("alg") not in _EXTERNAL_ALGORITHMS:
        raise token_claims.unauthorized("The algorithm of the access token is not supported.")
    issuer = keys.issuer
    claims = token_claims.verify(
        token,
        await keys.get(header.get("kid")),
        _EXTERNAL_ALGORITHMS,
        issuer=issuer.issuer,
        audience=issuer.audience,
    )
    token_claims.require_access_token(claims)
    key = token_claims.client(claims, issuer.client_claim)
    return TokenClaims(key, token_claims.scopes(claims), float(claims["exp"]), None)
