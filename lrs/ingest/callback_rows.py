"""The callbacks of a group: which of them count, and under which id.

A nonce tells a replay, a report key a retry. A report whose id is taken is stored under its
fallback id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lrs.ingest.submission import Submission
from lrs.store import nonces
from lrs.store.postgres import Connection
from lrs.store.statements import insert
from lrs.store.statements.insert import ExistingStatement, InsertedIds, StatementRow


async def consume_nonces(
    connection: Connection, partner_id: int, group: Sequence[Submission]
) -> tuple[set[Submission], set[Submission]]:
    """Consumes the nonces and the report keys of the group.

    Returns the submissions whose nonce is already used, and those that repeat a counted report.
    """
    requested = [
        nonce for item in group for nonce in (item.nonce, item.report_key) if nonce is not None
    ]
    consumed = await nonces.consume(connection, partner_id, requested) if requested else set()
    replayed, retried = set(), set()
    for submission in group:
        if submission.nonce in consumed:
            consumed.remove(submission.nonce)  # of two equal nonces in a group, the first wins
        elif submission.nonce:
            replayed.add(submission)
            continue
        if submission.report_key in consumed:
            consumed.remove(submission.report_key)
        elif submission.report_key:
            retried.add(submission)
    # A key that only a replay has was not consumed by a report that counts.
    unused_keys = [item.report_key for item in replayed if item.report_key in consumed]
    await nonces.release(connection, partner_id, unused_keys)
    return replayed, retried


def moved_rows(
    group: Sequence[Submission], rows: Mapping[str, StatementRow], inserted: InsertedIds
) -> dict[Submission, StatementRow]:
    """The callbacks whose id is taken, with their rows under the fallback id."""
    moved = {}
    for submission in group:
        row = submission.rows[0]
        if row.fallback_id and not (
            row is rows[row.statement_id] and row.statement_id in inserted.ids
        ):
            moved[submission] = row.with_fallback_id()
    return moved


async def insert_moved(
    connection: Connection, partner_id: int, moved: Mapping[Submission, StatementRow]
) -> frozenset[str]:
    if not moved:
        return frozenset()
    distinct = {row.statement_id: row for row in moved.values()}
    inserted = await insert.insert_new(connection, partner_id, list(distinct.values()))
    return inserted.ids


def duplicate(row: StatementRow) -> ExistingStatement:
    """The result of a report that is counted already."""
    return ExistingStatement(row.digest, None)
