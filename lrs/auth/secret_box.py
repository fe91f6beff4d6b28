"""What the secret key from the settings protects: texts in the database, and derived keys."""

from __future__ import annotations

import hashlib
import hmac

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from lrs.errors import OperatorError


class WrongSecretKey(OperatorError):
    """What is in the database was encrypted with another secret key than the one configured."""


class SecretBox:
    """Encrypts with the secret key (JWE, AES-256 in GCM)."""

    def __init__(self, secret_key: str) -> None:
        self._secret = hashlib.sha256(secret_key.encode()).digest()
        self._key = OctKey.import_key(self._secret)

    def encrypt(self, content: bytes) -> str:
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, content, self._key)

    def decrypt(self, sealed: str) -> bytes:
        """Raises WrongSecretKey if it was sealed with another key, or changed."""
        try:
            return jwe.decrypt_compact(sealed, self._key).plaintext or b""
        except (JoseError, ValueError):
            raise WrongSecretKey("This was encrypted with another secret key.") from None

    def derive_key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose; from it, neither the secret key nor others follow."""
        return hmac.digest(self._secret, f"lrs {purpose}".encode(), hashlib.sha256)
