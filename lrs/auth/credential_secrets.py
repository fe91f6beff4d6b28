"""Keys and secrets of credentials: generated, hashed, compared.

A secret has 256 random bits. It cannot be guessed, so that SHA-256 is as safe as a slow hash. The
clear text is returned once and not stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

SEPARATOR = "."


def new_key() -> str:
    return secrets.token_hex(12)


def new_secret() -> str:
    # Hexadecimal: command line tools parse a leading "-" as an option.
    return secrets.token_hex(32)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def secret_id(secret_hash: bytes) -> str:
    """An id of the secret, from which neither the secret nor its hash can be computed."""
    return hashlib.sha256(b"secret id" + secret_hash).hexdigest()[:16]


def matches_any(secret_hash: bytes, valid_hashes: Iterable[bytes]) -> bool:
    """Whether the hash is one of the valid ones, compared in constant time."""
    return any([hmac.compare_digest(secret_hash, valid) for valid in valid_hashes])  # noqa: C419


def bearer_token(key: str, secret: str) -> str:
    """The static token of a `bearer` credential."""
    return f"{key}{SEPARATOR}{secret}"


def split_bearer_token(token: str) -> tuple[str, str] | None:
    """Key and secret of a static token; None if the token has another form."""
    key, separator, secret = token.partition(SEPARATOR)
    if not (key and separator and secret) or SEPARATOR in secret:
        return None
    return key, secret
