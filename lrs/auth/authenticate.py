"""Authentication: from an Authorization header to the caller.

What a header proves (knowledge of a secret, or the signature of a token) is cached until it is
evicted. The credential is read again after `cache_seconds`, so that a revocation or rotation takes
effect. The signature of a token is verified again after `proof_seconds`, so that the retirement of
a signing key takes effect.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from lrs.auth import credential_secrets, scopes
from lrs.auth.token_claims import EXPIRED_TOKEN, INVALID_TOKEN
from lrs.auth.tokens import AccessTokens
from lrs.errors import PartnerDisabled, TokenExpired, Unauthorized
from lrs.limits.model import Subject
from lrs.limits.services import LimitServices
from lrs.store import registry
from lrs.store.batching import SingleFlight
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Database
from lrs.store.registry import Credential
from lrs.xapi.authorities import account_authority

_MAX_CACHED_CALLERS = 10_000
_MAX_KEY_LENGTH = 2048
PROOF_SECONDS = 30.0
REALM = "lrs"
_CHALLENGES = {"basic": f'Basic realm="{REALM}"', "bearer": "Bearer"}


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client: its credential's key, its partner, scopes and authority.

    `scopes` include the implied ones; `authority` is an agent as JSON text. `subjects` have the
    limits that apply: those of the partner and of the credential. `token_expires_at` is that of an
    access token, in seconds since 1970.
    """

    key: str
    partner_id: int
    partner: str
    home_page: str
    scopes: frozenset[str]
    authority: str
    authority_key: int
    subjects: tuple[Subject, ...]
    partner_settings: PartnerSettings
    token_expires_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class CredentialProof:
    """What an Authorization header proves about the credential `key`.

    `secret_hash` is the hash of the secret in the header, None for an access token, whose scopes
    are `scopes`. `secret_id` identifies the secret with which this server issued the token.
    `expires_at` is in seconds since 1970, `verified_until` of time.monotonic.
    """

    key: str
    kind: str
    secret_hash: bytes | None = None
    scopes: frozenset[str] | None = None
    secret_id: str | None = None
    expires_at: float = float("inf")
    verified_until: float = float("inf")

    @property
    def is_verified(self) -> bool:
        return self.verified_until > time.monotonic()


@dataclass(frozen=True, slots=True)
class _CachedCaller:
    """A caller, valid until `fresh_until` (of time.monotonic), and the proof to renew it."""

    scheme: str
    caller: Caller
    proof: CredentialProof
    fresh_until: float

    @property
    def is_fresh(self) -> bool:
        return self.fresh_until > time.monotonic() and self.proof.expires_at > time.time()


