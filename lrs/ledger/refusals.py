"""Refused items: collected in memory, written with the counts, removed after some days.

Of each partner, 100 a second are kept, and beyond them the first one of each reason; the counts
have them all. When a partner has too many, the oldest of the most frequent reasons are removed: a
flood of one reason leaves the others.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from lrs.errors import LRSError
from lrs.ledger.counters import generalize
from lrs.store import refusals as store
from lrs.store.postgres import Database
from lrs.store.refusals import NewRefusal

MAX_PER_SECOND = 100
"""Kept refusals of one partner. Beyond them, the first one of a reason is kept."""
MAX_REASONS_PER_SECOND = 200
"""Reasons of one partner of which one is kept beyond `MAX_PER_SECOND`."""

_MAX_BUFFERED = 2000
_MAX_BUFFERED_BYTES = 8_388_608
"""Of one partner, until the next write."""
_MAX_TOTAL_BYTES = 67_108_864
"""Of all partners; beyond it, a partner has a small share."""
_SMALL_SHARE_BYTES = 262_144
_MAX_PROBLEM_BYTES = 65_536
_DELETE_BATCH = 1000


class Origin(NamedTuple):
    """Where items come from. `requested_id` is the id in the query of a PUT request.

    Without `keeps_items`, the text of refused items is not kept.
    """

    partner_id: int
    source: str
    credential: str
    organization: str
    version: str | None
    requested_id: str | None = None
    keeps_items: bool = True


def reason_of(error: LRSError) -> tuple[str, str]:
    """The code and the generalized pointer of the first violation."""
    return error.code, generalize(error.violations[0].pointer) if error.violations else ""


def problem_text(error: LRSError) -> str:
    """The problem details as JSON; errors that do not fit are counted as `omitted_errors`."""
    problem = error.problem()
    text = orjson.dumps(problem)
    if len(text) > _MAX_PROBLEM_BYTES:
        violations, size, kept = problem["errors"], 0, []
        for violation in violations:
            size += len(orjson.dumps(violation))
            if size > _MAX_PROBLEM_BYTES // 2:
                break
            kept.append(violation)
        problem = {
            **problem,
            "detail": problem["detail"][:1000],
            "errors": kept,
            "omitted_errors": len(violations) - len(kept),
        }
        text = orjson.dumps(problem)
    return text.decode()


@dataclass(slots=True)
class _PartnerBuffer:
    refusals: list[NewRefusal]
    bytes: int = 0


class RefusalBuffer:
    """The refusals that one worker has not written yet; `max_item_bytes` 0 keeps no items.

    Unless `is_enabled`, it keeps nothing.
    """

    def __init__(self, max_item_bytes: int, *, is_enabled: bool = True) -> None:
        self._is_enabled = is_enabled
        self._max_item_bytes = max_item_bytes
        self._partners: dict[int, _PartnerBuffer] = {}
        self._bytes = 0
        self._second = 0
        self._kept: Counter[int] = Counter()
        self._reasons: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)

    def add(
        self,
        origin: Origin,
        outcome: str,
        error: LRSError,
        reason: tuple[str, str],
        item: bytes | None,
        *,
        size: int,
        index: int | None,
        statement_id: str | None,
        request_id: str,
        at: float,
    ) -> None:
        """Keeps a refused item of `size` bytes, unless its partner has too many.

        `at` is in seconds since 1970.
        """
        if not self._is_enabled or not self._is_sampled(origin.partner_id, reason, int(at)):
            return
        buffer = self._partners.setdefault(origin.partner_id, _PartnerBuffer([]))
        kept = None
        if item is not None and origin.keeps_items and self._max_item_bytes:
            kept = bytes(item[: self._max_item_bytes])
        buffered = 1000 + len(kept or b"") + 200 * len(error.violations)
        if not self._has_room(buffer, buffered):
            return
        buffer.refusals.append(
            NewRefusal(
                origin.partner_id,
                new_id(at),
                datetime.fromtimestamp(at, UTC),
                origin.source,
                origin.credential,
                origin.organization,
                outcome,
                *reason,
                index,
                statement_id,
                origin.requested_id,
                origin.version,
                request_id,
                problem_text(error),
                kept,
                size,
            )
        )
        buffer.bytes += buffered
        self._bytes += buffered

    def _is_sampled(self, partner_id: int, reason: tuple[str, str], second: int) -> bool:
        if second != self._second:
            self._second = second
            self._kept.clear()
            self._reasons.clear()
        reasons = self._reasons[partner_id]
        is_first = reason not in reasons and len(reasons) < MAX_REASONS_PER_SECOND
        if is_first:
            reasons.add(reason)
        self._kept[partner_id] += 1
        return is_first or self._kept[partner_id] <= MAX_PER_SECOND

    def _has_room(self, buffer: _PartnerBuffer, size: int) -> bool:
        is_full = self._bytes + size > _MAX_TOTAL_BYTES
        limit = _SMALL_SHARE_BYTES if is_full else _MAX_BUFFERED_BYTES
        return len(buffer.refusals) < _MAX_BUFFERED and buffer.bytes + size <= limit

    def take(self, partner_id: int | None = None) -> dict[int, list[NewRefusal]]:
        """Removes and returns the refusals of one partner, or of all, by partner."""
        if partner_id is None:
            taken, self._partners = self._partners, {}
        else:
            buffer = self._partners.pop(partner_id, None)
            taken = {partner_id: buffer} if buffer else {}
        self._bytes -= sum(buffer.bytes for buffer in taken.values())
        return {number: buffer.refusals for number, buffer in taken.items()}

    def put_back(self, partner_id: int, refusals: list[NewRefusal]) -> None:
        """Keeps refusals that could not be written, as far as there is room."""
        buffer = self._partners.setdefault(partner_id, _PartnerBuffer([]))
        for refusal in refusals:
            size = 1000 + len(refusal.item or b"") + len(refusal.problem)
            if not self._has_room(buffer, size):
                return
            buffer.refusals.append(refusal)
            buffer.bytes += size
            self._bytes += size


def new_id(at: float) -> UUID:
    """A UUID of version 7 (RFC 9562, section 5.7) for a time in seconds since 1970."""
    return _uuid7(at, secrets.randbits(62))


def lowest_id(at: float) -> UUID:
    """The id below all refusals since that time."""
    milliseconds = int(at * 1000)
    return UUID(int=milliseconds << 80)


def _uuid7(at: float, random: int) -> UUID:
    # The 12 bits after the milliseconds are a fraction of them: ids of one worker keep their order.
    milliseconds, fraction = divmod(int(at * 1_000_000), 1000)
    upper = milliseconds << 16 | 7 << 12 | fraction * 4096 // 1000
    return UUID(int=upper << 64 | 2 << 62 | random)


async def remove_expired(database: Database, ttl_seconds: int) -> None:
    """Removes refusals that are too old, in bounded steps. Raises Unavailable."""
    end = lowest_id(time.time() - ttl_seconds)
    for partner_id in await store.list_partners(database):
        while await store.delete_below(database, partner_id, end, _DELETE_BATCH) == _DELETE_BATCH:
            pass


def excess_by_reason(kept: Mapping[tuple[str, str], int], limit: int) -> dict[tuple[str, str], int]:
    """How many refusals of each reason to remove so that `limit` are left in sum.

    The most frequent reasons are cut to the same number; those with fewer stay as they are.
    """
    left, reasons = limit, sorted(kept.items(), key=lambda item: item[1])
    excess = {}
    for position, (reason, count) in enumerate(reasons):
        share = left // (len(reasons) - position)
        left -= min(count, share)
        if count > share:
            excess[reason] = count - share
    return excess
