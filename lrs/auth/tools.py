"""Use cases for LTI tools: add a tool, rotate its shared secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lrs.auth import credential_secrets, name_rules
from lrs.auth.secret_box import SecretBox
from lrs.errors import InvalidParameter, NotFound
from lrs.store import tools as store
from lrs.store.postgres import Database

_MIN_SECRET_LENGTH = 8


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
    if not (key.isprintable() and 1 <= len(key) <= 255):
        raise InvalidParameter("A consumer key must be 1 to 255 printable characters.")
    secret = credential_secrets.new_secret() if secret is None else secret
    if not (secret.isprintable() and _MIN_SECRET_LENGTH <= len(secret) <= 255):
        raise InvalidParameter(
            f"A shared secret must be {_MIN_SECRET_LENGTH} to 255 printable characters."
        )
    await store.add_tool(database, partner_id, name, key, secret_box.encrypt(secret.encode()))
    return IssuedTool(name, key, secret)


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
