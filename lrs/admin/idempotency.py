"""Idempotency-Key: a repeated request of an operator gets the response to the first one.

The key, the change and the response are written in one transaction: the change happens once, and a
request that failed can be repeated with the same key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lrs.auth.operators import Operator
from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.errors import Conflict, IdempotencyKeyReused, InvalidParameter, Violation
from lrs.store import idempotency as store
from lrs.store.postgres import Database, open_transaction

HEADER = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """The status and body of a response; `is_replay`: of an earlier request."""

    status: int
    body: bytes
    is_replay: bool = False


async def once(
    database: Database,
    operator: Operator,
    secret_box: SecretBox,
    key: str,
    request_hash: bytes,
    change: Callable[[Database], Awaitable[KeptResponse]],
) -> KeptResponse:
    """The response of `change`, which runs in a transaction unless the key was used before.

    Raises IdempotencyKeyReused for another request with the same key, InvalidParameter (key).
    """
    if not (1 <= len(key) <= 255 and key.isprintable()):
        detail = "expected 1 to 255 printable characters"
        raise InvalidParameter(
            f"{HEADER}: {detail}.", violations=[Violation(HEADER, detail, "Admin API")]
        )
    async with open_transaction(database) as transaction:
        stored = await store.claim(transaction, operator.email, key, request_hash)
        if stored is not None:
            return _replayed(stored, secret_box, key, request_hash)
        response = await change(transaction)
        encrypted = secret_box.encrypt(response.body)
        await store.keep(transaction, operator.email, key, response.status, encrypted)
        return response


def _replayed(
    stored: store.StoredResponse, secret_box: SecretBox, key: str, request_hash: bytes
) -> KeptResponse:
    if stored.request_hash != request_hash:
        raise IdempotencyKeyReused(f"{HEADER} {key!r} was used for another request.")
    try:
        body = secret_box.decrypt(stored.response_jwe)
    except WrongSecretKey:
        raise Conflict("The secret key was replaced since the first request.") from None
    return KeptResponse(stored.status, body, is_replay=True)
