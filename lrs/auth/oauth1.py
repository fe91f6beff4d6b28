"""Requests signed with OAuth 1.0, two-legged, as LTI tools sign them (RFC 5849, section 3).

oauthlib computes and compares the signature. What else it would refuse is decided here instead, as
Canvas decides it: no rules for the form of keys and nonces, no `oauth_version`, another window of
time. The body hash (draft-eaton-oauth-bodyhash) is no part of oauthlib.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.request import parse_http_list

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint
from oauthlib.oauth1.rfc5849.errors import OAuth1Error

from lrs.errors import Unauthorized

INVALID_HEADER = "Invalid authorization header"
TOO_OLD = "Timestamp too old or too far in the future, request has expired"

WINDOW_SECONDS = 90 * 60
SKEW_SECONDS = 60

_HASHES = {"HMAC-SHA1": ("sha1",), "HMAC-SHA256": ("sha1", "sha256")}
"""The methods that are taken, and the body hashes that go with each."""

# The fields of a form are signed one by one: of many, that takes seconds, whoever sends them.
_FORM = "application/x-www-form-urlencoded"
_MOST_BYTES = 65_536
_MOST_FIELDS = 100

_DIGITS = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came; `url` is the public one, `authorization` the headers of that name."""

    method: str
    url: str
    authorization: Sequence[str]
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """What a good signature covers beside the URL; `timestamp` in seconds since 1970."""

    nonce: str
    timestamp: int


def verify(
    request: SignedRequest, key: str, secrets: Iterable[str], *, require_body_hash: bool
) -> Signed:
    """What was signed, if it was with this consumer key and one of the secrets.

    Raises Unauthorized, whatever the request holds.
    """
    found = None
    for secret in secrets:
        found = found or _verified(request, _Validator(key, secret))
    if found is None or not _is_covered(request.body, found, require_body_hash):
        raise Unauthorized(INVALID_HEADER)
    timestamp = found.timestamp or ""
    return Signed(found.nonce, int(timestamp) if _DIGITS.fullmatch(timestamp) else 0)


def is_timely(timestamp: int, now: int) -> bool:
    """Whether a nonce of that time can still be told from a used one.

    Raises Unauthorized for a timestamp that is farther away than the window.
    """
    if not now - WINDOW_SECONDS <= timestamp <= now + WINDOW_SECONDS:
        raise Unauthorized(TOO_OLD)
    return now - WINDOW_SECONDS < timestamp <= now + SKEW_SECONDS


class _Validator(RequestValidator):  # type: ignore[misc]
    """The one client that may have signed a request."""

    enforce_ssl = False  # a proxy may have taken the TLS off
    dummy_client = ""

    def __init__(self, key: str, secret: str) -> None:
        super().__init__()
        self._key = key
        self._secret = secret

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        given = client_key.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self._key.encode())

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return self._secret

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return ""

    def validate_timestamp_and_nonce(
        self, client_key: str, timestamp: str, nonce: str, request: Any, **_: Any
    ) -> bool:
        return True  # after the signature: a forged request burns no nonce


class _Endpoint(SignatureOnlyEndpoint):  # type: ignore[misc]
    def _check_mandatory_parameters(self, request: Any) -> None:
        request.signature_method = (request.signature_method or "").upper()
        known = request.signature_method in _HASHES
        if not (known and request.signature and request.client_key and request.nonce):
            raise OAuth1Error


def _verified(request: SignedRequest, validator: _Validator) -> Any:
    """oauthlib's view of the request, if it is signed as the validator wants."""
    if _FORM in request.content_type and _is_long(request.body):
        return None
    try:
        headers = {"Content-Type": request.content_type}
        if request.authorization:
            (authorization,) = request.authorization
            headers["Authorization"] = _cleaned(authorization)
        body = request.body.decode("latin-1")
        good, found = _Endpoint(validator).validate_request(
            request.url, request.method, body, headers
        )
    except (OAuth1Error, ValueError, TypeError, AttributeError, KeyError):
        return None  # what it cannot read it may raise anything for
    return found if good else None


def _is_long(form: bytes) -> bool:
    return len(form) > _MOST_BYTES or form.count(b"&") >= _MOST_FIELDS


def _cleaned(header: str) -> str:
    """The header with nothing but OAuth's parameters, as nothing else of it is signed.

    Raises OAuth1Error if one stands there twice: oauthlib would take the last.
    """
    scheme, _, rest = header.partition(" ")
    items = [item for item in parse_http_list(rest) if item.startswith("oauth_")]
    if len({item.partition("=")[0].strip() for item in items}) < len(items):
        raise OAuth1Error
    return f"{scheme} {', '.join(items)}" if items else ""


def _is_covered(body: bytes, found: Any, required: bool) -> bool:
    """Whether the signature is of this body, or says nothing of it and need not.

    The hash of nothing says nothing: some clients sign before they have a body.
    """
    given = found.oauth_params.get("oauth_body_hash", "").encode("utf-8", "surrogatepass")
    names = _HASHES[found.signature_method]
    empty = [hmac.compare_digest(given, _hash(name, b"")) for name in names]
    if not given or (body and any(empty)):
        return not required
    return any([hmac.compare_digest(given, _hash(name, body)) for name in names])  # noqa: C419


def _hash(name: str, content: bytes) -> bytes:
    return base64.b64encode(hashlib.new(name, content).digest())
