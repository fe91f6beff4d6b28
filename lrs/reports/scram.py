"""The SCRAM-SHA-256 verifier of a password, as PostgreSQL stores it."""

from __future__ import annotations

import base64
import hashlib
import hmac


def scram_verifier(password: str, salt: bytes) -> str:
    """The SCRAM-SHA-256 verifier that PostgreSQL stores (RFC 5803).

    It is sent in place of the password, which would otherwise appear in the database's logs.
    """
    iterations = 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (salt, hashlib.sha256(client_key).digest(), server_key)
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in parts)
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"
