"""Signatures of webhooks: Standard Webhooks, https://www.standardwebhooks.com, version 1."""

from __future__ import annotations

import base64
import hashlib
import hmac

from lrs.errors import InvalidParameter

_PREFIX = "whsec_"


def signature_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a request. `timestamp` is in seconds since 1970. Raises InvalidParameter."""
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret_key(secret), content, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def secret_key(secret: str) -> bytes:
    """The key of a secret: base64 after `whsec_`. Raises InvalidParameter."""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise InvalidParameter(
            "Expected a webhook secret of `whsec_` and base64, as in `whsec_MfKQ9r8GKYqrTwjU`."
        ) from None
