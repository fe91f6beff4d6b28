"""The key that a request names, before or without its verification; never a secret."""

from __future__ import annotations

import re
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError

from lrs.auth import credential_secrets
from lrs.auth.authenticate import parse_basic
from lrs.errors import Unauthorized

_MAX_LENGTH = 128
_MAX_HEADER_LENGTH = 8192

# Secrets of this server have 64 characters; keys and client ids have fewer than 40. A client that
# swaps key and secret sends its secret as the key.
_SECRET = re.compile(r"[A-Za-z0-9_+/=-]{40,}")
_SECRET_IN_TEXT = re.compile(r"[A-Za-z0-9_-]{40,}")

_CLIENT_CLAIMS = ("client_id", "azp", "sub")


def read(authorization: str | None) -> str | None:
    """The key in an Authorization header: the user name of Basic, the key of a static token, or
    the client in the claims of a JWT; None if there is none."""
    scheme, _, value = (authorization or "")[:_MAX_HEADER_LENGTH].partition(" ")
    value = value.strip()
    if scheme.lower() == "basic":
        return _basic_key(value)
    if scheme.lower() == "bearer":
        if static_token := credential_secrets.split_bearer_token(value):
            return mask(static_token[0])
        return _client_claim(value)
    return None


def _basic_key(value: str) -> str | None:
    try:
        return mask(parse_basic(value).key)
    except Unauthorized:
        return None


def _client_claim(token: str) -> str | None:
    try:
        claims: Any = orjson.loads(jws.extract_compact(token.encode()).payload)
    except (JoseError, ValueError, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    values = [claims.get(name) for name in _CLIENT_CLAIMS]
    return next((mask(value) for value in values if isinstance(value, str)), None)


def mask(key: str) -> str | None:
    """A key of a request for logs and lists, shortened where it may be a secret."""
    return _SECRET.sub(lambda match: f"{match[0][:4]}…", key)[:_MAX_LENGTH] or None


def mask_text(text: str) -> str:
    """A path or message without tokens: callback URLs have one, and clients misplace them."""
    return _SECRET_IN_TEXT.sub(lambda match: f"{match[0][:4]}…", text)
