"""Tools as an operator manages them: what they may be called, and their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lrs.auth import secrets
from lrs.auth.secret_box import SecretBox
from lrs.errors import InvalidParameter, NotFound
from lrs.store import tools as store
from lrs.store.postgres import Database

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LEAST_SECRET = 8


@dataclass(frozen=True, slots=True)
class IssuedTool:
    """A tool just added or rotated: the one time that its secret can be seen."""

    name: str
    consumer_key: str
    secret: str


def check_name(name: str) -> str:
    """The name, if a tool could have it. Raises NotFound."""
    if not _NAME.fullmatch(name):
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
    """A new tool, with a key and secret of its own or with new ones.

    Raises InvalidParameter if one of them cannot be used, Conflict if name or key is taken.
    """
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"{name[:80]!r} cannot be a tool's name: it must be 1 to 63 letters (A-Z, a-z), "
            "digits, dots, hyphens and underscores, and begin with a letter or digit."
        )
    key = secrets.new_key() if consumer_key is None else consumer_key
    if not (key.isprintable() and 1 <= len(key) <= 255):
        raise InvalidParameter("A consumer key must be 1 to 255 printable characters.")
    given = secrets.new_secret() if secret is None else secret
    if not (given.isprintable() and _LEAST_SECRET <= len(given) <= 255):
        raise InvalidParameter(
            f"A shared secret must be {_LEAST_SECRET} to 255 printable characters."
        )
    await store.add_tool(database, partner_id, name, key, secret_box.encrypt(given.encode()))
    return IssuedTool(name, key, given)


async def rotate_tool(
    database: Database, secret_box: SecretBox, partner_id: int, name: str, overlap_until: datetime
) -> IssuedTool:
    """A new secret; the old one stays good until `overlap_until`. Raises NotFound."""
    secret = secrets.new_secret()
    sealed = secret_box.encrypt(secret.encode())
    key = await store.rotate_tool(database, partner_id, check_name(name), sealed, overlap_until)
    return IssuedTool(name, key, secret)
