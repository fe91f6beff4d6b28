"""Use cases for LTI tools: add a tool, rotate its shared secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lrs.auth import credential_secrets, name_rules
from lrs.auth.secret_box import SecretBox
from lrs.errors import InvalidParameter, NotFound, Violation
from lrs.plurals import quantity
from lrs.store import tools as store
from lrs.store.postgres import Database

_MIN_SECRET_LENGTH, _MAX_LENGTH = 8, 255


@dataclass(frozen=True, slots=True)
class IssuedTool:
    """A new or rotated tool with its secret in clear text; the database keeps it encrypted."""

    name: str
    consumer_key: str
    secret: str


def check_name(name: str) -> str:
    """The name, if it is a valid tool name. Raises NotFound."""
    if not name_rules.is_valid(name):
        raise NotFound(f"Tool {name[:80]!r} not found.")
    return name


async def add_tool(
    database: Database,
    secret_box: SecretBox,
    partner_id: int,
    name: str,
    *,
    consumer_key: str | None = None,
    secret: str | None = None,
) -> IssuedTool:
    """Adds a tool; without a consumer key or secret, a random one is generated.

    Raises InvalidParameter (malformed name, key or secret) and Conflict (name or key exists).
    """
    name_rules.require_valid(name, "tool")
    key = credential_secrets.new_key() if consumer_key is None else consumer_key
    _check_length("consumer_key", "A consumer key", key, 1)
    secret = credential_secrets.new_secret() if secret is None else secret
    _check_length("secret", "A shared secret", secret, _MIN_SECRET_LENGTH)
    await store.add_tool(database, partner_id, name, key, secret_box.encrypt(secret.encode()))
    return IssuedTool(name, key, secret)


def _check_length(name: str, label: str, value: str, minimum: int) -> None:
    """Raises InvalidParameter, which does not quote the value."""
    if value.isprintable() and minimum <= len(value) <= _MAX_LENGTH:
        return
    length = quantity(len(value), "character")
    description = length if value.isprintable() else "one that is not printable"
    expected = f"must be {minimum} to {_MAX_LENGTH} printable characters"
    raise InvalidParameter(
        f"{label} {expected}, found {description}.",
        violations=[Violation(f"/{name}", f"{expected}, found {description}", "Tools")],
    )


async def rotate_tool(
    database: Database,
    secret_box: SecretBox,
    partner_id: int,
    name: str,
    overlap_until: datetime | None,
) -> IssuedTool:
    """Issues a new secret. The previous one stays valid until `overlap_until`; None: it ends now.

    Raises NotFound.
    """
    secret = credential_secrets.new_secret()
    encrypted = secret_box.encrypt(secret.encode())
    key = await store.rotate_tool(database, partner_id, check_name(name), encrypted, overlap_until)
    return IssuedTool(name, key, secret)
