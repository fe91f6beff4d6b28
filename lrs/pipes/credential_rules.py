"""Which credentials a pipe may have: what can be sent in a header, and what fits its direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrs.errors import InvalidParameter, Violation
from lrs.pipes import options as rules
from lrs.pipes import webhook
from lrs.pipes.options import Basic, Bearer, Credentials, OAuth2, Signed


def check(credentials: Credentials, direction: str, options: Mapping[str, Any]) -> None:
    """Raises InvalidParameter; its message has no secret."""
    if isinstance(credentials, Basic):
        if not credentials.key or ":" in credentials.key:
            raise _invalid("key", "expected a key without a colon (RFC 7617)")
    elif isinstance(credentials, Bearer):
        if not _is_token(credentials.token):
            raise _invalid("token", "expected visible ASCII characters without spaces (RFC 6750)")
    elif isinstance(credentials, OAuth2):
        rules.valid_url(credentials.token_url, "token URL", "/credentials/token_url")
        if not credentials.key:
            raise _invalid("key", "expected the client id")
    elif isinstance(credentials, Signed):
        if direction == "pull" or options.get("target") != "webhook":
            raise _invalid("kind", "expected another kind: a signing secret is for webhooks only")
        webhook.secret_key(credentials.secret)


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _invalid(name: str, detail: str) -> InvalidParameter:
    violation = Violation(f"/credentials/{name}", detail, rules.SECTION)
    return InvalidParameter(f"credentials: {name}: {detail}.", violations=[violation])
