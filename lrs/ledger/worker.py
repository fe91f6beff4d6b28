"""The ledger of one worker: requests add to memory, a task writes every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from lrs.errors import InternalError, LRSError
from lrs.ledger import addresses
from lrs.ledger.addresses import AddressBuffer
from lrs.ledger.attempts import AttemptBuffer
from lrs.ledger.counters import Counters, hour_of, limit_names
from lrs.ledger.refusals import (
    Origin,
    RefusalBuffer,
    excess_by_reason,
    reason_of,
    remove_expired,
)
from lrs.observability import logs
from lrs.periodic import Step, attempt, repeat
from lrs.settings import Settings
from lrs.store import intake, maintenance
from lrs.store import refusals as refusal_store
from lrs.store.intake import CredentialUse, IntakeKey
from lrs.store.postgres import Database
from lrs.store.refusals import NewRefusal
from lrs.store.statements.watermark import WatermarkReader

_log = logging.getLogger("lrs.ledger")

_WRITE_INTERVAL_SECONDS = 2.0
_SWEEP_INTERVAL_SECONDS = 5.0
_CLEANUP_INTERVAL_SECONDS = 60.0
_OLD_COUNTS_INTERVAL_SECONDS = 86_400.0
_MAX_CLAIM_INTERVAL_SECONDS = 600.0
_CLOSE_TIMEOUT_SECONDS = 2.0
_PAGE_SIZE = 5000
_COUNTS_TTL = timedelta(days=400)
_MAX_DELETED_COUNTS = 10_000

UseKey = tuple[int, str]
"""Partner id, and the name of a credential or tool."""


class Ledger:
    """What one worker has received since its last write.

    Of refused items, `max_item_bytes` of the text are kept, at most `max_refusals` of a partner,
    for `refusal_ttl_seconds`.
    """

    def __init__(
        self,
        database: Database,
        watermark_reader: WatermarkReader,
        *,
        max_item_bytes: int = 16_384,
        max_refusals: int = 10_000,
        refusal_ttl_seconds: int = 604_800,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._watermark_reader = watermark_reader
        self._clock = clock
        self._counters = Counters()
        self._refusals = RefusalBuffer(max_item_bytes, is_enabled=max_refusals > 0)
        self._last_used: dict[UseKey, float] = {}
        self._last_refused: dict[UseKey, float] = {}
        self._changed: set[int] = set()
        self.attempts = AttemptBuffer()
        self._addresses = AddressBuffer()
        self._authority_names: dict[int, dict[int, str]] = {}
        self._max_refusals = max_refusals
        self._refusal_ttl_seconds = refusal_ttl_seconds
        self._lock = asyncio.Lock()
        self._count_lock = asyncio.Lock()

    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._clock()

    def used(self, partner_id: int, credential: str, address: str) -> None:
        """A credential or tool has authenticated a request from an address; empty: unknown."""
        now = self._last_used[partner_id, credential] = self._clock()
        if address:
            self._addresses.add(partner_id, credential, address, now)

    def stored(self, partner_id: int) -> None:
        """The partner has new statements to count."""
        self._changed.add(partner_id)

    def count(
        self, origin: Origin, outcome: str, items: int, size: int, reason: tuple[str, str]
    ) -> None:
        """Counts items that were not stored; `reason` is a code and a generalized pointer."""
        now = self._clock()
        partner_id, source, credential, organization, *_ = origin
        key = IntakeKey(
            partner_id, hour_of(now), source, credential, organization, outcome, *reason
        )
        self._counters.add(key, items, size, now)

    def refuse(
        self,
        origin: Origin,
        outcome: str,
        error: LRSError,
        item: bytes | None,
        *,
        size: int | None = None,
        index: int | None = None,
        statement_id: str | None = None,
    ) -> None:
        """Counts and keeps a refused item; without an index, the request as a whole.

        `size` is that of the item if it is not there or not complete.
        """
        now, reason = self._clock(), reason_of(error)
        size = len(item or b"") if size is None else size
        self.count(origin, outcome, 1, size, reason)
        self._last_refused[origin.partner_id, origin.credential] = now
        self._refusals.add(
            origin,
            outcome,
            error,
            reason,
            item,
            size=size,
            index=index,
            statement_id=statement_id,
            request_id=logs.request_id.get() or "",
            at=now,
        )

    def last_refused(self, partner_id: int, credential: str) -> datetime | None:
        """When this worker last refused an item of the credential, since its last write."""
        seconds = self._last_refused.get((partner_id, credential))
        return datetime.fromtimestamp(seconds, UTC) if seconds else None

    async def write(self) -> None:
        """Writes what has been collected, and counts the statements stored meanwhile.

        What cannot be written is kept for the next time.
        """
        async with self._lock:
            await attempt("write counts", self._write_counts, _log)
            await attempt("write the use of credentials", self._write_uses, _log)
            await attempt("write refusals", self._write_refusals, _log)
            await attempt("write attempts", lambda: self.attempts.write(self._database), _log)
            await attempt("write addresses", lambda: self._addresses.write(self._database), _log)
        if not self._count_lock.locked():  # the first count of many statements takes minutes
            await attempt("count statements", self._count_changed, _log)

    async def write_refusals(self, partner_id: int) -> None:
        """Writes the refusals of a partner, so that a list has those of this worker.

        Raises Unavailable.
        """
        await self._write_taken(self._refusals.take(partner_id))

    async def sweep(self) -> None:
        """Counts statements that another process has stored and not counted."""
        self._changed.update(await intake.list_uncounted(self._database))
        await self._count_changed()

    async def _write_counts(self) -> None:
        if counts := self._counters.take():
            try:
                await intake.add_counts(self._database, counts, limit_names)
            except InternalError:  # the database rejects them
                raise
            except BaseException:
                self._counters.put_back(counts)
                raise

    async def _write_uses(self) -> None:
        keys = sorted(self._last_used.keys() | self._last_refused.keys())
        if not keys:
            return
        used, self._last_used = self._last_used, {}
        refused, self._last_refused = self._last_refused, {}
        uses = [CredentialUse(*key, _time(used.get(key)), _time(refused.get(key))) for key in keys]
        try:
            await intake.write_uses(self._database, uses)
        except BaseException:
            self._last_used = {**used, **self._last_used}
            self._last_refused = {**refused, **self._last_refused}
            raise

    async def _write_refusals(self) -> None:
        await self._write_taken(self._refusals.take())

    async def _write_taken(self, taken: dict[int, list[NewRefusal]]) -> None:
        for partner_id in list(taken):
            try:
                await refusal_store.insert(self._database, partner_id, taken[partner_id])
                del taken[partner_id]
                await refusal_store.remove_excess(
                    self._database,
                    partner_id,
                    lambda kept: excess_by_reason(kept, self._max_refusals),
                )
            except InternalError as error:
                # The database rejects them: a repetition would hold up those of other partners.
                _log.error("cannot write refusals: %s", error.detail_with_cause)
                taken.pop(partner_id, None)
            except BaseException:
                for unwritten, refusals in taken.items():
                    self._refusals.put_back(unwritten, refusals)
                raise

    async def _count_changed(self) -> None:
        async with self._count_lock:
            await self._count_partners()

    async def _count_partners(self) -> None:
        changed, self._changed = self._changed, set()
        while changed:
            partner_id = changed.pop()
            try:
                await self._count_statements(partner_id)
            except BaseException:
                self._changed |= changed | {partner_id}
                raise

    async def _count_statements(self, partner_id: int) -> None:
        watermark = await self._watermark_reader.read_watermark(partner_id)
        names = self._authority_names.setdefault(partner_id, {})
        counted = _PAGE_SIZE
        while counted == _PAGE_SIZE:
            began = time.perf_counter()
            counted = await intake.count_statements(
                self._database, partner_id, watermark, names, limit_names, page_size=_PAGE_SIZE
            )
            if counted == _PAGE_SIZE:  # many statements: leave half of the time to requests
                await asyncio.sleep(time.perf_counter() - began)

    async def remove_expired(self) -> None:
        """Removes refusals that are too old, and addresses of the day before."""
        await remove_expired(self._database, self._refusal_ttl_seconds)
        await addresses.remove_expired(self._database)

    async def remove_old_counts(self) -> None:
        """Removes counts of refused items that are more than 400 days old."""
        before = datetime.now(UTC) - _COUNTS_TTL
        await intake.delete_old_counts(self._database, before, _MAX_DELETED_COUNTS)


@asynccontextmanager
async def open_ledger(
    settings: Settings, database: Database, watermark_reader: WatermarkReader
) -> AsyncIterator[Ledger]:
    """The ledger of one worker; at the end, what it has collected is written."""
    ledger = Ledger(
        database,
        watermark_reader,
        max_item_bytes=settings.max_refusal_item_bytes,
        max_refusals=settings.max_refusals_per_partner,
        refusal_ttl_seconds=settings.refusal_ttl_seconds,
    )
    tasks = [
        asyncio.create_task(
            repeat("write the ledger", ledger.write, _WRITE_INTERVAL_SECONDS, _log)
        ),
        *(
            asyncio.create_task(_repeat_in_rounds(database, task, step, seconds))
            for task, step, seconds in (
                ("count statements", ledger.sweep, _SWEEP_INTERVAL_SECONDS),
                ("remove refusals", ledger.remove_expired, _CLEANUP_INTERVAL_SECONDS),
                ("remove counts", ledger.remove_old_counts, _OLD_COUNTS_INTERVAL_SECONDS),
            )
        ),
    ]
    try:
        yield ledger
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(TimeoutError):  # a database that hangs
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                await ledger.write()


async def _repeat_in_rounds(database: Database, task: str, step: Step, seconds: float) -> None:
    """Runs the step in each interval, unless a worker of any server does."""

    async def run() -> None:
        if await maintenance.claim_round(database, task, seconds):
            await step()

    # More often than a round is due: the worker that ran the last one may have ended.
    await repeat(task, run, min(0.4 * seconds, _MAX_CLAIM_INTERVAL_SECONDS), _log)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
