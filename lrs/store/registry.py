"""Partners, their credentials, and the keys that sign access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from lrs import resources
from lrs.errors import Conflict, InvalidParameter, NotFound
from lrs.store.postgres import translate_errors


@dataclass(frozen=True, slots=True)
class Partner:
    """A tenant. `home_page` names it wherever its own ids need an IRI around them."""

    partner_id: int
    name: str
    title: str
    home_page: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """What authenticates a caller; `kind` is client (key and secret) or bearer (one token)."""

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

    def good(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def secret_hashes(self, now: datetime) -> list[bytes]:
        """The hashes of the secrets that are good now: two while a rotation overlaps."""
        hashes = [self.secret_hash]
        until = self.previous_secret_until
        if self.previous_secret_hash and until and now < until:
            hashes.append(self.previous_secret_hash)
        return hashes


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    private_jwe: str
    public_jwk: str


class Registry:
    """Reads and changes what the registry tables hold."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        if not all(_can_be_stored(argument) for argument in arguments):
            raise InvalidParameter("A text holds a character that cannot be stored.")
        with translate_errors():
            rows: list[asyncpg.Record] = await self._pool.fetch(resources.query(name), *arguments)
        return rows

    async def add_partner(self, name: str, title: str, home_page: str) -> Partner:
        """Raises Conflict if the name is taken."""
        rows = await self._fetch("insert_partner", name, title, home_page)
        if not rows:
            raise Conflict(f"There is a partner {name!r} already.")
        return Partner(*rows[0])

    async def partners(self) -> list[Partner]:
        return [Partner(*row) for row in await self._fetch("list_partners")]

    async def partner(self, name: str) -> Partner:
        """Raises NotFound."""
        rows = await self._fetch("get_partner", name)
        if not rows:
            raise NotFound(f"There is no partner {name!r}.")
        return Partner(*rows[0])

    async def add_credential(
        self,
        partner: Partner,
        *,
        key: str,
        kind: str,
        label: str,
        scopes: frozenset[str],
        secret_hash: bytes,
        expires_at: datetime | None,
    ) -> None:
        await self._fetch(
            "insert_credential",
            key,
            partner.partner_id,
            kind,
            label,
            sorted(scopes),
            secret_hash,
            expires_at,
        )

    async def credential(self, key: str) -> Credential | None:
        rows = await self._fetch("get_credential", key) if _can_be_stored(key) else []
        return _credential(rows[0]) if rows else None

    async def credentials(self, partner: str | None) -> list[Credential]:
        return [_credential(row) for row in await self._fetch("list_credentials", partner)]

    async def rotate_credential(self, key: str, secret_hash: bytes, overlap: datetime) -> None:
        """Raises NotFound if there is no such credential, or it is revoked."""
        if not await self._fetch("rotate_credential", key, secret_hash, overlap):
            raise NotFound(f"There is no credential {key!r} that could be rotated.")

    async def revoke_credential(self, key: str) -> None:
        """Raises NotFound if there is no such credential, or it is revoked already."""
        if not await self._fetch("revoke_credential", key):
            raise NotFound(f"There is no credential {key!r} that could be revoked.")

    async def signing_keys(self) -> list[SigningKey]:
        return [SigningKey(*row) for row in await self._fetch("list_signing_keys")]

    async def add_signing_key(self, key: SigningKey) -> None:
        """Adds the first key; does nothing if there is one, or another process is faster."""
        with translate_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(resources.query("lock_signing_keys"))
                await connection.execute(
                    resources.query("insert_first_signing_key"),
                    *(key.kid, key.private_jwe, key.public_jwk),
                )


def _can_be_stored(argument: object) -> bool:
    """PostgreSQL's texts hold neither NUL nor half of a surrogate pair."""
    if not isinstance(argument, str):
        return True
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in argument)


def _credential(row: asyncpg.Record) -> Credential:
    return Credential(**{**row, "scopes": frozenset(row["scopes"])})
