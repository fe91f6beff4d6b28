"""LTI tools of partners, and the secrets with which they sign callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from lrs.errors import Conflict, NotFound
from lrs.store import partner_settings
from lrs.store.named_queries import fetch
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Database
from lrs.store.registry import LimitOverrides, decode_limits


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of a partner. Its secrets are encrypted (JWE, see `lrs.auth.secret_box`).

    `page_views` is the partner's setting, None for the server's default. `reused_ids` is the number
    of reports that were counted under another id because theirs was taken; only lists have it.
    """

    partner_id: int
    partner: str
    home_page: str
    page_views: bool | None
    name: str
    consumer_key: str
    secret_jwe: str
    previous_secret_jwe: str | None
    previous_secret_until: datetime | None
    created_at: datetime
    revoked_at: datetime | None
    partner_limits: LimitOverrides
    partner_settings: PartnerSettings
    reused_ids: int = 0
    partner_disabled_reason: str | None = None

    def encrypted_secrets(self, now: datetime) -> list[str]:
        """The valid secrets: two during the overlap of a rotation."""
        encrypted = [self.secret_jwe]
        until = self.previous_secret_until
        if self.previous_secret_jwe and until and now < until:
            encrypted.append(self.previous_secret_jwe)
        return encrypted


@dataclass(frozen=True, slots=True)
class ToolSecrets:
    """The encrypted secrets of a tool."""

    partner_id: int
    partner: str
    name: str
    secret_jwe: str
    previous_secret_jwe: str | None


async def add_tool(
    database: Database, partner_id: int, name: str, consumer_key: str, secret_jwe: str
) -> None:
    """Raises Conflict if the name or the consumer key is taken within the partner."""
    if not await fetch(database.writers, "insert_tool", partner_id, name, consumer_key, secret_jwe):
        raise Conflict(f"Tool {name!r} or consumer key {consumer_key!r} already exists.")


async def list_tools(database: Database, partner: str | None) -> list[Tool]:
    """The tools of the partner with this name, or of every partner."""
    return [_tool(row) for row in await fetch(database.readers, "list_tools", partner)]


async def find_tool(database: Database, partner: str, name: str) -> Tool | None:
    """The tool, revoked or not, or None."""
    if "\0" in partner + name:
        return None
    rows = await fetch(database.readers, "get_tool", partner, name)
    return _tool(rows[0]) if rows else None


async def rotate_tool(
    database: Database, partner_id: int, name: str, secret_jwe: str, overlap_until: datetime | None
) -> str:
    """Sets a new secret. The previous one stays valid until `overlap_until`; None: it ends now.

    Returns the consumer key. Raises NotFound.
    """
    rows = await fetch(database.writers, "rotate_tool", partner_id, name, secret_jwe, overlap_until)
    if not rows:
        raise NotFound(f"Tool {name!r} not found, or revoked.")
    return str(rows[0]["consumer_key"])


async def revoke_tool(database: Database, partner_id: int, name: str) -> None:
    """Raises NotFound if there is no such tool, or it is revoked already."""
    if not await fetch(database.writers, "revoke_tool", partner_id, name):
        raise NotFound(f"Tool {name!r} not found, or revoked.")


async def list_secrets(database: Database, after: tuple[int, str], limit: int) -> list[ToolSecrets]:
    """A page of the encrypted secrets of all tools, after a partner's id and a tool's name."""
    rows = await fetch(database.readers, "list_tool_secrets", *after, limit)
    return [ToolSecrets(*row) for row in rows]


async def replace_secrets(
    database: Database, replacements: Sequence[tuple[ToolSecrets, ToolSecrets]]
) -> int:
    """Replaces secrets that are still the old ones, in one transaction. Returns their number."""
    columns = [
        (old.partner_id, old.name, old.secret_jwe, old.previous_secret_jwe,
         new.secret_jwe, new.previous_secret_jwe)
        for old, new in replacements
    ]  # fmt: skip
    return len(await fetch(database.writers, "replace_tool_secrets", *zip(*columns, strict=True)))


async def set_page_views(database: Database, partner: str, enabled: bool | None) -> None:
    """Records page views of a partner's tools or not; None is the server's default.

    Raises NotFound if there is no partner with this name.
    """
    if not await fetch(database.writers, "set_partner_page_views", partner, enabled):
        raise NotFound(f"Partner {partner!r} not found.")


def _tool(row: asyncpg.Record) -> Tool:
    return Tool(
        **{
            **row,
            "partner_limits": decode_limits(row["partner_limits"]),
            "partner_settings": partner_settings.decode(row["partner_settings"]),
        }
    )
