"""Denied requests: failed authentications, 403 and 404, by the partner that they name.

Equal attempts are one row with a number. The partner is that of the credential, or that of the key
or path, which are not verified. A partner does not see the keys of another.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from lrs.store import attempts as store
from lrs.store.attempts import AttemptCount
from lrs.store.postgres import Database

NO_PARTNER = 0
"""The partner id of attempts that name no partner."""

MAX_PER_PARTNER = 1000
MAX_PER_ADDRESS = 200
"""Rows of a partner: in all, and of one client address."""

_MAX_BUFFERED = 2000
_MAX_BUFFERED_PER_ADDRESS = 50
"""Different attempts until the next write: in all, and of one client address."""

_OTHER_PARTNERS_KEY = "the key of another partner"


class Attempt(NamedTuple):
    """A denied request. `reason` is for operators; `key` as sent, shortened if it may be a secret.

    `partner` is authenticated, `named_partner` is named in the path or token.
    """

    status: int
    code: str
    reason: str
    method: str
    path: str
    key: str | None
    address: str
    request_id: str
    partner: str | None
    named_partner: str | None

    @property
    def identity(self) -> Attempt:
        """What equal attempts share."""
        return self._replace(request_id="")


@dataclass(slots=True)
class _Repeated:
    request_id: str
    count: int
    first: float
    last: float


class AttemptBuffer:
    """The attempts that one worker has not written yet."""

    def __init__(self) -> None:
        self._attempts: dict[Attempt, _Repeated] = {}
        self._addresses: Counter[str] = Counter()

    def add(self, attempt: Attempt, at: float) -> None:
        """Keeps an attempt, unless there are too many; `at` in seconds since 1970."""
        identity = attempt.identity
        repeated = self._attempts.get(identity)
        if repeated is not None:
            repeated.count += 1
            repeated.last, repeated.request_id = at, attempt.request_id
            return
        self._addresses[attempt.address] += 1
        if (
            len(self._attempts) < _MAX_BUFFERED
            and self._addresses[attempt.address] <= _MAX_BUFFERED_PER_ADDRESS
        ):
            self._attempts[identity] = _Repeated(attempt.request_id, 1, at, at)

    async def write(self, database: Database) -> None:
        """Writes the attempts; what cannot be written is lost. Raises Unavailable."""
        taken, self._attempts = self._attempts, {}
        self._addresses.clear()
        if not taken:
            return
        keys = {attempt.key for attempt in taken if attempt.key}
        names = {
            name for attempt in taken for name in (attempt.partner, attempt.named_partner) if name
        }
        partners_of_keys, partners = await store.find_partners(database, keys, names)
        counts = _merge(
            count
            for attempt, repeated in taken.items()
            for count in _counts(attempt, repeated, partners_of_keys, partners)
        )
        await store.add(database, counts)
        for partner_id in sorted({count.partner_id for count in counts}):
            await store.delete_excess(database, partner_id, MAX_PER_PARTNER, MAX_PER_ADDRESS)


def _counts(
    attempt: Attempt,
    repeated: _Repeated,
    partners_of_keys: dict[str, int],
    partners: dict[str, int],
) -> Iterable[AttemptCount]:
    """The attempt as a row of every partner that it names."""
    owner = partners_of_keys.get(attempt.key or "")
    partner_ids = {
        owner,
        partners.get(attempt.partner or ""),
        partners.get(attempt.named_partner or ""),
    }
    for partner_id in sorted(item for item in partner_ids if item is not None) or [NO_PARTNER]:
        key, reason = attempt.key, attempt.reason
        if owner is not None and owner != partner_id:
            key, reason = None, f"{_OTHER_PARTNERS_KEY}: {reason}"
        identity = (attempt.status, attempt.code, reason, attempt.method, attempt.path, key)
        yield AttemptCount(
            partner_id,
            hashlib.sha256(repr((*identity, attempt.address)).encode()).digest()[:16],
            *identity,
            attempt.address,
            repeated.request_id,
            repeated.count,
            datetime.fromtimestamp(repeated.first, UTC),
            datetime.fromtimestamp(repeated.last, UTC),
        )


def _merge(counts: Iterable[AttemptCount]) -> list[AttemptCount]:
    """Attempts that differ only in what a partner may not see become one."""
    merged: dict[tuple[int, bytes], AttemptCount] = {}
    for count in counts:
        previous = merged.get((count.partner_id, count.attempt_hash))
        if previous is not None:
            count = count._replace(
                attempts=count.attempts + previous.attempts,
                first_at=min(count.first_at, previous.first_at),
                last_at=max(count.last_at, previous.last_at),
            )
        merged[count.partner_id, count.attempt_hash] = count
    return list(merged.values())
