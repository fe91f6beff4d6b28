"""The secret key in a backup: JWE (RFC 7516), encrypted with a key derived from a passphrase."""

from __future__ import annotations

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from lrs.backup.programs import BackupError

MIN_PASSPHRASE_LENGTH = 12

_HEADER = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 300_000}
_REGISTRY = jwe.JWERegistry(algorithms=["PBES2-HS512+A256KW", "A256GCM"])


def wrap(secret_key: str, passphrase: str) -> str:
    """The encrypted key. Raises BackupError for a short passphrase."""
    if len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise BackupError(f"The passphrase has fewer than {MIN_PASSPHRASE_LENGTH} characters.")
    key = OctKey.import_key(passphrase.encode())
    return jwe.encrypt_compact(_HEADER, secret_key.encode(), key, registry=_REGISTRY)


def unwrap(encrypted: str, passphrase: str) -> str:
    """The secret key. Raises BackupError for another passphrase."""
    try:
        key = OctKey.import_key(passphrase.encode())
        content = jwe.decrypt_compact(encrypted.strip(), key, registry=_REGISTRY).plaintext
    except (JoseError, ValueError):
        raise BackupError("The passphrase does not open the secret key of the backup.") from None
    return (content or b"").decode()
