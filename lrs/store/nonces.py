"""Nonces of signed tool requests: each is accepted once.

A nonce is consumed in the transaction that stores the statement, before the statement. A rollback
frees it, and of two concurrent requests with one nonce only one commits. A report key is consumed
in the same way: it marks a report as counted until a repeated one is no longer a retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from lrs import resources
from lrs.errors import LRSError, OutcomeUnknown, Unavailable
from lrs.store.postgres import (
    Connection,
    Database,
    lost_connection_is_unknown_outcome,
    translate_errors,
)

_CONSUME = resources.query("insert_nonces")
_RELEASE = resources.query("delete_nonces")
_DELETE_EXPIRED = resources.query("delete_expired_nonces")

_TTL = timedelta(minutes=92)
"""Longer than the age (90 minutes) and the clock skew (1 minute) that a request may have."""


RETRY_WINDOW = timedelta(minutes=10)
"""A report that is sent again within this time, with a new nonce, is a retry."""


class NonceReused(Exception):
    """The nonce of a signed request was consumed before."""


@dataclass(frozen=True, slots=True)
class Nonce:
    """The nonce of a signed request of one tool, or the key of a report.

    `hash` is 16 bytes of BLAKE2b. After `ttl` it is forgotten.
    """

    tool: str
    hash: bytes
    ttl: timedelta = _TTL

    @classmethod
    def of(cls, tool: str, nonce: str) -> Nonce:
        text = nonce.encode("utf-8", "surrogatepass")
        return cls(tool, blake2b(text, digest_size=16).digest())

    @classmethod
    def of_report(cls, tool: str, content: bytes) -> Nonce:
        """The key of a report; `content` identifies its launch, id and content."""
        key = blake2b(content, digest_size=16, person=b"report").digest()
        return cls(tool, key, RETRY_WINDOW)


async def consume(connection: Connection, partner_id: int, nonces: Sequence[Nonce]) -> set[Nonce]:
    """Stores the nonces that are new or expired, and returns these."""
    distinct = {(nonce.tool, nonce.hash): nonce for nonce in nonces}
    rows = await connection.fetch(
        _CONSUME,
        partner_id,
        [nonce.tool for nonce in distinct.values()],
        [nonce.hash for nonce in distinct.values()],
        [nonce.ttl for nonce in distinct.values()],
    )
    return {distinct[row["tool"], row["nonce"]] for row in rows}


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
    """Consumes the nonce of a request that stores nothing; False if it was consumed before.

    Raises OutcomeUnknown if the connection is lost.
    """
    with translate_errors():
        async with database.writers.acquire() as connection:
            with lost_connection_is_unknown_outcome(
                "The connection to the database was lost. Send the request again."
            ):
                return bool(await consume(connection, partner_id, [nonce]))


class NonceRecovery:
    """Frees nonces that may have been consumed by a request whose outcome is unknown.

    Then a retry of that request is accepted. One instance per worker.
    """

    def __init__(self, database: Database, *, interval: float = 0.1) -> None:
        self._database = database
        self._interval = interval
        self._lost: dict[tuple[int, Nonce], asyncio.Event] = {}
        self._to_free: list[tuple[int, Nonce]] = []
        self._task: asyncio.Task[None] | None = None

    async def consume_one(self, partner_id: int, nonce: Nonce) -> bool:
        """The same as the function. If the connection is lost, tries again, on another one.

        Raises OutcomeUnknown if that fails.
        """
        await self.recovered(partner_id, nonce)
        try:
            return await consume_one(self._database, partner_id, nonce)
        except OutcomeUnknown as error:
            try:
                await consume_one(self._database, partner_id, nonce)
            except Unavailable:
                self.free(partner_id, nonce)
                raise error from None
            return True

    def hold(self, partner_id: int, nonce: Nonce) -> None:
        """Delays retries until `free`: the request is cancelled, its transaction is not."""
        self._lost.setdefault((partner_id, nonce), asyncio.Event())

    def free(self, partner_id: int, nonce: Nonce) -> None:
        """Frees the nonce as soon as the database answers."""
        self.hold(partner_id, nonce)
        self._to_free.append((partner_id, nonce))
        if self._task is None:
            self._task = asyncio.create_task(self._free_all(), context=Context())

    async def recovered(self, partner_id: int, nonce: Nonce) -> None:
        """Waits until the nonce is free, if its outcome is unknown."""
        if freed := self._lost.get((partner_id, nonce)):
            await freed.wait()

    def close(self) -> None:
        if self._task:
            self._task.cancel()

    async def _free_all(self) -> None:
        while self._to_free:
            partner_id, nonce = self._to_free[-1]
            try:
                await _free(self._database, partner_id, nonce)
            except LRSError:
                await asyncio.sleep(self._interval)
            else:
                self._to_free.remove((partner_id, nonce))
                if freed := self._lost.pop((partner_id, nonce), None):
                    freed.set()
        self._task = None


async def _free(database: Database, partner_id: int, nonce: Nonce) -> None:
    """Releases a nonce after the transaction that may have consumed it has ended.

    Consuming it first waits for that transaction.
    """
    with translate_errors():
        async with database.writers.acquire() as connection, connection.transaction():
            await consume(connection, partner_id, [nonce])
            await release(connection, partner_id, [nonce])


async def delete_expired(database: Database) -> int:
    """Deletes the expired nonces of every partner; returns their number."""
    with translate_errors():
        status: str = await database.writers.execute(_DELETE_EXPIRED)
    return int(status.removeprefix("DELETE "))
