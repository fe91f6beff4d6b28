"""Encryption with the secret key from the settings, and keys derived from it."""

from __future__ import annotations

import hashlib
import hmac

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from lrs.errors import OperatorError


class WrongSecretKey(OperatorError):
    """Data in the database is encrypted with another secret key than the configured one."""


class SecretBox:
    """Encrypts with the secret key: JWE (RFC 7516), AES-256-GCM."""

    def __init__(self, secret_key: str) -> None:
        self._secret = hashlib.sha256(secret_key.encode()).digest()
        self._key = OctKey.import_key(self._secret)

    def encrypt(self, content: bytes) -> str:
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, content, self._key)

    def decrypt(self, encrypted: str) -> bytes:
        """Raises WrongSecretKey if the text is encrypted with another key, or changed."""
        try:
            return jwe.decrypt_compact(encrypted, self._key).plaintext or b""
        except (JoseError, ValueError):
            raise WrongSecretKey("The text is encrypted with another secret key.") from None

    def derive_key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, from which no other key can be computed."""
        return hmac.digest(self._secret, f"lrs {purpose}".encode(), hashlib.sha256)
