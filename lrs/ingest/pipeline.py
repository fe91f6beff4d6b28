"""The pipeline: the only way of statements into the store.

    parse -> prepare -> group commit -> outcomes

Every interface submits items as bytes, with its parser, and gets one outcome per item.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

import orjson
import prometheus_client

from lrs.errors import (
    DuplicateStatement,
    InvalidStatement,
    LRSError,
    MalformedJSON,
    QuotaExceeded,
    StatementConflict,
    StorageQuotaExceeded,
    TooLarge,
    Violation,
)
from lrs.ingest import further_events
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.model import (
    REFUSED,
    IngestContext,
    ItemParser,
    Outcome,
    OutcomeKind,
    PreparedItem,
)
from lrs.ingest.parse import invalid_statement
from lrs.ingest.prepare import prepare
from lrs.ingest.quota_check import insert_within_quota
from lrs.ingest.record_outcomes import record_outcomes
from lrs.ledger.worker import Ledger
from lrs.limits.quotas import Quotas
from lrs.observability import metrics
from lrs.observability.server_timing import stage
from lrs.pacing import Pacing
from lrs.store.nonces import Nonce
from lrs.store.postgres import Database
from lrs.store.statements import insert
from lrs.store.statements.insert import InsertResult, StatementRow
from lrs.threads import FairThread
from lrs.xapi import equality, index_keys, requirements, track_events
from lrs.xapi.statement import TRACK_EVENT
from lrs.xapi.validation import Version, declared_version

_SMALL_BATCH = 10
"""Batches of more items than this are prepared one at a time for each partner."""

_LARGE_ITEM_BYTES = 32_768
"""A larger item is prepared in a thread: a statement of 1 MB takes up to 0.3 s."""

_TIME_SLICE = 0.005
"""Seconds of preparation after which other tasks of the event loop run."""


_REPEATED_SOURCES = frozenset({"pull"})
"""Sources that repeat limited items by themselves until they are stored."""


class IngestPipeline:
    """Turns submitted items into stored statements; one instance per worker."""

    def __init__(
        self,
        database: Database,
        group_commit: GroupCommit,
        quotas: Quotas,
        thread: FairThread | None = None,
        ledger: Ledger | None = None,
        *,
        pacing: Pacing | None = None,
    ) -> None:
        self._database = database
        self._group_commit = group_commit
        self._quotas = quotas
        self._thread = thread or FairThread()
        self._ledger = ledger
        self._pacing = pacing or Pacing()
        self._batch_locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def queued_statements(self) -> int:
        """The number of statements that wait for a commit in this process."""
        return self._group_commit.queued_statements()

    async def submit(
        self,
        items: Sequence[bytes],
        context: IngestContext,
        parser: ItemParser,
        *,
        atomic: bool = False,
        dry_run: bool = False,
        nonce: Nonce | None = None,
        report_key: Nonce | None = None,
        in_thread: bool = False,
        is_final: bool = True,
    ) -> list[Outcome]:
        """Stores the items that are valid and new; returns the outcome of each, in order.

        With `atomic`, one invalid or conflicting item aborts all others. With `dry_run`, nothing
        is stored. A `nonce` is consumed in the transaction of the insert, unless an item conflicts.
        A `report_key` is consumed with it; items whose key is consumed already are duplicates. With
        `in_thread`, small items are prepared in a thread too, such as those with signatures.
        Unless `is_final`, the caller records the outcomes.

        Raises Overloaded (queue full), Unavailable (no database), QuotaExceeded,
        StorageQuotaExceeded and NonceReused.
        """
        with stage("validate"):
            prepared = await self._prepare(items, context, parser, in_thread)
        if atomic:
            prepared = _reject_repeated_ids(prepared, context.version)
        rows = [item.row for item in prepared if isinstance(item, PreparedItem)]
        results: Sequence[InsertResult] = []
        if rows and not (atomic and len(rows) < len(prepared)):

            async def store(rows: Sequence[StatementRow]) -> Sequence[InsertResult]:
                if dry_run:
                    return await insert.preview(self._database, context.partner_id, rows)
                return await insert_within_quota(
                    self._quotas,
                    self._database,
                    context,
                    rows,
                    lambda: self._group_commit.submit(
                        context.partner_id,
                        rows,
                        atomic=atomic,
                        nonce=nonce,
                        report_key=report_key,
                    ),
                    atomic=atomic,
                )

            try:
                results = await store(rows)
                if context.source == further_events.SOURCE and any(results):
                    prepared, results = await _with_further_events(prepared, results, store)
            except (QuotaExceeded, StorageQuotaExceeded) as error:
                self._record_limited(context, items, error)
                raise
        outcomes = await self._compare(prepared, results, context)
        if atomic and any(outcome.kind in REFUSED for outcome in outcomes):
            outcomes = [_abort(outcome) for outcome in outcomes]
        if is_final and not dry_run:
            self.record(context, items, outcomes)
        return outcomes

    def record(
        self, context: IngestContext, items: Sequence[bytes], outcomes: Sequence[Outcome]
    ) -> None:
        """Counts the outcomes of items in the metrics and in the ledger."""
        began = time.perf_counter()
        _count(context.partner, outcomes)
        if self._ledger is not None:
            record_outcomes(self._ledger, context, items, outcomes)
        self._charge(context, items, time.perf_counter() - began)

    def _record_limited(
        self, context: IngestContext, items: Sequence[bytes], error: LRSError
    ) -> None:
        if self._ledger is not None and context.source not in _REPEATED_SOURCES:
            for index, item in enumerate(items):
                self._ledger.refuse(context.origin, "limited", error, item, index=index)

    async def _compare(
        self,
        prepared: Sequence[PreparedItem | Outcome],
        results: Sequence[InsertResult],
        context: IngestContext,
    ) -> list[Outcome]:
        """The outcomes, with the differences from stored statements; large ones in a thread."""
        size = sum(len(existing.payload or "") for existing in results if existing)
        if size <= _LARGE_ITEM_BYTES:
            return _outcomes(prepared, results, context)
        return await self._thread.run(context.partner_id, _outcomes, prepared, results, context)

    async def _prepare(
        self,
        items: Sequence[bytes],
        context: IngestContext,
        parser: ItemParser,
        in_thread: bool,
    ) -> list[PreparedItem | Outcome]:
        """Parses and prepares the items. Raises Overloaded.

        Of a partner's large batches and items, one is prepared at a time, and only while the queue
        has capacity: then the first batch need not wait for the preparation of all others, and no
        batch is prepared only to be rejected.
        """
        if len(items) <= _SMALL_BATCH and not in_thread and not any(map(_is_large, items)):
            return await self._prepare_in_slices(items, context, parser)
        received_at = time.monotonic()
        async with self._batch_locks[context.partner_id]:
            await self._group_commit.wait_for_capacity(context.partner_id, received_at)
            await self._pacing.rest(context.partner_id)
            return await self._prepare_in_slices(items, context, parser, in_thread)

    async def _prepare_in_slices(
        self,
        items: Sequence[bytes],
        context: IngestContext,
        parser: ItemParser,
        in_thread: bool = False,
    ) -> list[PreparedItem | Outcome]:
        """Prepares the items, and yields to the event loop after each time slice."""
        prepared: list[PreparedItem | Outcome] = []
        derived_ids: Counter[str] = Counter()
        began = time.perf_counter()
        for item in items:
            if (elapsed := time.perf_counter() - began) > _TIME_SLICE:
                self._pacing.charge(context.partner_id, elapsed)
                await asyncio.sleep(0)
                began = time.perf_counter()
            if in_thread or _is_large(item):
                prepared.append(
                    await self._thread.run(
                        context.partner_id, _prepare_item, item, context, parser, derived_ids
                    )
                )
                began = time.perf_counter()
            else:
                prepared.append(_prepare_item(item, context, parser, derived_ids))
        self._charge(context, items, time.perf_counter() - began)
        return prepared

    def _charge(self, context: IngestContext, items: Sequence[bytes], seconds: float) -> None:
        """Charges work for a batch, also of less than a time slice: batches follow each other."""
        if len(items) > _SMALL_BATCH:
            self._pacing.charge(context.partner_id, seconds)


async def _with_further_events(
    prepared: list[PreparedItem | Outcome],
    results: Sequence[InsertResult],
    store: Callable[[Sequence[StatementRow]], Awaitable[Sequence[InsertResult]]],
) -> tuple[list[PreparedItem | Outcome], Sequence[InsertResult]]:
    """Stores conflicting track events without a time as further events of their days."""
    further = further_events.further_events(prepared, results)
    if not further:
        return prepared, results
    stored = await store([item.row for item in further.values()])
    by_index = dict(zip(further, stored, strict=True))
    merged = [by_index.get(index, result) for index, result in enumerate(results)]
    return further_events.replaced(prepared, further), merged


def _is_large(item: bytes) -> bool:
    return len(item) > _LARGE_ITEM_BYTES


def _prepare_item(
    item: bytes, context: IngestContext, parser: ItemParser, derived_ids: Counter[str]
) -> PreparedItem | Outcome:
    try:
        return prepare(parser(item, context), context, derived_ids)
    except TooLarge as problem:
        return _refusal("too_large", None, problem)
    except InvalidStatement as problem:
        return _refusal("invalid", problem.statement_id, problem)
    except MalformedJSON as problem:
        return _refusal("invalid", None, problem)


def _refusal(kind: OutcomeKind, statement_id: str | None, problem: LRSError) -> Outcome:
    """The outcome of a refused item.

    A traceback refers to its frames, and they to the item and to the outcome: a cycle that the
    garbage collector does not see, because it does not track outcomes.
    """
    problem.__traceback__ = problem.__context__ = None
    return Outcome(kind, statement_id, problem)


def _reject_repeated_ids(
    prepared: Sequence[PreparedItem | Outcome], version: Version | None
) -> list[PreparedItem | Outcome]:
    """Refuses items whose id an earlier item of the batch has (xAPI 1.0.3 Communication 2.1.2)."""
    requirement = requirements.POST_STATEMENTS[version or "1.0.3"]
    ids: set[str] = set()
    checked: list[PreparedItem | Outcome] = []
    for item in prepared:
        if isinstance(item, PreparedItem) and item.has_id:
            if item.row.statement_id in ids:
                violation = Violation("/id", "repeats an id of the batch", requirement)
                problem = invalid_statement([violation])
                checked.append(Outcome("invalid", item.statement_id, problem))
                continue
            ids.add(item.row.statement_id)
        checked.append(item)
    return checked


def _outcomes(
    prepared: Sequence[PreparedItem | Outcome],
    results: Sequence[InsertResult],
    context: IngestContext,
) -> list[Outcome]:
    remaining = iter(results)
    return [
        item if isinstance(item, Outcome) else _outcome(item, next(remaining, None), context)
        for item in prepared
    ]


def _outcome(item: PreparedItem, existing: InsertResult, context: IngestContext) -> Outcome:
    if existing is None:
        return Outcome("stored", item.statement_id)
    if existing.digest == item.row.digest:
        if context.accepts_duplicates:
            return Outcome("duplicate", item.statement_id)
        problem = DuplicateStatement(
            f"The statement {item.statement_id} is already stored; nothing was changed."
        )
        return Outcome("duplicate", item.statement_id, problem)
    return Outcome("conflict", item.statement_id, _conflict(item, existing.payload, context))


def _abort(outcome: Outcome) -> Outcome:
    return Outcome("aborted", outcome.statement_id) if outcome.kind == "stored" else outcome


def _conflict(item: PreparedItem, payload: str | None, context: IngestContext) -> LRSError:
    return StatementConflict(
        f"A different statement is stored under the id {item.statement_id}; nothing was changed.",
        violations=_differences(item.row, payload, context) if payload else (),
    )


def _differences(row: StatementRow, payload: str, context: IngestContext) -> list[Violation]:
    """The differences from the stored statement, in the fields of the item as it was sent.

    None if the caller may not read the stored statement.
    """
    sent, stored = orjson.loads(row.text), orjson.loads(payload)
    if not context.reads_all and index_keys.agent_key(stored["authority"]) != context.authority_key:
        return []
    if all(TRACK_EVENT in item.get("context", {}).get("extensions", ()) for item in (sent, stored)):
        return [
            Violation(f"/{field}", "differs from the stored event", f"Track event: {field}")
            for field in track_events.differing_fields(sent, stored)
        ]
    requirement = requirements.STATEMENT_COMPARISON[context.version or declared_version(sent)]
    return [
        Violation(path, "differs from the stored statement", requirement)
        for path in equality.differences(sent, stored)
    ]


def _count(partner: str, outcomes: Sequence[Outcome]) -> None:
    if len(outcomes) == 1:
        _counter(partner, outcomes[0].kind).inc()
        return
    for kind, count in Counter(outcome.kind for outcome in outcomes).items():
        _counter(partner, kind).inc(count)


# Cached because the lookup of the labels takes longer than the increment.
@lru_cache(maxsize=10_000)
def _counter(partner: str, kind: OutcomeKind) -> prometheus_client.Counter:
    return metrics.OUTCOMES.labels(metrics.partner_label(partner), kind)
