"""Who is calling: from an Authorization header to the credential that it proves.

What a header proves (possession of a secret, a signature) is worked out once and remembered; the
credential itself is looked up again every moment, so that a revocation takes effect.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from lrs.auth import scopes, secrets
from lrs.auth.tokens import EXPIRED, INVALID, AccessTokens
from lrs.errors import TokenExpired, Unauthorized
from lrs.store import registry
from lrs.store.postgres import Database
from lrs.store.registry import Credential
from lrs.xapi import index_keys

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and what it may do. `authority` is the agent's JSON text."""

    key: str
    partner_id: int
    partner: str
    home_page: str
    scopes: frozenset[str]
    authority: str
    authority_key: int


@dataclass(frozen=True, slots=True)
class CredentialProof:
    """What an Authorization header has been found to prove, for good.

    `secret_hash` is that of the secret it holds (None for an access token), `scopes` those that it
    is limited to, `expires_at` seconds since 1970.
    """

    key: str
    kind: str
    secret_hash: bytes | None = None
    scopes: frozenset[str] | None = None
    expires_at: float = float("inf")


class Authenticator:
    """Turns Authorization headers into callers."""

    def __init__(self, database: Database, tokens: AccessTokens, *, cache_seconds: float) -> None:
        self._database = database
        self._tokens = tokens
        self._cache_seconds = cache_seconds
        self._callers: OrderedDict[bytes, tuple[float, CredentialProof, Caller]] = OrderedDict()

    async def authenticate(self, authorization: str | None, schemes: frozenset[str]) -> Caller:
        """Who sent this header. Raises Unauthorized, or TokenExpired for a token that was good.

        `schemes` are those that the resource takes: "basic", "bearer".
        """
        scheme = _scheme(authorization)
        if authorization is None or scheme not in schemes:
            wanted = " or ".join(sorted(each.capitalize() for each in schemes))
            raise Unauthorized(
                f"An Authorization header with {wanted} credentials is needed.",
                headers={"WWW-Authenticate": _challenge(schemes)},
            )
        header = hashlib.sha256(authorization.encode("utf-8", "surrogatepass")).digest()
        known = self._callers.get(header)
        if known and known[0] > time.monotonic() and known[1].expires_at > time.time():
            return known[2]
        try:
            proof = known[1] if known else await self._prove(scheme, authorization)
            if proof.expires_at <= time.time():
                raise TokenExpired("The access token has expired.", headers=EXPIRED)
            credential = await self.verify(proof)
        except Unauthorized as error:
            if scheme == "basic":
                error.headers["WWW-Authenticate"] = _challenge(schemes)
            raise
        caller = _caller(credential, proof.scopes)
        self._remember(header, proof, caller)
        return caller

    async def verify(self, proof: CredentialProof) -> Credential:
        """The credential, if what was proved is still enough for it. Raises Unauthorized."""
        credential = await registry.find_credential(self._database, proof.key)
        now = datetime.now(UTC)
        if credential is None or (credential.kind != proof.kind and proof.secret_hash is not None):
            raise _refused()
        if proof.secret_hash is not None and not secrets.matches_any(
            proof.secret_hash, credential.secret_hashes(now)
        ):
            raise _refused()
        if not credential.is_active(now):
            raise Unauthorized("The credential has been revoked or has expired.", headers=INVALID)
        return credential

    async def _prove(self, scheme: str, authorization: str) -> CredentialProof:
        value = authorization.partition(" ")[2].strip()
        if scheme == "basic":
            return parse_basic(value)
        if static := secrets.split_bearer_token(value):
            return CredentialProof(static[0], "bearer", secrets.hash_secret(static[1]))
        claims = await self._tokens.verify(value)
        return CredentialProof(claims.key, "client", None, claims.scopes, claims.expires_at)

    def _remember(self, header: bytes, proof: CredentialProof, caller: Caller) -> None:
        self._callers[header] = (time.monotonic() + self._cache_seconds, proof, caller)
        self._callers.move_to_end(header)
        if len(self._callers) > _REMEMBERED:
            self._callers.popitem(last=False)


def parse_basic(value: str, decode: Callable[[str], str] = str) -> CredentialProof:
    """Key and secret of Basic credentials (RFC 7617), each decoded (RFC 6749 2.3.1 wants it).

    Raises Unauthorized.
    """
    try:
        text = base64.b64decode(value, validate=True).decode()
    except ValueError:
        raise _refused() from None
    key, colon, secret = text.partition(":")
    if not colon:
        raise _refused()
    return CredentialProof(decode(key), "client", secrets.hash_secret(decode(secret)))


def _scheme(authorization: str | None) -> str:
    return (authorization or "").partition(" ")[0].lower()


def _challenge(schemes: frozenset[str]) -> str:
    return ", ".join(
        {"basic": 'Basic realm="lrs"', "bearer": "Bearer"}[each] for each in sorted(schemes)
    )


def _refused() -> Unauthorized:
    return Unauthorized("The credentials are not known here.", headers=INVALID)


def _caller(credential: Credential, limited_to: frozenset[str] | None) -> Caller:
    held = scopes.expand(credential.scopes)
    if limited_to is not None and scopes.ALL_GRANTED not in limited_to:
        held &= scopes.expand(limited_to)
    agent = {
        "objectType": "Agent",
        **({"name": credential.label} if credential.label else {}),
        "account": {"homePage": credential.home_page, "name": credential.key},
    }
    authority_key = index_keys.agent_key(agent)
    assert authority_key is not None  # noqa: S101 - it has an account
    return Caller(
        credential.key,
        credential.partner_id,
        credential.partner,
        credential.home_page,
        held,
        orjson.dumps(agent).decode(),
        authority_key,
    )
