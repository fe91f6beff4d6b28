"""Nonces of signed tool requests: each is accepted once.

A nonce is consumed in the transaction that stores the statement, before the statement. A rollback
frees it, and of two concurrent requests with one nonce only one commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from lrs import resources
from lrs.store.postgres import Connection, Database, translate_errors

_CONSUME = resources.query("insert_nonces")
_RELEASE = resources.query("delete_nonces")
_DELETE_EXPIRED = resources.query("delete_expired_nonces")

_TTL = timedelta(minutes=92)
"""Longer than the age (90 minutes) and the clock skew (1 minute) that a request may have."""


class NonceReused(Exception):
    """The nonce of a signed request was consumed before."""


@dataclass(frozen=True, slots=True)
class Nonce:
    """The nonce of a signed request of one tool; `hash` is 16 bytes of BLAKE2b."""

    tool: str
    hash: bytes

    @classmethod
    def of(cls, tool: str, nonce: str) -> Nonce:
        text = nonce.encode("utf-8", "surrogatepass")
        return cls(tool, blake2b(text, digest_size=16).digest())


async def consume(connection: Connection, partner_id: int, nonces: Sequence[Nonce]) -> set[Nonce]:
    """Stores the nonces that are new, and returns these."""
    rows = await connection.fetch(
        _CONSUME,
        partner_id,
        [nonce.tool for nonce in nonces],
        [nonce.hash for nonce in nonces],
        _TTL,
    )
    return {Nonce(row["tool"], row["nonce"]) for row in rows}


async def release(connection: Connection, partner_id: int, nonces: Sequence[Nonce]) -> None:
    """Deletes nonces that this transaction consumed, because their statement is not stored."""
    if nonces:
        await connection.execute(
            _RELEASE,
            partner_id,
            [nonce.tool for nonce in nonces],
            [nonce.hash for nonce in nonces],
        )


async def consume_one(database: Database, partner_id: int, nonce: Nonce) -> bool:
    """Consumes the nonce of a request that stores nothing; False if it was consumed before."""
    with translate_errors():
        return bool(await consume(database.writers, partner_id, [nonce]))


async def delete_expired(database: Database) -> int:
    """Deletes the expired nonces of every partner; returns their number."""
    with translate_errors():
        status: str = await database.writers.execute(_DELETE_EXPIRED)
    return int(status.removeprefix("DELETE "))
