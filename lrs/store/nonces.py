"""What callbacks leave in the store beside their statements: nonces, page views, counters.

A nonce is taken in the transaction that stores the statement, before it: if that fails, the nonce
is free again, and of two requests with one nonce only one gets anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from lrs import resources
from lrs.errors import Unauthorized
from lrs.store.postgres import Connection, Database, errors_translated
from lrs.store.statements.insert import Prepared

_CONSUME = resources.query("insert_nonces")
_RELEASE = resources.query("delete_nonces")
_EFFECTS = resources.query("record_callbacks")
_SWEEP = resources.query("delete_expired_nonces")

_KEPT = timedelta(minutes=92)
"""Longer than the age (90 minutes) and the clock skew (1 minute) that a request may have."""


class NonceReused(Unauthorized):
    """The nonce of a signed request was used before; the detail is Canvas's own."""

    def __init__(self) -> None:
        super().__init__("Duplicate nonce detected")


@dataclass(frozen=True, slots=True)
class Nonce:
    """The nonce of a signed request of one tool."""

    tool: str
    hash: bytes

    @classmethod
    def of(cls, tool: str, nonce: str) -> Nonce:
        text = nonce.encode("utf-8", "surrogatepass")
        return cls(tool, blake2b(text, digest_size=16).digest())


async def consume(connection: Connection, partner_id: int, nonces: Sequence[Nonce]) -> set[Nonce]:
    """Takes those that were never seen, and returns them."""
    rows = await connection.fetch(
        _CONSUME,
        partner_id,
        [each.tool for each in nonces],
        [each.hash for each in nonces],
        _KEPT,
    )
    return {Nonce(row["tool"], row["nonce"]) for row in rows}


async def release(connection: Connection, partner_id: int, nonces: Sequence[Nonce]) -> None:
    """Lets go of nonces that this transaction has taken, but for nothing."""
    if nonces:
        await connection.execute(
            _RELEASE, partner_id, [each.tool for each in nonces], [each.hash for each in nonces]
        )


async def consume_alone(database: Database, partner_id: int, nonce: Nonce) -> bool:
    """Takes the nonce of a request that stores nothing; False if it was seen before."""
    with errors_translated():
        return bool(await consume(database.writers, partner_id, [nonce]))


async def write(connection: Connection, partner_id: int, stored: Sequence[Prepared]) -> None:
    """Counts the page views that statements just stored stand for."""
    viewed = [(each.statement_id, each.page_view) for each in stored if each.page_view]
    if not viewed:
        return
    views = [view for _, view in viewed]
    await connection.execute(
        _EFFECTS,
        partner_id,
        [statement_id for statement_id, _ in viewed],
        [view.tool for view in views],
        [view.user for view in views],
        [view.course for view in views],
        [view.url for view in views],
        [view.seconds for view in views],
        [view.interaction_seconds for view in views],
        [view.viewed for view in views],
    )


async def sweep(database: Database) -> int:
    """Forgets old nonces; returns how many there were."""
    with errors_translated():
        status: str = await database.writers.execute(_SWEEP)
    return int(status.removeprefix("DELETE "))
