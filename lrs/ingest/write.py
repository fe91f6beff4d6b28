"""One transaction of group commit: what a group of submissions writes, in a fixed order.

Nonces come first, because a submission with a used nonce is left out. Statements follow with their
definitions and names, then attachments, page views, and resolved StatementRefs. The rows of each
table are sorted by key, so that concurrent transactions do not deadlock.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lrs.errors import LRSError
from lrs.ingest import callback_rows
from lrs.ingest.submission import Submission, SubmissionResults
from lrs.observability import metrics
from lrs.store import nonces, page_views
from lrs.store.nonces import NonceReused
from lrs.store.postgres import Connection, retry_transaction, translate_errors
from lrs.store.statements import attachments, insert, references
from lrs.store.statements.definitions import DefinitionCache
from lrs.store.statements.insert import (
    BatchAborted,
    ExistingStatement,
    InsertedIds,
    InsertResult,
    StatementRow,
)
from lrs.store.statements.reference_chains import Inherited
from lrs.store.statements.references import Reference

_log = logging.getLogger("lrs.ingest")

_MAX_INHERITED_KEYS = 2_000
"""Keys that the insert of a group writes for its StatementRefs; others follow after the commit, in
short transactions: the lists of all partners wait for open ones."""


class AtomicConflict(Exception):
    """Rolls back the transaction: `results` are those of atomic submissions with a conflict."""

    def __init__(self, results: dict[Submission, list[InsertResult]]) -> None:
        self.results = results


class Writer:
    """Writes groups of submissions. Caches the definitions and names that it wrote."""

    def __init__(self, definition_cache: DefinitionCache) -> None:
        self._definition_cache = definition_cache

    async def write(
        self,
        connection: PoolConnectionProxy[Record],
        partner_id: int,
        group: Sequence[Submission],
    ) -> SubmissionResults:
        """Commits new statements and returns the results of the group. Raises AtomicConflict."""
        results = await self._write(connection, partner_id, group)
        if not any(submission.is_repeated for submission in group):
            return results
        return await _results_of_repeated(connection, partner_id, results)

    async def _write(
        self,
        connection: PoolConnectionProxy[Record],
        partner_id: int,
        group: Sequence[Submission],
    ) -> SubmissionResults:
        rows = _distinct_rows(group)
        metrics.COMMIT_STATEMENTS.observe(len(rows))
        inherited = await _load_inherited(connection, partner_id, rows)
        if _fits_one_query(group, rows, inherited):
            results = await self._write_in_one_query(connection, partner_id, group, rows, inherited)
            if results is not None:
                return results
        return await self._write_in_transaction(connection, partner_id, group, inherited)

    async def _write_in_one_query(
        self,
        connection: Connection,
        partner_id: int,
        group: Sequence[Submission],
        rows: dict[str, StatementRow],
        inherited: Mapping[str, Inherited],
    ) -> SubmissionResults | None:
        """Writes the group in one round trip; None, with nothing written, if that is not possible.

        It is not, if an id is already stored and the group has an atomic batch: a transaction then
        finds out which submissions conflict.
        """
        candidates = list(rows.values())
        upserts = self._definition_cache.pending(partner_id, candidates)
        atomic = any(submission.may_need_rollback for submission in group)
        try:
            inserted = await insert.insert_new(
                connection, partner_id, candidates, upserts, inherited, atomic=atomic
            )
        except BatchAborted:
            return None
        self._definition_cache.mark_written(
            partner_id, upserts, inserted.ids, inserted.changed_activities
        )
        results = await _results(connection, partner_id, group, rows, inserted)
        pending = _pending(candidates, inserted, inherited)
        if pending or inserted.waited_for:
            await _resolve_after_commit(connection, partner_id, inserted.waited_for, pending)
        return {**results}

    async def _write_in_transaction(
        self,
        connection: PoolConnectionProxy[Record],
        partner_id: int,
        group: Sequence[Submission],
        inherited: Mapping[str, Inherited],
    ) -> SubmissionResults:
        async with connection.transaction():
            replayed, retried = await callback_rows.consume_nonces(connection, partner_id, group)
            group = [item for item in group if item not in replayed and item not in retried]
            rows = _distinct_rows(group)
            candidates = list(rows.values())
            upserts = self._definition_cache.pending(partner_id, candidates)
            inserted = await insert.insert_new(
                connection, partner_id, candidates, upserts, inherited
            )
            moved = callback_rows.moved_rows(group, rows, inserted)
            moved_ids = await callback_rows.insert_moved(connection, partner_id, moved)
            remaining = [submission for submission in group if submission not in moved]
            results = await _results(connection, partner_id, remaining, rows, inserted)
            conflicts = {
                submission: result
                for submission, result in results.items()
                if submission.has_conflict(result)
            }
            to_abort = {
                submission: result
                for submission, result in conflicts.items()
                if submission.may_need_rollback
            }
            if to_abort:
                raise AtomicConflict(to_abort)
            released = [submission.nonce for submission in conflicts if submission.nonce]
            await nonces.release(connection, partner_id, released)
            stored = [row for row in candidates if row.statement_id in inserted.ids]
            await attachments.insert(connection, partner_id, stored)
            stored += [row for row in moved.values() if row.statement_id in moved_ids]
            viewed = [(row.statement_id, row.page_view) for row in stored if row.page_view]
            await page_views.record(connection, partner_id, viewed)
            pending = _pending(candidates, inserted, inherited)
            within = {key: item for key, item in pending.items() if item.waits_for in rows}
            if within or inserted.waited_for:
                waiting = await references.resolve_stored(
                    connection, partner_id, inserted.waited_for, within
                )
                pending = {key: pending[key] for key in pending.keys() - within.keys()} | waiting
        self._definition_cache.mark_written(
            partner_id, upserts, inserted.ids, inserted.changed_activities
        )
        if pending:
            await _resolve_after_commit(connection, partner_id, (), pending)
        return {
            **results,
            **{
                item: [None if row.statement_id in moved_ids else callback_rows.duplicate(row)]
                for item, row in moved.items()
            },
            **{item: [callback_rows.duplicate(row) for row in item.rows] for item in retried},
            **{item: NonceReused() for item in replayed},
        }


async def _results_of_repeated(
    connection: Connection, partner_id: int, results: SubmissionResults
) -> SubmissionResults:
    """The results of a group whose rows an earlier transaction may have written.

    Equal statements that are stored count as written, also those whose nonce is consumed.
    """
    reused = [item for item, result in results.items() if isinstance(result, NonceReused)]
    rows = [same for item in reused for row in item.rows for same in _alternatives(row)]
    existing = await insert.find_existing(connection, partner_id, rows) if rows else {}
    resolved: SubmissionResults = {}
    for submission, result in results.items():
        if isinstance(result, NonceReused):
            is_written = all(
                any(_is_stored(same, existing) for same in _alternatives(row))
                for row in submission.rows
            )
            resolved[submission] = [None] * len(submission.rows) if is_written else result
        else:
            resolved[submission] = [
                None if item and item.digest == row.digest else item
                for row, item in zip(submission.rows, result, strict=True)
            ]
    return resolved


def _alternatives(row: StatementRow) -> list[StatementRow]:
    """The row under each id that it may be stored under."""
    return [row, row.with_fallback_id()] if row.fallback_id else [row]


def _is_stored(row: StatementRow, existing: Mapping[tuple[str, bytes], ExistingStatement]) -> bool:
    stored = existing.get((row.statement_id, row.digest))
    return stored is not None and stored.digest == row.digest


def _distinct_rows(group: Sequence[Submission]) -> dict[str, StatementRow]:
    """The rows by statement id; of rows with the same id, the first."""
    rows: dict[str, StatementRow] = {}
    for submission in group:
        for row in submission.rows:
            rows.setdefault(row.statement_id, row)
    return rows


async def _load_inherited(
    connection: Connection, partner_id: int, rows: Mapping[str, StatementRow]
) -> dict[str, Inherited]:
    """What the StatementRefs of the group inherit from statements outside of the group."""
    targets = {
        row.statement_id: row.target_id
        for row in rows.values()
        if row.target_id and row.target_id not in rows
    }
    if not targets:
        return {}
    return await references.load_inherited(connection, partner_id, targets, _MAX_INHERITED_KEYS)


def _fits_one_query(
    group: Sequence[Submission],
    rows: Mapping[str, StatementRow],
    inherited: Mapping[str, Inherited],
) -> bool:
    """Whether nothing is read or written between the insert of the statements and the commit."""
    if any(row.contents or row.page_view or row.target_id in rows for row in rows.values()):
        return False
    if any(item.waits_for in rows for item in inherited.values()):
        return False
    if any(submission.nonce for submission in group):
        return False
    row_count = sum(len(submission.rows) for submission in group)
    return len(rows) == row_count or not any(submission.may_need_rollback for submission in group)


def _pending(
    rows: Sequence[StatementRow], inserted: InsertedIds, inherited: Mapping[str, Inherited]
) -> dict[str, Reference]:
    """The StatementRefs of the group that its insert has not resolved."""
    pending = {}
    for row in rows:
        if row.target_id and row.statement_id in inserted.ids:
            item = inherited.get(row.statement_id)
            if item is None or item.waits_for:
                waits_for = (item and item.waits_for) or row.target_id
                pending[row.statement_id] = Reference(row.target_id, waits_for)
    return pending


async def _results(
    connection: Connection,
    partner_id: int,
    group: Sequence[Submission],
    rows: dict[str, StatementRow],
    inserted: InsertedIds,
) -> dict[Submission, list[InsertResult]]:
    """The result of each row; of rows with the same new id, the first is the inserted one."""
    if len(inserted.ids) == sum(len(submission.rows) for submission in group):
        return {submission: [None] * len(submission.rows) for submission in group}
    rejected = [
        row
        for submission in group
        for row in submission.rows
        if row is not rows[row.statement_id] or row.statement_id not in inserted.ids
    ]
    existing = await insert.find_existing(connection, partner_id, rejected)
    new_ids = set(inserted.ids)

    def result(row: StatementRow) -> InsertResult:
        if row.statement_id in new_ids:
            new_ids.remove(row.statement_id)
            return None
        return existing[row.statement_id, row.digest]

    return {submission: [result(row) for row in submission.rows] for submission in group}


async def _resolve_after_commit(
    connection: Connection,
    partner_id: int,
    stored: Collection[str],
    pending: Mapping[str, Reference],
) -> None:
    """Resolves references. On an error they stay pending, for the backlog to find them."""

    async def attempt() -> None:
        waiting = await references.resolve_stored(connection, partner_id, stored, {})
        if still_pending := {**waiting, **pending}:
            await references.resolve_after_commit(connection, partner_id, still_pending)

    try:
        with translate_errors():
            await retry_transaction(attempt)
    except LRSError as error:
        _log.warning("cannot resolve StatementRefs, left pending: %s", error.detail)
