"""Partners and their credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from lrs.errors import Conflict, NotFound
from lrs.store import partner_settings
from lrs.store.named_queries import fetch_for_input
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Database
from lrs.store.storable_text import is_storable


class LimitOverrides(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits of a partner or credential instead of those of the settings; None is the setting.

    `rate_limit` is a text such as "100/second". 0 and the empty text are no limit. Stored bytes are
    limited for partners only.
    """

    rate_limit: str | None = None
    max_concurrent_requests: int | None = None
    max_statements_per_day: int | None = None
    max_stored_bytes: int | None = None


NO_OVERRIDES = LimitOverrides()


@dataclass(frozen=True, slots=True)
class Partner:
    """A tenant; `home_page` is the base URL for IRIs of the partner's ids."""

    partner_id: int
    name: str
    title: str
    home_page: str
    created_at: datetime
    limits: LimitOverrides = NO_OVERRIDES
    settings: PartnerSettings = partner_settings.DEFAULTS
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """Authenticates a caller; `kind` is `client` (key and secret) or `bearer` (static token)."""

    key: str
    partner_id: int
    partner: str
    home_page: str
    kind: str
    label: str
    scopes: frozenset[str]
    secret_hash: bytes
    previous_secret_hash: bytes | None
    previous_secret_until: datetime | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    limits: LimitOverrides = NO_OVERRIDES
    partner_limits: LimitOverrides = NO_OVERRIDES
    partner_settings: PartnerSettings = partner_settings.DEFAULTS
    partner_disabled_at: datetime | None = None
    partner_disabled_reason: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether the credential is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def secret_hashes(self, now: datetime) -> list[bytes]:
        """The hashes of the valid secrets: two during the overlap of a rotation."""
        hashes = [self.secret_hash]
        until = self.previous_secret_until
        if self.previous_secret_hash and until and now < until:
            hashes.append(self.previous_secret_hash)
        return hashes


async def add_partner(database: Database, name: str, title: str, home_page: str) -> Partner:
    """Raises Conflict if the name is taken."""
    rows = await fetch_for_input(database.writers, "insert_partner", name, title, home_page)
    if not rows:
        raise Conflict(f"Partner {name!r} already exists.")
    return _partner(rows[0])


async def list_partners(database: Database) -> list[Partner]:
    """Every partner, by name."""
    return [_partner(row) for row in await fetch_for_input(database.readers, "list_partners")]


async def get_partner(database: Database, name: str) -> Partner:
    """Raises NotFound."""
    rows = await fetch_for_input(database.readers, "get_partner", name)
    if not rows:
        raise NotFound(f"Partner {name!r} not found.")
    return _partner(rows[0])


async def lock_partner(database: Database, name: str) -> Partner:
    """The partner, locked until the end of the transaction. Raises NotFound."""
    rows = await fetch_for_input(database.writers, "lock_partner", name)
    if not rows:
        raise NotFound(f"Partner {name!r} not found.")
    return _partner(rows[0])


async def fetch_partner_page(
    database: Database, *, after: str, within: frozenset[int] | None, search: str, limit: int
) -> list[Partner]:
    """The next partners by name, of the ids `within`, whose name or title contains a text."""
    ids = None if within is None else sorted(within)
    pattern = like_pattern(search) if search else None
    rows = await fetch_for_input(database.readers, "list_partner_page", after, ids, pattern, limit)
    return [_partner(row) for row in rows]


async def set_partner(database: Database, partner: Partner) -> None:
    """Writes title, home page and state."""
    await fetch_for_input(
        database.writers,
        "set_partner",
        partner.partner_id,
        partner.title,
        partner.home_page,
        partner.disabled_at,
        partner.disabled_reason,
    )


async def has_statements(database: Database, partner_id: int) -> bool:
    return bool((await fetch_for_input(database.readers, "has_statements", partner_id))[0][0])


async def set_partner_limits(database: Database, name: str, limits: LimitOverrides) -> None:
    """Replaces the limits of a partner. Raises NotFound."""
    if not await fetch_for_input(
        database.writers, "set_partner_limits", name, encode_limits(limits)
    ):
        raise NotFound(f"Partner {name!r} not found.")


async def set_partner_settings(database: Database, name: str, settings: PartnerSettings) -> None:
    """Replaces the settings of a partner. Raises NotFound."""
    text = partner_settings.encode(settings)
    if not await fetch_for_input(database.writers, "set_partner_settings", name, text):
        raise NotFound(f"Partner {name!r} not found.")


async def set_credential_limits(database: Database, key: str, limits: LimitOverrides) -> None:
    """Replaces the limits of a credential. Raises NotFound."""
    if not await fetch_for_input(
        database.writers, "set_credential_limits", key, encode_limits(limits)
    ):
        raise NotFound(f"Credential {key!r} not found.")


async def add_credential(
    database: Database,
    partner_id: int,
    *,
    key: str,
    kind: str,
    label: str,
    scopes: frozenset[str],
    secret_hash: bytes,
    expires_at: datetime | None,
) -> None:
    """Raises Conflict if a credential of any partner has the key.

    Raises InvalidParameter if the label cannot be stored.
    """
    rows = await fetch_for_input(
        database.writers,
        "insert_credential",
        key,
        partner_id,
        kind,
        label,
        sorted(scopes),
        secret_hash,
        expires_at,
    )
    if not rows:
        raise Conflict(f"A credential with the key {key!r} already exists.")


async def find_credential(database: Database, key: str) -> Credential | None:
    """The credential, revoked or not, or None."""
    rows = (
        await fetch_for_input(database.readers, "get_credential", key) if is_storable(key) else []
    )
    return _credential(rows[0]) if rows else None


async def list_credentials(database: Database, partner: str | None) -> list[Credential]:
    """The credentials of the partner with this name, or of every partner."""
    return [
        _credential(row)
        for row in await fetch_for_input(database.readers, "list_credentials", partner)
    ]


async def rotate_credential(
    database: Database, key: str, secret_hash: bytes, overlap_until: datetime | None
) -> None:
    """Sets a new secret. The previous one stays valid until `overlap_until`; None: it ends now.

    Raises NotFound.
    """
    if not await fetch_for_input(
        database.writers, "rotate_credential", key, secret_hash, overlap_until
    ):
        raise NotFound(f"Credential {key!r} not found, or revoked.")


async def revoke_credential(database: Database, key: str) -> None:
    """Raises NotFound if there is no such credential, or it is revoked already."""
    if not await fetch_for_input(database.writers, "revoke_credential", key):
        raise NotFound(f"Credential {key!r} not found, or revoked.")


def like_pattern(text: str) -> str:
    """The pattern of `ilike` for texts that contain the text."""
    escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def decode_limits(text: str | None) -> LimitOverrides:
    """The limits in a column; members of later versions are ignored."""
    return msgspec.json.decode(text, type=LimitOverrides) if text else NO_OVERRIDES


def encode_limits(limits: LimitOverrides) -> str:
    return msgspec.json.encode(limits).decode()


def _partner(row: asyncpg.Record) -> Partner:
    return Partner(
        **{
            **row,
            "limits": decode_limits(row["limits"]),
            "settings": partner_settings.decode(row["settings"]),
        }
    )


def _credential(row: asyncpg.Record) -> Credential:
    return Credential(
        **{
            **row,
            "scopes": frozenset(row["scopes"]),
            "limits": decode_limits(row["limits"]),
            "partner_limits": decode_limits(row["partner_limits"]),
            "partner_settings": partner_settings.decode(row["partner_settings"]),
        }
    )
