"""The form of the token in a callback URL: the key of its row, signed.

The signature is not what protects a callback: that is the secret of the tool. It only keeps guesses
from the database. A token has hexadecimal digits only, since tools replace `xapi` in the URL by
`caliper`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from lrs.store.callback_tokens import TokenKey

_PARTNER_BYTES, _ID_BYTES, _SIGNATURE_BYTES = 4, 16, 8
_FORM = re.compile(f"[0-9a-f]{{{2 * (_PARTNER_BYTES + _ID_BYTES + _SIGNATURE_BYTES)}}}")


class NotSigned(Exception):
    """The token has the form, but not the signature."""


def token_key(partner_id: int, tool: str, user: str, course: str) -> TokenKey:
    """The same for equal launches, so that they share a row."""
    content = msgspec.json.encode([tool, user, course])
    return partner_id, blake2b(content, digest_size=_ID_BYTES, person=b"callback").digest()


def encode(key: TokenKey, secret: bytes) -> str:
    partner_id, token_id = key
    content = partner_id.to_bytes(_PARTNER_BYTES, "big") + token_id
    return (content + _signature(content, secret)).hex()


def decode(token: str, secrets: Iterable[bytes]) -> TokenKey | None:
    """The key; None if the token has another form. Raises NotSigned."""
    if not _FORM.fullmatch(token):
        return None
    data = bytes.fromhex(token)
    content, signature = data[:-_SIGNATURE_BYTES], data[-_SIGNATURE_BYTES:]
    if not any([hmac.compare_digest(signature, _signature(content, key)) for key in secrets]):  # noqa: C419
        raise NotSigned
    return int.from_bytes(content[:_PARTNER_BYTES], "big"), content[_PARTNER_BYTES:]


def _signature(content: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, content, "sha256")[:_SIGNATURE_BYTES]
