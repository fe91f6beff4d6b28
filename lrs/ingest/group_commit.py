"""Group commit: submissions that arrive during a transaction share the next one.

There is no timer: without other traffic, a submission is committed immediately. A transaction
holds statements of one partner. A submission gets its results only after the commit.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from contextvars import Context

from lrs.errors import LRSError, OutcomeUnknown, Overloaded, Unavailable
from lrs.ingest.submission import Submission, SubmissionResults
from lrs.ingest.write import AtomicConflict, Writer
from lrs.observability import metrics, server_timing
from lrs.pacing import Pacing
from lrs.store.nonces import Nonce, NonceRecovery, NonceReused
from lrs.store.postgres import (
    Database,
    lost_connection_is_unknown_outcome,
    retry_transaction,
    translate_errors,
)
from lrs.store.statements.definitions import DefinitionCache
from lrs.store.statements.insert import InsertResult, StatementRow

_RECONNECT_INTERVAL = 0.05

_LIGHT_ROWS = 20
"""A transaction of more rows, of any table, is heavy work: of about ten ordinary statements."""

_PACED_GROUP_LIMIT = 100
"""Statements of one transaction of a partner that has to rest: others wait for its commit."""

_UNKNOWN = (
    "The connection to the database was lost during the commit: the statements may be stored. "
    "Send the request again: an item with an id or a timestamp is stored once."
)


class GroupCommit:
    """The queues and transactions of a worker's statements, per partner.

    `queue_limit` and `group_limit` count statements: of all queues, and of one transaction. One
    partner has at most three quarters of the queue, and large batches of it wait beyond a quarter.
    A partner that has to rest has one transaction at a time, of fewer statements.
    `capacity_timeout` is in seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        queue_limit: int = 10_000,
        group_limit: int = 500,
        transactions_per_partner: int = 2,
        capacity_timeout: float = 5.0,
        reconnect_timeout: float = 3.0,
        definition_ttl_seconds: float = 60.0,
        nonce_recovery: NonceRecovery | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = database.writers
        self._writer = Writer(DefinitionCache(ttl_seconds=definition_ttl_seconds))
        self._queue_limit = queue_limit
        self._group_limit = group_limit
        self._transactions_per_partner = transactions_per_partner
        self._capacity_timeout = capacity_timeout
        self._reconnect_timeout = reconnect_timeout
        self._nonce_recovery = nonce_recovery or NonceRecovery(database)
        self._pacing = pacing or Pacing()
        self._queued = 0
        self._queued_by_partner: Counter[int] = Counter()
        self._dequeued = asyncio.Event()
        self._dequeued_at = 0.0
        self._queues: defaultdict[int, deque[Submission]] = defaultdict(deque)
        self._tasks: defaultdict[int, set[asyncio.Task[None]]] = defaultdict(set)

    async def submit(
        self,
        partner_id: int,
        rows: Sequence[StatementRow],
        *,
        atomic: bool,
        nonce: Nonce | None = None,
        report_key: Nonce | None = None,
    ) -> list[InsertResult]:
        """Inserts the rows whose ids are new; returns a result for each row, in order.

        With `atomic`, nothing is inserted if a row conflicts with a stored statement. The nonce is
        consumed in the same transaction, and so is the report key, unless it is consumed already:
        then no row is inserted. Raises Overloaded (queue full), Unavailable (no answer of
        the database; nothing was stored), OutcomeUnknown and NonceReused.
        """
        if nonce:
            await self._nonce_recovery.recovered(partner_id, nonce)
        queued = self._queued_by_partner[partner_id]
        if self._queued and self._queued + len(rows) > self._queue_limit:
            raise _queue_full()
        if queued and queued + len(rows) > self._queue_limit * 3 // 4:
            raise _queue_full()
        submission = Submission(rows, atomic, self._loop.create_future(), nonce, report_key)
        self._queues[partner_id].append(submission)
        self._add_queued(partner_id, len(rows))
        self._start_task(partner_id)
        queued_at = time.perf_counter()
        try:
            results = await submission.results
        except asyncio.CancelledError:  # the request has exceeded its time limit
            if nonce:
                self._nonce_recovery.hold(partner_id, nonce)
            raise
        if (timing := server_timing.stage_times.get()) is not None:
            timing.add("queue", submission.dequeued_at - queued_at)
            timing.add("database", time.perf_counter() - submission.dequeued_at)
        return results

    async def wait_for_capacity(self, partner_id: int, since: float) -> None:
        """Waits until the queue of the partner has capacity for a large batch.

        Raises Overloaded when nothing was dequeued for `capacity_timeout`, counted from `since` (of
        time.monotonic) at the earliest.
        """
        while (
            self._queued_by_partner[partner_id] > self._queue_limit // 4
            or self._queued > self._queue_limit * 3 // 4
        ):
            self._dequeued.clear()
            deadline = max(self._dequeued_at, since) + self._capacity_timeout
            try:
                await asyncio.wait_for(self._dequeued.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise _queue_full() from None

    def has_capacity(self) -> bool:
        """Whether one more statement would be accepted."""
        return self._queued < self._queue_limit

    def queued_statements(self) -> int:
        return self._queued

    async def drain(self) -> None:
        """Waits until all queues are empty and all transactions have ended."""
        while tasks := [task for running in self._tasks.values() for task in running]:
            await asyncio.wait(tasks)

    def _add_queued(self, partner_id: int, change: int) -> None:
        self._queued += change
        self._queued_by_partner[partner_id] += change
        metrics.QUEUED_STATEMENTS.set(self._queued)

    def _start_task(self, partner_id: int) -> None:
        running = self._tasks[partner_id]
        limit = 1 if self._pacing.must_rest(partner_id) else self._transactions_per_partner
        if self._queues[partner_id] and len(running) < limit:
            # In an empty context: the task works for several requests.
            task = asyncio.create_task(self._commit_queue(partner_id), context=Context())
            running.add(task)
            task.add_done_callback(lambda _: self._finish_task(partner_id, task))

    def _finish_task(self, partner_id: int, task: asyncio.Task[None]) -> None:
        self._tasks[partner_id].discard(task)
        self._start_task(partner_id)  # for submissions queued since the task found none
        if not self._tasks[partner_id] and not self._queues[partner_id]:
            del self._tasks[partner_id], self._queues[partner_id]
            del self._queued_by_partner[partner_id]

    async def _commit_queue(self, partner_id: int) -> None:
        while self._queues[partner_id]:
            await _handle_arrivals()
            limit = self._group_limit
            if self._pacing.must_rest(partner_id):
                if len(self._tasks[partner_id]) > 1:
                    return  # the other task continues
                await self._pacing.rest(partner_id)
                limit = _PACED_GROUP_LIMIT
            group = self._dequeue_group(partner_id, limit)
            began = time.perf_counter()
            if group:
                await self._commit(partner_id, group)
            if _row_count(group) > _LIGHT_ROWS:
                self._pacing.charge(partner_id, time.perf_counter() - began)
            for submission in group:
                if submission.results.cancelled():
                    self._free_nonce(partner_id, submission)

    def _free_nonce(self, partner_id: int, submission: Submission) -> None:
        if submission.nonce:
            self._nonce_recovery.free(partner_id, submission.nonce)

    def _dequeue_group(self, partner_id: int, limit: int) -> list[Submission]:
        queue = self._queues[partner_id]
        group: list[Submission] = []
        size, now = 0, time.perf_counter()
        while queue and (not group or size + len(queue[0].rows) <= limit):
            submission = queue.popleft()
            if submission.results.cancelled():  # its request has exceeded its time limit
                self._add_queued(partner_id, -len(submission.rows))
                self._free_nonce(partner_id, submission)
                continue
            submission.dequeued_at = now
            size += len(submission.rows)
            group.append(submission)
        self._add_queued(partner_id, -size)
        self._dequeued.set()
        self._dequeued_at = time.monotonic()
        return group

    async def _commit(self, partner_id: int, group: list[Submission]) -> None:
        """Commits a group in one transaction; splits it where that is not possible.

        Never raises: every submission gets its results or an error.
        """
        try:
            _set_results(await self._write_until_outcome(partner_id, group))
        except AtomicConflict as conflict:
            if len(group) == 1:
                _set_results({**conflict.results})
                return
            # The rollback has undone the other submissions too. An atomic one may conflict with
            # one of these only, so that it is tried again, alone.
            others = [submission for submission in group if submission not in conflict.results]
            await self._commit_each(
                partner_id, [others, *([submission] for submission in conflict.results)]
            )
        except OutcomeUnknown as error:
            _set_error(group, error)
            for submission in group:
                self._free_nonce(partner_id, submission)
        except LRSError as error:
            if len(group) == 1 or isinstance(error, Unavailable):
                _set_error(group, error)
                return
            # A statement that PostgreSQL rejects must not fail the other submissions.
            await self._commit_each(partner_id, [[submission] for submission in group])
        except Exception as error:
            _set_error(group, error)

    async def _write_until_outcome(
        self, partner_id: int, group: list[Submission]
    ) -> SubmissionResults:
        """Writes the group. If the connection is lost, writes it again, which is idempotent.

        The insert waits for a lost transaction that is still open; a lookup would not see its rows.
        Raises OutcomeUnknown if no connection is available within the timeout.
        """
        unknown: OutcomeUnknown | None = None
        deadline = 0.0
        while True:
            try:
                return await self._write(partner_id, group)
            except Unavailable as error:
                if isinstance(error, OutcomeUnknown) and unknown is None:
                    unknown, deadline = error, time.monotonic() + self._reconnect_timeout
                if unknown is None:
                    raise
                if time.monotonic() > deadline or isinstance(error.__cause__, TimeoutError):
                    raise unknown from error.__cause__
            for submission in group:
                submission.is_repeated = True
            await asyncio.sleep(_RECONNECT_INTERVAL)

    async def _write(self, partner_id: int, group: list[Submission]) -> SubmissionResults:
        with metrics.COMMIT_DURATION.time(), translate_errors():
            async with self._connections.acquire() as connection:
                with lost_connection_is_unknown_outcome(_UNKNOWN):
                    return await retry_transaction(
                        lambda: self._writer.write(connection, partner_id, group)
                    )

    async def _commit_each(self, partner_id: int, groups: list[list[Submission]]) -> None:
        for group in filter(None, groups):
            await self._commit(partner_id, group)


def _row_count(group: Sequence[Submission]) -> int:
    """About the number of rows that a group writes, with up to eight index entries as one."""
    return sum(
        1 + len(row.index_entries) // 8 + len(row.contents) + (8 if row.target_id else 0)
        for submission in group
        for row in submission.rows
    )


async def _handle_arrivals() -> None:
    """Lets the requests join the next group that the event loop has at hand.

    Three iterations of the event loop take microseconds where nothing else is to do. With 64
    connections that send single statements, a group has 27 instead of 20 statements with them, and
    PostgreSQL needs a quarter less CPU for each.
    """
    await asyncio.sleep(0)  # callers of the last group send their responses
    await asyncio.sleep(0)  # their next requests arrive
    await asyncio.sleep(0)  # and are prepared


def _queue_full() -> Overloaded:
    return Overloaded(
        "The queue of statements is full; nothing was stored.", headers={"Retry-After": "1"}
    )


# The future of a request whose client has disconnected is already cancelled.
def _set_results(results: SubmissionResults) -> None:
    for submission, result in results.items():
        if submission.results.done():
            continue
        if isinstance(result, NonceReused):
            submission.results.set_exception(result)
        else:
            submission.results.set_result(result)


def _set_error(group: list[Submission], error: Exception) -> None:
    for submission in group:
        if not submission.results.done():
            submission.results.set_exception(error)
