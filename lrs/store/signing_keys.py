"""The keys that sign access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lrs import resources
from lrs.store.named_queries import fetch
from lrs.store.postgres import Database, translate_errors


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key: `private_jwe` is the encrypted private JWK, `public_jwk` JSON text."""

    kid: str
    private_jwe: str
    public_jwk: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key in the list of all keys; `signs` is true for one of them."""

    kid: str
    private_jwe: str
    created_at: datetime
    retired_at: datetime | None
    signs: bool


async def list_active_keys(database: Database, activation_seconds: float) -> list[SigningKey]:
    """The keys that verify tokens; the first one signs.

    It is the newest of those that are older than `activation_seconds`, or else the oldest.
    """
    rows = await fetch(
        database.readers, "list_active_signing_keys", timedelta(seconds=activation_seconds)
    )
    return [SigningKey(*row) for row in rows]


async def list_keys(database: Database, activation_seconds: float) -> list[StoredKey]:
    """Every key, also retired ones, newest first."""
    rows = await fetch(database.readers, "list_signing_keys", timedelta(seconds=activation_seconds))
    return [StoredKey(*row) for row in rows]


async def add_first_key(database: Database, key: SigningKey) -> None:
    """Stores the key, unless there is one: of concurrent processes, one wins."""
    with translate_errors():
        async with database.writers.acquire() as connection, connection.transaction():
            await connection.execute(resources.query("lock_signing_keys"))
            await connection.execute(
                resources.query("insert_first_signing_key"),
                *(key.kid, key.private_jwe, key.public_jwk),
            )


async def add_key(database: Database, key: SigningKey) -> None:
    await fetch(database.writers, "insert_signing_key", key.kid, key.private_jwe, key.public_jwk)


async def retire_key(database: Database, kid: str) -> bool:
    """Retires a key, unless it is the only one. False if it is, or if there is no such key."""
    with translate_errors():
        async with database.writers.acquire() as connection, connection.transaction():
            await connection.execute(resources.query("lock_signing_keys"))
            return bool(await connection.fetch(resources.query("retire_signing_key"), kid))


async def replace_private_key(
    database: Database, kid: str, private_jwe: str, new_private_jwe: str
) -> bool:
    """Replaces the encrypted key, if it is still `private_jwe`."""
    return bool(
        await fetch(database.writers, "replace_private_key", kid, private_jwe, new_private_jwe)
    )