class Authenticator:
    """Authenticates requests; caches callers, least recently verified ones evicted first."""

    def __init__(
        self,
        database: Database,
        tokens: AccessTokens,
        limits: LimitServices,
        *,
        cache_seconds: float,
        proof_seconds: float = PROOF_SECONDS,
    ) -> None:
        # All requests of a client renew its cached proof at the same time: they share a query.
        self._credentials: SingleFlight[str, Credential | None] = SingleFlight(
            partial(registry.find_credential, database)
        )
        self._tokens = tokens
        self._failure_throttle = limits.failures
        self._default_limits = limits.default
        self._cache_seconds = cache_seconds
        self._proof_seconds = proof_seconds
        self._caller_cache: OrderedDict[str | bytes, _CachedCaller] = OrderedDict()

    def cached_caller(self, authorization: str | None, schemes: frozenset[str]) -> Caller | None:
        """The caller that `authenticate` would return at once; None if it has to verify one."""
        cached = self._caller_cache.get(_cache_key(authorization)) if authorization else None
        if cached is not None and cached.scheme in schemes and cached.is_fresh:
            return cached.caller
        return None

    async def authenticate(
        self, authorization: str | None, schemes: frozenset[str], address: str
    ) -> Caller:
        """The caller that the header authenticates; `schemes` are "basic", "bearer" or both.

        `address` is that of the client. Raises Unauthorized, TokenExpired, TooManyRequests (failed
        authentications), and Unavailable.
        """
        scheme = (authorization or "").partition(" ")[0].lower()
        if authorization is None or scheme not in schemes:
            names = " or ".join(sorted(name.capitalize() for name in schemes))
            raise Unauthorized(
                f"The request has no Authorization header with {names} credentials.",
                headers={"WWW-Authenticate": _challenge(schemes)},
            )
        key = _cache_key(authorization)
        cached = self._caller_cache.get(key)
        if cached and cached.is_fresh:
            return cached.caller
        try:
            if cached and cached.proof.is_verified:
                proof, credential = cached.proof, await self._renew(key, cached.proof)
            else:
                # The token of a retired key is no guess: it was valid.
                proof = await self._prove(scheme, authorization, None if cached else address)
                credential = await self.authenticate_client(proof, address)
        except Unauthorized as error:
            if scheme == "basic":
                error.headers["WWW-Authenticate"] = _challenge(schemes)
            raise
        caller = _caller(credential, proof, self.subjects(credential))
        self._cache(key, _CachedCaller(scheme, caller, proof, self._fresh_until(proof)))
        return caller

    async def authenticate_client(self, proof: CredentialProof, address: str) -> Credential:
        """The credential to which a new proof applies, unless too many failed.

        Raises Unauthorized and TooManyRequests.
        """
        throttle = self._failure_throttle
        if proof.secret_hash is not None:
            throttle.check(address, proof.key)
        try:
            credential = await self.verify(proof)
        except Unauthorized:
            # A signed token is not guessed: it may have ended with its secret or credential.
            if proof.secret_hash is not None:
                throttle.failed(address, proof.key)
            raise
        throttle.succeeded(proof.key)
        return credential

    def subjects(self, credential: Credential) -> tuple[Subject, ...]:
        """Whose limits apply to a request with this credential."""
        return self._default_limits.subjects(
            credential.partner_id, credential.key, credential.partner_limits, credential.limits
        )

    async def _renew(self, key: str | bytes, proof: CredentialProof) -> Credential:
        """The credential of a cached proof."""
        _check_expiry(proof)
        try:
            return await self.verify(proof)
        except Unauthorized:
            self._caller_cache.pop(key, None)
            raise

    async def verify(self, proof: CredentialProof) -> Credential:
        """The active credential to which the proof still applies.

        Raises Unauthorized and PartnerDisabled.
        """
        credential = await self._credentials.load(proof.key)
        now = datetime.now(UTC)
        if credential is None:
            raise _invalid_credentials("no credential has this key")
        if proof.secret_hash is not None and not (
            credential.kind == proof.kind
            and credential_secrets.matches_any(proof.secret_hash, credential.secret_hashes(now))
        ):
            raise _invalid_credentials(_mismatch(proof, credential))
        if proof.secret_id is not None and not _is_secret_valid(proof.secret_id, credential, now):
            raise Unauthorized(
                "The access token ended with the secret it was issued with.", headers=INVALID_TOKEN
            )
        if not credential.is_active(now):
            error = Unauthorized("The credential is revoked or expired.", headers=INVALID_TOKEN)
            error.reason = f"the credential is {'revoked' if credential.revoked_at else 'expired'}"
            raise error
        if credential.partner_disabled_reason is not None:
            raise disabled(credential.partner, credential.partner_disabled_reason)
        return credential

    async def _prove(self, scheme: str, authorization: str, address: str | None) -> CredentialProof:
        """What a header proves; a token is verified, a secret is not.

        A failure counts for the address unless that is None.

        A valid access token is accepted from an address with any number of failures: it cannot be
        guessed, and other clients may share the address.
        """
        value = authorization.partition(" ")[2].strip()
        try:
            if scheme == "basic":
                return parse_basic(value)
            if static_token := credential_secrets.split_bearer_token(value):
                key, secret = static_token
                return CredentialProof(key, "bearer", credential_secrets.hash_secret(secret))
            claims = await self._tokens.verify(value)
        except TokenExpired:
            raise
        except Unauthorized:
            if address is not None:
                self._failure_throttle.check(address, None)
                self._failure_throttle.failed(address, None)
            raise
        proof = CredentialProof(
            claims.key,
            "client",
            scopes=claims.scopes,
            secret_id=claims.secret_id,
            expires_at=claims.expires_at,
            verified_until=time.monotonic() + self._proof_seconds,
        )
        _check_expiry(proof)
        return proof

    def _fresh_until(self, proof: CredentialProof) -> float:
        return min(time.monotonic() + self._cache_seconds, proof.verified_until)

    def _cache(self, key: str | bytes, cached: _CachedCaller) -> None:
        self._caller_cache[key] = cached
        self._caller_cache.move_to_end(key)
        if len(self._caller_cache) > _MAX_CACHED_CALLERS:
            self._caller_cache.popitem(last=False)


