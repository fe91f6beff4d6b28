"""One transaction of group commit: all that a group of submissions changes, in one order.

Nonces come first, since a request with a used one is left out. Statements follow, then what came
and what is told with them, what they count for, then what others inherit; each sorted, so that two
transactions never wait for each other in a circle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lrs.errors import LRSError
from lrs.observability import metrics
from lrs.store import nonces, page_views
from lrs.store.nonces import Nonce, NonceReused
from lrs.store.postgres import Connection, retry_transaction, translate_errors
from lrs.store.statements import attachments, insert, references
from lrs.store.statements.definitions import News, Remembered
from lrs.store.statements.insert import InsertedIds, InsertResult, StatementRow

_log = logging.getLogger("lrs.store")


@dataclass(eq=False, slots=True)
class Submission:
    """What one request wants stored: all or nothing if `atomic`, else each for itself.

    With a `nonce` it is stored only if that was never seen; where something else is stored already,
    the nonce stays good, as a second attempt may follow. `taken_at` says when it left the queue.
    """

    prepared: Sequence[StatementRow]
    atomic: bool
    verdicts: asyncio.Future[list[InsertResult]]
    nonce: Nonce | None = None
    taken_at: float = 0.0

    @property
    def needs_rollback(self) -> bool:
        return self.atomic and len(self.prepared) > 1

    def refused(self, verdicts: list[InsertResult]) -> bool:
        """Whether one statement contradicts what is stored, so that none may be stored."""
        return self.needs_rollback and self.contradicts(verdicts)

    def contradicts(self, verdicts: list[InsertResult]) -> bool:
        """Whether something else is stored under the id of one of its statements."""
        return any(
            known is not None and known.digest != each.digest
            for each, known in zip(self.prepared, verdicts, strict=True)
        )


class AtomicConflict(Exception):
    """Undoes the transaction, since some of its submissions are all or nothing."""

    def __init__(self, verdicts: dict[Submission, list[InsertResult]]) -> None:
        self.verdicts = verdicts


SubmissionResults = dict[Submission, list[InsertResult] | NonceReused]


class Writer:
    """Writes groups of submissions, and remembers what it has lately written of entities."""

    def __init__(self) -> None:
        self._remembered = Remembered()

    async def write(
        self,
        connection: PoolConnectionProxy[Record],
        partner_id: int,
        group: Sequence[Submission],
    ) -> SubmissionResults:
        """Commits new statements and returns the results. Raises AtomicConflict."""
        firsts = _firsts(group)
        metrics.COMMIT_STATEMENTS.observe(len(firsts))
        if _fits_one_statement(group, firsts):
            answers = await self._in_one_statement(connection, partner_id, group, firsts)
            if answers is not None:
                return answers
        return await self._in_transaction(connection, partner_id, group)

    async def _in_one_statement(
        self,
        connection: Connection,
        partner_id: int,
        group: Sequence[Submission],
        firsts: dict[str, StatementRow],
    ) -> SubmissionResults | None:
        """One round trip, a transaction of its own; None, with nothing stored, if that is not all.

        What is told by statements that are known already is not to be written, nor is half of what
        is all or nothing: it is decided in a transaction which statements are new.
        """
        given = list(firsts.values())
        news = self._news(partner_id, given)
        inserted: InsertedIds | None
        if len(given) == 1:
            inserted = await insert.insert_one(connection, partner_id, given[0], news)
        elif news or any(submission.needs_rollback for submission in group):
            inserted = await insert.insert_all_or_none(connection, partner_id, given, news)
        else:
            inserted = await insert.insert_new(connection, partner_id, given)
        if inserted is None:
            return None
        if len(inserted.ids) == len(given):
            self._remembered.note(partner_id, news)
        verdicts = await _verdicts(connection, partner_id, group, firsts, inserted)
        if inserted.referred:
            await _afterwards(lambda: references.resolve(connection, partner_id, inserted.referred))
        return {**verdicts}

    async def _in_transaction(
        self,
        connection: PoolConnectionProxy[Record],
        partner_id: int,
        group: Sequence[Submission],
    ) -> SubmissionResults:
        async with connection.transaction():
            replayed = await _replayed(connection, partner_id, group)
            group = [each for each in group if each not in replayed]
            firsts = _firsts(group)
            inserted = await insert.insert_new(connection, partner_id, list(firsts.values()))
            verdicts = await _verdicts(connection, partner_id, group, firsts, inserted)
            refused = {each: found for each, found in verdicts.items() if each.refused(found)}
            if refused:
                raise AtomicConflict(refused)
            unused = [
                each.nonce
                for each, found in verdicts.items()
                if each.nonce and each.contradicts(found)
            ]
            await nonces.release(connection, partner_id, unused)
            # In the order of their arrival, in which the newer definition replaces the older.
            stored = [each for each in firsts.values() if each.statement_id in inserted.ids]
            news = self._news(partner_id, stored)
            await attachments.insert(connection, partner_id, stored)
            if news:
                await insert.insert_all_or_none(connection, partner_id, (), news)
            viewed = [(each.statement_id, each.page_view) for each in stored if each.page_view]
            await page_views.record(connection, partner_id, viewed)
            unsettled = await _inherit(connection, partner_id, stored, inserted)
        self._remembered.note(partner_id, news)
        if unsettled:
            await _afterwards(
                lambda: references.resolve_after_commit(connection, partner_id, unsettled)
            )
        return {**verdicts, **{each: NonceReused() for each in replayed}}

    def _news(self, partner_id: int, prepared: Collection[StatementRow]) -> News:
        return self._remembered.news(
            partner_id,
            chain.from_iterable(each.definitions for each in prepared),
            chain.from_iterable(each.names for each in prepared),
        )


def _firsts(group: Sequence[Submission]) -> dict[str, StatementRow]:
    """The statements by id; of those with the same id, the first."""
    firsts: dict[str, StatementRow] = {}
    for submission in group:
        for each in submission.prepared:
            firsts.setdefault(each.statement_id, each)
    return firsts


def _fits_one_statement(group: Sequence[Submission], firsts: dict[str, StatementRow]) -> bool:
    """Whether nothing has to be looked at, or written, between the statements and the commit."""
    if any(each.target or each.contents or each.page_view for each in firsts.values()):
        return False
    if any(submission.nonce for submission in group):
        return False
    given = sum(len(submission.prepared) for submission in group)
    return len(firsts) == given or not any(submission.needs_rollback for submission in group)


async def _replayed(
    connection: Connection, partner_id: int, group: Sequence[Submission]
) -> set[Submission]:
    """Takes the nonces of the group, and returns the submissions whose nonce was taken before."""
    given = [each.nonce for each in group if each.nonce]
    fresh = await nonces.consume(connection, partner_id, given) if given else set()
    replayed = set()
    for submission in group:
        if submission.nonce in fresh:
            fresh.remove(submission.nonce)
        elif submission.nonce:
            replayed.add(submission)
    return replayed


async def _inherit(
    connection: Connection, partner_id: int, stored: Sequence[StatementRow], inserted: InsertedIds
) -> frozenset[str]:
    """Links what refers and what is referred to; returns those whose target is not seen yet."""
    referring = frozenset(each.statement_id for each in stored if each.target)
    if not referring and not inserted.referred:
        return referring
    return referring - await references.resolve(
        connection, partner_id, referring | inserted.referred
    )


async def _verdicts(
    connection: Connection,
    partner_id: int,
    group: Sequence[Submission],
    firsts: dict[str, StatementRow],
    inserted: InsertedIds,
) -> dict[Submission, list[InsertResult]]:
    if len(inserted.ids) == sum(len(submission.prepared) for submission in group):
        return {submission: [None] * len(submission.prepared) for submission in group}
    unclaimed = set(inserted.ids)
    refused = [
        each
        for submission in group
        for each in submission.prepared
        if each is not firsts[each.statement_id] or each.statement_id not in inserted.ids
    ]
    known = await insert.find_existing(connection, partner_id, refused)

    def verdict(each: StatementRow) -> InsertResult:
        if each.statement_id in unclaimed:
            unclaimed.remove(each.statement_id)
            return None
        return known[each.statement_id, each.digest]

    return {each: [verdict(item) for item in each.prepared] for each in group}


async def _afterwards(settle: Callable[[], Awaitable[object]]) -> None:
    """Does what follows a commit and cannot undo it; what fails here is left to the sweep."""
    try:
        with translate_errors():
            await retry_transaction(settle)
    except LRSError as error:
        _log.warning("references are left unsettled for now: %s", error.detail)
