"""Group commit: statements that arrive while a transaction is under way share the next one.

There is no timer: a lone request is committed at once. One transaction holds statements of one
partner only. Each submission learns what became of its statements only after the commit.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextvars import Context

from lrs.errors import LRSError, Overloaded, Unavailable
from lrs.ingest.write import AtomicConflict, Submission, SubmissionResults, Writer
from lrs.observability import metrics, server_timing
from lrs.store.nonces import Nonce, NonceReused
from lrs.store.postgres import Database, retry_transaction, translate_errors
from lrs.store.statements.insert import InsertResult, StatementRow

# How many seconds a batch waits for its turn while the database takes nothing at all.
_PATIENCE = 5.0


def _full() -> Overloaded:
    return Overloaded(
        "The server has as many statements waiting as it will hold; nothing was stored.",
        headers={"Retry-After": "1"},
    )


class GroupCommit:
    """The one writer of statements in a worker."""

    def __init__(
        self,
        database: Database,
        *,
        queue_limit: int = 10_000,
        group_limit: int = 500,
        transactions_per_partner: int = 2,
    ) -> None:
        self._connections = database.writers
        self._writer = Writer()
        self._queue_limit = queue_limit
        self._group_limit = group_limit
        self._transactions_per_partner = transactions_per_partner
        self._queued = 0
        self._taken = asyncio.Event()
        self._taken_at = 0.0
        self._queues: defaultdict[int, deque[Submission]] = defaultdict(deque)
        self._running: defaultdict[int, set[asyncio.Task[None]]] = defaultdict(set)

    async def submit(
        self,
        partner_id: int,
        prepared: Sequence[StatementRow],
        *,
        atomic: bool,
        nonce: Nonce | None = None,
    ) -> list[InsertResult]:
        """Stores what is new, and returns a verdict for each statement, in order.

        With `atomic`, nothing is stored if a verdict has another digest than its statement. Raises
        Overloaded if the queue is full, Unavailable if the database does not answer, NonceReused if
        the nonce, which is taken in the same transaction, was seen before.
        """
        if self._queued and self._queued + len(prepared) > self._queue_limit:
            raise _full()
        submission = Submission(prepared, atomic, asyncio.get_running_loop().create_future(), nonce)
        self._queues[partner_id].append(submission)
        self._count(len(prepared))
        self._start(partner_id)
        began = time.perf_counter()
        verdicts = await submission.verdicts
        if (measured := server_timing.spent.get()) is not None:
            measured.add("queue", submission.taken_at - began)
            measured.add("database", time.perf_counter() - submission.taken_at)
        return verdicts

    async def room(self, since: float) -> None:
        """Waits until the queue is at most half full, as long as the database gets on with it.

        Raises Overloaded if it has not for a while, nor since the caller came.
        """
        while self._queued > self._queue_limit // 2:
            self._taken.clear()
            patience = max(self._taken_at, since) + _PATIENCE - time.monotonic()
            try:
                await asyncio.wait_for(self._taken.wait(), patience)
            except TimeoutError:
                raise _full() from None

    async def drain(self) -> None:
        """Returns when nothing is waiting and nothing under way."""
        while running := [task for tasks in self._running.values() for task in tasks]:
            await asyncio.wait(running)

    def _count(self, change: int) -> None:
        self._queued += change
        metrics.QUEUE_STATEMENTS.set(self._queued)

    def _start(self, partner_id: int) -> None:
        running = self._running[partner_id]
        if self._queues[partner_id] and len(running) < self._transactions_per_partner:
            # In no context: what is done is done for several requests.
            task = asyncio.create_task(self._work(partner_id), context=Context())
            running.add(task)
            task.add_done_callback(lambda _: self._finish(partner_id, task))

    def _finish(self, partner_id: int, task: asyncio.Task[None]) -> None:
        self._running[partner_id].discard(task)
        self._start(partner_id)  # for what came after its last look at the queue
        if not self._running[partner_id] and not self._queues[partner_id]:
            del self._running[partner_id], self._queues[partner_id]

    async def _work(self, partner_id: int) -> None:
        while group := self._take(partner_id):
            await self._commit(partner_id, group)

    def _take(self, partner_id: int) -> list[Submission]:
        queue = self._queues[partner_id]
        group: list[Submission] = []
        size, now = 0, time.perf_counter()
        while queue and (not group or size + len(queue[0].prepared) <= self._group_limit):
            group.append(queue.popleft())
            group[-1].taken_at = now
            size += len(group[-1].prepared)
        self._count(-size)
        self._taken.set()
        self._taken_at = time.monotonic()
        return group

    async def _commit(self, partner_id: int, group: list[Submission]) -> None:
        """Commits a group in one transaction, or apart what cannot share one; never raises."""
        try:
            with metrics.COMMIT_SECONDS.time(), translate_errors():
                async with self._connections.acquire() as connection:
                    _tell(
                        await retry_transaction(
                            lambda: self._writer.write(connection, partner_id, group)
                        )
                    )
        except AtomicConflict as refused:
            if len(group) == 1:
                _tell({**refused.verdicts})
                return
            # What they contradict was in this group, perhaps, and is undone: each asks once more.
            accepted = [each for each in group if each not in refused.verdicts]
            await self._commit_each(partner_id, [accepted, *([each] for each in refused.verdicts)])
        except LRSError as error:
            if len(group) == 1 or isinstance(error, Unavailable):
                _fail(group, error)
                return
            # One statement that PostgreSQL cannot take must not take the others with it.
            await self._commit_each(partner_id, [[each] for each in group])
        except Exception as error:
            _fail(group, error)

    async def _commit_each(self, partner_id: int, groups: list[list[Submission]]) -> None:
        for group in filter(None, groups):
            await self._commit(partner_id, group)


# A request whose client has gone away is no longer waiting; it has not stopped the transaction.
def _tell(answers: SubmissionResults) -> None:
    for submission, answer in answers.items():
        if submission.verdicts.done():
            continue
        if isinstance(answer, NonceReused):
            submission.verdicts.set_exception(answer)
        else:
            submission.verdicts.set_result(answer)


def _fail(group: list[Submission], error: Exception) -> None:
    for submission in group:
        if not submission.verdicts.done():
            submission.verdicts.set_exception(error)
