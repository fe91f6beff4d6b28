"""Group commit: statements that arrive while a transaction is under way share the next one.

There is no timer: a lone request is committed at once. One transaction holds statements of one
partner only. Each submission learns what became of its statements only after the commit.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lrs import metrics
from lrs.errors import LRSError, Overloaded, Unavailable
from lrs.store import inheritance, statements
from lrs.store.database import RETRIED, Connection, Database, errors_translated
from lrs.store.statements import Known, Prepared

Verdict = Known | None
"""None: stored now. Known: refused, since this is what stands under that id."""

_RETRIES = 5


@dataclass(eq=False, slots=True)
class Submission:
    """What one request wants stored: all or nothing if `atomic`, else each for itself."""

    prepared: Sequence[Prepared]
    atomic: bool
    verdicts: asyncio.Future[list[Verdict]]

    @property
    def needs_rollback(self) -> bool:
        return self.atomic and len(self.prepared) > 1

    def refused(self, verdicts: list[Verdict]) -> bool:
        """Whether one statement contradicts what is stored, so that none may be stored."""
        return self.needs_rollback and any(
            known is not None and known.digest != each.digest
            for each, known in zip(self.prepared, verdicts, strict=True)
        )


class _Refused(Exception):
    def __init__(self, verdicts: dict[Submission, list[Verdict]]) -> None:
        self.verdicts = verdicts


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
        self._database = database
        self._queue_limit = queue_limit
        self._group_limit = group_limit
        self._transactions_per_partner = transactions_per_partner
        self._queued = 0
        self._queues: defaultdict[int, deque[Submission]] = defaultdict(deque)
        self._running: defaultdict[int, set[asyncio.Task[None]]] = defaultdict(set)

    async def submit(
        self, partner_id: int, prepared: Sequence[Prepared], *, atomic: bool
    ) -> list[Verdict]:
        """Stores what is new, and returns a verdict for each statement, in order.

        With `atomic`, nothing is stored if a verdict has another digest than its statement. Raises
        Overloaded if the queue is full, Unavailable if the database does not answer.
        """
        if self._queued and self._queued + len(prepared) > self._queue_limit:
            raise Overloaded(
                "The server has as many statements waiting as it will hold; nothing was stored.",
                headers={"Retry-After": "1"},
            )
        submission = Submission(prepared, atomic, asyncio.get_running_loop().create_future())
        self._queues[partner_id].append(submission)
        self._count(len(prepared))
        self._start(partner_id)
        # A client that goes away does not stop a transaction that others share.
        return await asyncio.shield(submission.verdicts)

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
            task = asyncio.create_task(self._work(partner_id))
            running.add(task)
            task.add_done_callback(lambda _: self._finish(partner_id, task))

    def _finish(self, partner_id: int, task: asyncio.Task[None]) -> None:
        self._running[partner_id].discard(task)
        self._start(partner_id)  # for what came after its last look at the queue
        if not self._running[partner_id] and not self._queues[partner_id]:
            del self._running[partner_id], self._queues[partner_id]

    async def _work(self, partner_id: int) -> None:
        while group := self._take(partner_id):
            await self._settle(partner_id, group)

    def _take(self, partner_id: int) -> list[Submission]:
        queue = self._queues[partner_id]
        group: list[Submission] = []
        size = 0
        while queue and (not group or size + len(queue[0].prepared) <= self._group_limit):
            group.append(queue.popleft())
            size += len(group[-1].prepared)
        self._count(-size)
        return group

    async def _settle(self, partner_id: int, group: list[Submission]) -> None:
        try:
            await self._commit(partner_id, group)
        except Unavailable as error:
            _fail(group, error)
        except LRSError as error:
            # One statement that PostgreSQL cannot take must not take the others with it.
            if len(group) == 1:
                _fail(group, error)
                return
            for submission in group:
                await self._settle(partner_id, [submission])
        except Exception as error:
            _fail(group, error)
            raise

    async def _commit(self, partner_id: int, group: list[Submission]) -> None:
        while group:
            try:
                with metrics.COMMIT_SECONDS.time(), errors_translated():
                    verdicts = await self._attempt_again(partner_id, group)
            except _Refused as refused:
                verdicts = refused.verdicts
            for submission, result in verdicts.items():
                submission.verdicts.set_result(result)
            group = [each for each in group if each not in verdicts]

    async def _attempt_again(
        self, partner_id: int, group: list[Submission]
    ) -> dict[Submission, list[Verdict]]:
        for _ in range(_RETRIES):
            try:
                return await self._attempt(partner_id, group)
            except RETRIED:
                await asyncio.sleep(0)
        return await self._attempt(partner_id, group)

    async def _attempt(
        self, partner_id: int, group: list[Submission]
    ) -> dict[Submission, list[Verdict]]:
        firsts: dict[str, Prepared] = {}
        for submission in group:
            for each in submission.prepared:
                firsts.setdefault(each.statement_id, each)
        metrics.COMMIT_STATEMENTS.observe(len(firsts))
        referring = frozenset(each.statement_id for each in firsts.values() if each.target)
        async with self._database.writers.acquire() as connection:
            if referring or any(submission.needs_rollback for submission in group):
                return await self._in_transaction(connection, partner_id, group, firsts, referring)
            # Alone, the insert is its own transaction: one round trip.
            verdicts, inserted = await _write(connection, partner_id, group, firsts)
            if inserted.referred:
                await inheritance.settle(connection, partner_id, inserted.referred)
            return verdicts

    async def _in_transaction(
        self,
        connection: PoolConnectionProxy[Record],
        partner_id: int,
        group: list[Submission],
        firsts: dict[str, Prepared],
        referring: frozenset[str],
    ) -> dict[Submission, list[Verdict]]:
        async with connection.transaction():
            verdicts, inserted = await _write(connection, partner_id, group, firsts)
            refused = {each: found for each, found in verdicts.items() if each.refused(found)}
            if refused:
                raise _Refused(refused)
            referring &= inserted.ids
            settled = frozenset[str]()
            if referring or inserted.referred:
                settled = await inheritance.settle(
                    connection, partner_id, referring | inserted.referred
                )
        if unsettled := referring - settled:
            await inheritance.settle_late(connection, partner_id, unsettled)
        return verdicts


async def _write(
    connection: Connection,
    partner_id: int,
    group: list[Submission],
    firsts: dict[str, Prepared],
) -> tuple[dict[Submission, list[Verdict]], statements.Inserted]:
    inserted = await statements.insert(connection, partner_id, list(firsts.values()))
    unclaimed = set(inserted.ids)
    refused = [
        each
        for submission in group
        for each in submission.prepared
        if each is not firsts[each.statement_id] or each.statement_id not in inserted.ids
    ]
    known = await statements.stored_digests(connection, partner_id, refused) if refused else {}

    def verdict(each: Prepared) -> Verdict:
        if each.statement_id in unclaimed:
            unclaimed.remove(each.statement_id)
            return None
        return known[each.statement_id, each.digest]

    verdicts = {each: [verdict(item) for item in each.prepared] for each in group}
    return verdicts, inserted


def _fail(group: list[Submission], error: Exception) -> None:
    for submission in group:
        if not submission.verdicts.done():
            submission.verdicts.set_exception(error)
