"""Signatures of OAuth 1.0, two-legged, as LTI tools use them (RFC 5849, section 3).

oauthlib computes and compares the signature; Authlib does not support HMAC-SHA256. Its further
checks are replaced by Canvas's: any form of key and nonce, no `oauth_version`, another time window.
oauthlib does not know the body hash (draft-eaton-oauth-bodyhash).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.request import parse_http_list

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint
from oauthlib.oauth1.rfc5849 import signature
from oauthlib.oauth1.rfc5849.errors import OAuth1Error

from lrs.errors import Unauthorized

_log = logging.getLogger("lrs.auth")

INVALID_HEADER = "Invalid authorization header"
TOO_OLD = "Timestamp too old or too far in the future, request has expired"

WINDOW_SECONDS = 90 * 60
SKEW_SECONDS = 60

_BODY_HASHES = {"HMAC-SHA1": ("sha1",), "HMAC-SHA256": ("sha1", "sha256")}
"""Supported signature methods, and the hash functions of the body hash for each."""

# Every field of a form is part of the signature base string: a large form takes seconds to verify,
# before the client is authenticated.
_FORM = "application/x-www-form-urlencoded"
_MAX_FORM_BYTES = 65_536
_MAX_FORM_FIELDS = 100

_TIMESTAMP = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The signed parts of a request.

    `url` is the public URL, `authorization` the values of all Authorization headers.
    """

    method: str
    url: str
    authorization: Sequence[str]
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class OAuthSignature:
    """The nonce and the timestamp (seconds since 1970) of a valid signature."""

    nonce: str
    timestamp: int


def verify(
    request: SignedRequest, key: str, secrets: Iterable[str], *, require_body_hash: bool
) -> OAuthSignature:
    """Verifies that the request is signed with this consumer key and one of the secrets.

    Raises Unauthorized, whatever is wrong with the request; the log of level DEBUG says it.
    """
    verified, validators = None, [_Validator(key, secret) for secret in secrets]
    for validator in validators:
        verified = verified or _verify_signature(request, validator)
    if verified is None:
        _log_invalid_signature(validators)
        raise Unauthorized(INVALID_HEADER)
    if not _is_body_covered(request.body, verified, require_body_hash):
        _log.debug("invalid callback: oauth_body_hash is missing, or not that of the body")
        raise Unauthorized(INVALID_HEADER)
    timestamp = verified.timestamp or ""
    return OAuthSignature(verified.nonce, int(timestamp) if _TIMESTAMP.fullmatch(timestamp) else 0)


def is_nonce_retained(timestamp: int, now: int) -> bool:
    """Whether used nonces of this timestamp are still stored, so that a replay is detected.

    Raises Unauthorized for a timestamp outside Canvas's window.
    """
    if not now - WINDOW_SECONDS <= timestamp <= now + WINDOW_SECONDS:
        raise Unauthorized(TOO_OLD)
    return now - WINDOW_SECONDS < timestamp <= now + SKEW_SECONDS


class _Validator(RequestValidator):  # type: ignore[misc]
    """Accepts one client with one secret."""

    enforce_ssl = False  # TLS may end at a proxy
    dummy_client = ""

    def __init__(self, key: str, secret: str) -> None:
        super().__init__()
        self._key = key
        self._secret = secret
        self.parsed_request: Any = None

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return hmac.compare_digest(client_key.encode("utf-8", "surrogatepass"), self._key.encode())

    def get_client_secret(self, client_key: str, request: Any) -> str:
        self.parsed_request = request
        return self._secret

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return ""

    def validate_timestamp_and_nonce(
        self, client_key: str, timestamp: str, nonce: str, request: Any, **_: Any
    ) -> bool:
        return True  # checked after the signature: a forged request consumes no nonce


class _Endpoint(SignatureOnlyEndpoint):  # type: ignore[misc]
    def _check_mandatory_parameters(self, request: Any) -> None:
        request.signature_method = (request.signature_method or "").upper()
        is_supported = request.signature_method in _BODY_HASHES
        if not (is_supported and request.signature and request.client_key and request.nonce):
            raise OAuth1Error


def _verify_signature(request: SignedRequest, validator: _Validator) -> Any:
    """oauthlib's request object, or None if the signature is not valid."""
    if _FORM in request.content_type and _is_large_form(request.body):
        return None
    try:
        headers = {"Content-Type": request.content_type}
        if request.authorization:
            (authorization,) = request.authorization
            headers["Authorization"] = _oauth_parameters_only(authorization)
        body = request.body.decode("latin-1")
        is_valid, verified = _Endpoint(validator).validate_request(
            request.url, request.method, body, headers
        )
    except (OAuth1Error, ValueError, TypeError, AttributeError, KeyError):
        return None  # oauthlib raises any of these for malformed requests
    return verified if is_valid else None


def _log_invalid_signature(validators: Sequence[_Validator]) -> None:
    """Logs the signature base string, which a developer compares with that of the tool."""
    if not _log.isEnabledFor(logging.DEBUG):
        return
    parsed = next((item.parsed_request for item in validators if item.parsed_request), None)
    if parsed is None:
        _log.debug("invalid callback signature: unreadable OAuth parameters")
        return
    base_string = signature.signature_base_string(
        parsed.http_method,
        signature.base_string_uri(parsed.uri),
        signature.normalize_parameters(parsed.params),
    )
    has_key = any(item.validate_client_key(parsed.client_key, parsed) for item in validators)
    _log.debug(
        "invalid callback signature",
        extra={"base_string": base_string, "is_consumer_key_right": has_key},
    )


def _is_large_form(form: bytes) -> bool:
    return len(form) > _MAX_FORM_BYTES or form.count(b"&") >= _MAX_FORM_FIELDS


def _oauth_parameters_only(header: str) -> str:
    """The header without other parameters, which are not signed.

    Raises OAuth1Error if a parameter is repeated: oauthlib would use the last one.
    """
    scheme, _, rest = header.partition(" ")
    items = [item for item in parse_http_list(rest) if item.startswith("oauth_")]
    if len({item.partition("=")[0].strip() for item in items}) < len(items):
        raise OAuth1Error
    return f"{scheme} {', '.join(items)}" if items else ""


def _is_body_covered(body: bytes, verified: Any, required: bool) -> bool:
    """Whether the body hash matches the body, or is absent and not required.

    The hash of an empty body counts as absent: some clients sign before they have a body.
    """
    body_hash = verified.oauth_params.get("oauth_body_hash", "").encode("utf-8", "surrogatepass")
    names = _BODY_HASHES[verified.signature_method]
    is_empty_hash = [hmac.compare_digest(body_hash, _hash(name, b"")) for name in names]
    if not body_hash or (body and any(is_empty_hash)):
        return not required
    return any([hmac.compare_digest(body_hash, _hash(name, body)) for name in names])  # noqa: C419


def _hash(name: str, content: bytes) -> bytes:
    return base64.b64encode(hashlib.new(name, content).digest())