def _cache_key(authorization: str) -> str | bytes:
    """The header itself, which takes a third of the time of its hash; of a long one, the hash."""
    if len(authorization) <= _MAX_KEY_LENGTH:
        return authorization
    return hashlib.sha256(authorization.encode("utf-8", "surrogatepass")).digest()


def disabled(partner: str, reason: str) -> PartnerDisabled:
    """The error for a request of a disabled partner."""
    return PartnerDisabled(f"Partner {partner!r} is disabled: {reason.rstrip('.')}.")


def parse_basic(value: str, decode: Callable[[str], str] = str) -> CredentialProof:
    """The proof in Basic credentials (RFC 7617). Raises Unauthorized.

    `decode` is applied to key and secret: the token endpoint needs form decoding (RFC 6749, section
    2.3.1). Authlib's parser decodes always, keeps "+", and ignores characters that are not base64.
    """
    try:
        text = base64.b64decode(value, validate=True).decode()
    except ValueError:
        raise _invalid_credentials("the Basic credentials are not base64") from None
    key, colon, secret = text.partition(":")
    if not colon:
        raise _invalid_credentials("the Basic credentials have no colon after the key")
    return CredentialProof(decode(key), "client", credential_secrets.hash_secret(decode(secret)))


def _is_secret_valid(secret_id: str, credential: Credential, now: datetime) -> bool:
    """Whether the secret with this id is valid.

    The id is empty in tokens of an earlier version: these count as issued with the oldest secret.
    """
    oldest = credential.previous_secret_hash or credential.secret_hash
    issued_with = secret_id or credential_secrets.secret_id(oldest)
    valid = map(credential_secrets.secret_id, credential.secret_hashes(now))
    return issued_with in valid


def _check_expiry(proof: CredentialProof) -> None:
    if proof.expires_at <= time.time():
        raise TokenExpired("The access token has expired.", headers=EXPIRED_TOKEN)


def _challenge(schemes: frozenset[str]) -> str:
    return ", ".join(_CHALLENGES[scheme] for scheme in sorted(schemes))


def _invalid_credentials(reason: str) -> Unauthorized:
    """The error for a client, which does not learn the reason."""
    error = Unauthorized("Invalid credentials.", headers=INVALID_TOKEN)
    error.reason = reason
    return error


def _mismatch(proof: CredentialProof, credential: Credential) -> str:
    """Why the secret of a proof is refused, for operators."""
    if credential.kind != proof.kind:
        expected = {"client": "key and secret", "bearer": "a static token"}[credential.kind]
        return f"the credential is of kind {credential.kind}: it needs {expected}"
    previous = credential.previous_secret_hash
    if previous and credential_secrets.matches_any(proof.secret_hash or b"", [previous]):
        return "the secret was replaced by a rotation"
    return "wrong secret"


def caller_of(credential: Credential, subjects: tuple[Subject, ...]) -> Caller:
    """The caller as which an operator sends an item of the credential again."""
    return _caller(credential, CredentialProof(credential.key, credential.kind), subjects)


def _caller(
    credential: Credential, proof: CredentialProof, subjects: tuple[Subject, ...]
) -> Caller:
    token_scopes = proof.scopes
    granted = scopes.expand(credential.scopes)
    if token_scopes is not None and scopes.ALL_GRANTED not in token_scopes:
        granted &= scopes.expand(token_scopes)
    authority = account_authority(credential.home_page, credential.key, credential.label)
    return Caller(
        credential.key,
        credential.partner_id,
        credential.partner,
        credential.home_page,
        granted,
        authority.text,
        authority.key,
        subjects,
        credential.partner_settings,
        proof.expires_at,
    )
