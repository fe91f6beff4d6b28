"""Credentials as operators see them: with their last use, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg

from lrs.errors import NotFound
from lrs.store.named_queries import fetch
from lrs.store.postgres import Database
from lrs.store.registry import LimitOverrides, decode_limits, encode_limits


class Position(NamedTuple):
    """The last credential of a page."""

    partner: str
    created_at: datetime
    key: str


START = Position("", datetime(1, 1, 1, tzinfo=UTC), "")


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """A credential without its secret, and when it was last used and refused."""

    partner: str
    key: str
    kind: str
    label: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    previous_secret_until: datetime | None
    limits: LimitOverrides
    last_used_at: datetime | None
    last_refused_at: datetime | None


async def fetch_page(
    database: Database, *, after: Position, within: frozenset[int] | None, limit: int
) -> list[CredentialUse]:
    """The next credentials by partner and time of creation, of the partners `within`."""
    ids = None if within is None else sorted(within)
    rows = await fetch(database.readers, "list_credential_page", *after, ids, limit)
    return [_credential(row) for row in rows]


async def get(database: Database, partner_id: int, key: str) -> CredentialUse:
    """Raises NotFound."""
    rows = (
        []
        if "\0" in key
        else await fetch(database.readers, "get_credential_of_partner", partner_id, key)
    )
    if not rows:
        raise NotFound(f"Credential {key[:128]!r} not found.")
    return _credential(rows[0])


async def lock(database: Database, partner_id: int, key: str) -> CredentialUse:
    """The credential, locked until the end of the transaction. Raises NotFound."""
    if "\0" not in key:
        await fetch(database.readers, "lock_credential", partner_id, key)
    return await get(database, partner_id, key)


async def update(database: Database, partner_id: int, credential: CredentialUse) -> None:
    """Writes label, scopes, end and limits."""
    await fetch(
        database.readers,
        "set_credential",
        partner_id,
        credential.key,
        credential.label,
        sorted(credential.scopes),
        credential.expires_at,
        encode_limits(credential.limits),
    )


def _credential(row: asyncpg.Record) -> CredentialUse:
    return CredentialUse(
        **{**row, "scopes": tuple(row["scopes"]), "limits": decode_limits(row["limits"])}
    )
