"""Responses to requests with an Idempotency-Key."""

from __future__ import annotations

from dataclasses import dataclass

from lrs import resources
from lrs.store.postgres import Database, translate_errors

_INSERT = resources.query("insert_idempotency_key")
_GET = resources.query("get_idempotent_response")
_SET = resources.query("set_idempotent_response")
_DELETE_OLD = resources.query("delete_old_idempotency_keys")


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """`response_jwe` is encrypted."""

    request_hash: bytes
    status: int
    response_jwe: str


async def claim(
    database: Database, email: str, key: str, request_hash: bytes
) -> StoredResponse | None:
    """None if this request is the first with the key, else the response to the first one.

    Waits for the transaction of a concurrent first one.
    """
    with translate_errors():
        if await database.readers.fetchval(_INSERT, email, key, request_hash) is not None:
            return None
        row = await database.readers.fetchrow(_GET, email, key)
        assert row is not None  # noqa: S101 - the key is in use
    return StoredResponse(*row)


async def keep(database: Database, email: str, key: str, status: int, response_jwe: str) -> None:
    """Keeps the response to the first request with the key."""
    with translate_errors():
        await database.readers.execute(_SET, email, key, status, response_jwe)


async def delete_old(database: Database) -> None:
    with translate_errors():
        await database.readers.execute(_DELETE_OLD)
