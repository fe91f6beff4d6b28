"""Keys and secrets of credentials: made, hashed, compared.

A secret is 256 random bits, so that one SHA-256 keeps it as safe as a slow hash would. It is shown
when it is made and never again.
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
    # Hexadecimal: a leading "-" would be taken for an option by other people's commands.
    return secrets.token_hex(32)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def matches_any(secret_hash: bytes, good: Iterable[bytes]) -> bool:
    """Whether it is one of the good ones; takes the same time whichever it is."""
    return any([hmac.compare_digest(secret_hash, each) for each in good])  # noqa: C419


def bearer_token(key: str, secret: str) -> str:
    """The static token of a `bearer` credential."""
    return f"{key}{SEPARATOR}{secret}"


def split_bearer_token(token: str) -> tuple[str, str] | None:
    """Key and secret of a static token; None if it does not look like one."""
    key, separator, secret = token.partition(SEPARATOR)
    if not (key and separator and secret) or SEPARATOR in secret:
        return None
    return key, secret
