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
    """Encrypts with the secret key: JWE (RFC 7516), AES-256-GCM.

    `accepted_key` is a second secret key, with which data may be encrypted too while the secret key
    is replaced; empty: none.
    """

    def __init__(self, secret_key: str, accepted_key: str = "") -> None:
        self._secrets = [
            hashlib.sha256(key.encode()).digest() for key in (secret_key, accepted_key) if key
        ]
        self._keys = [OctKey.import_key(secret) for secret in self._secrets]

    def encrypt(self, content: bytes) -> str:
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, content, self._keys[0])

    def decrypt(self, encrypted: str) -> bytes:
        """Raises WrongSecretKey if the text is encrypted with another key, or changed."""
        for key in self._keys:
            if (content := _decrypt(encrypted, key)) is not None:
                return content
        raise WrongSecretKey("The text is encrypted with another secret key.")

    def reencrypt(self, encrypted: str) -> str:
        """The text, encrypted with the secret key; unchanged if it is already.

        Raises WrongSecretKey.
        """
        if _decrypt(encrypted, self._keys[0]) is not None:
            return encrypted
        return self.encrypt(self.decrypt(encrypted))

    def derive_keys(self, purpose: str) -> list[bytes]:
        """A key of 32 bytes for one purpose, from which no other key can be computed.

        The first is derived from the secret key, the second, if any, from the accepted one.
        """
        text = f"lrs {purpose}".encode()
        return [hmac.digest(secret, text, hashlib.sha256) for secret in self._secrets]


def _decrypt(encrypted: str, key: OctKey) -> bytes | None:
    try:
        return jwe.decrypt_compact(encrypted, key).plaintext or b""
    except (JoseError, ValueError):
        return None
