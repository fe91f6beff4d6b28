"""LMS tools: who signs callbacks, with which secret, for which partner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from lrs import resources
from lrs.errors import Conflict, NotFound
from lrs.store.postgres import translate_errors


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of a partner. Its secrets are sealed (see `lrs.auth.secret_box`).

    `page_views` is the partner's own choice, None where it leaves that to the settings.
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

    def sealed_secrets(self, now: datetime) -> list[str]:
        """The secrets that are good now: two while a rotation overlaps."""
        sealed = [self.secret_jwe]
        until = self.previous_secret_until
        if self.previous_secret_jwe and until and now < until:
            sealed.append(self.previous_secret_jwe)
        return sealed


class Tools:
    """Reads and changes the tools."""

    def __init__(self, reading: asyncpg.Pool, writing: asyncpg.Pool) -> None:
        self._reading = reading
        self._writing = writing

    async def add(self, partner_id: int, name: str, consumer_key: str, secret_jwe: str) -> None:
        """Raises Conflict if the name or the consumer key is taken within the partner."""
        if not await _fetch(
            self._writing, "insert_tool", partner_id, name, consumer_key, secret_jwe
        ):
            raise Conflict(
                f"There is a tool {name!r}, or one with the consumer key {consumer_key!r}, already."
            )

    async def all(self, partner: str | None) -> list[Tool]:
        """A partner's tools, or every partner's."""
        return [Tool(**row) for row in await _fetch(self._reading, "list_tools", partner)]

    async def find(self, partner: str, name: str) -> Tool | None:
        """The tool, if there is such a one, revoked or not."""
        rows = (
            [] if "\0" in partner + name else await _fetch(self._reading, "get_tool", partner, name)
        )
        return Tool(**rows[0]) if rows else None

    async def rotate(
        self, partner_id: int, name: str, secret_jwe: str, overlap_until: datetime
    ) -> str:
        """The consumer key of the tool, which has another secret now. Raises NotFound."""
        rows = await _fetch(
            self._writing, "rotate_tool", partner_id, name, secret_jwe, overlap_until
        )
        if not rows:
            raise NotFound(f"There is no tool {name!r} that could be rotated.")
        return str(rows[0]["consumer_key"])

    async def revoke(self, partner_id: int, name: str) -> None:
        """Raises NotFound if there is no such tool, or it is revoked already."""
        if not await _fetch(self._writing, "revoke_tool", partner_id, name):
            raise NotFound(f"There is no tool {name!r} that could be revoked.")

    async def set_page_views(self, partner: str, wanted: bool | None) -> None:
        """Switches a partner's page views on or off, or leaves it to the settings (None)."""
        if not await _fetch(self._writing, "set_partner_page_views", partner, wanted):
            raise NotFound(f"There is no partner {partner!r}.")


async def _fetch(pool: asyncpg.Pool, name: str, *arguments: object) -> list[asyncpg.Record]:
    with translate_errors():
        rows: list[asyncpg.Record] = await pool.fetch(resources.query(name), *arguments)
    return rows
