"""Quotas of statements: reserved before the insert, settled by its results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lrs.errors import Overloaded
from lrs.ingest.model import IngestContext
from lrs.limits.quotas import Quotas, have_quota
from lrs.store.nonces import NonceReused
from lrs.store.postgres import Database
from lrs.store.statements import attachments
from lrs.store.statements.insert import InsertResult, StatementRow

_STORED_BYTES = len('"stored":"2026-01-01T00:00:00.000000Z"}')
_TIMESTAMP_BYTES = len('"timestamp":"2026-01-01T00:00:00.000000Z",')

Insert = Callable[[], Awaitable[list[InsertResult]]]


async def insert_within_quota(
    quotas: Quotas,
    database: Database,
    context: IngestContext,
    rows: Sequence[StatementRow],
    insert: Insert,
    *,
    atomic: bool,
) -> list[InsertResult]:
    """The results of `insert`, which stores the rows, unless they exceed a quota.

    With `atomic`, a conflict of one row prevents the insert of all.

    Raises QuotaExceeded and StorageQuotaExceeded. If the outcome of the insert is unknown, the rows
    count as stored.
    """
    if not have_quota(context.subjects):
        return await insert()
    sizes = [0] * len(rows)
    if have_quota(context.subjects, "bytes"):
        sizes = await _sizes(database, context.partner_id, rows)
    reservation = await quotas.reserve(
        context.subjects, {"statements": len(rows), "bytes": sum(sizes)}
    )
    try:
        results = await insert()
    except (Overloaded, NonceReused):
        reservation.settle({})
        raise
    except BaseException:
        reservation.use_all()
        raise
    if atomic and _has_conflict(rows, results):
        reservation.settle({})
        return results
    stored = [size for size, existing in zip(sizes, results, strict=True) if existing is None]
    reservation.settle({"statements": len(stored), "bytes": sum(stored)})
    return results


def _has_conflict(rows: Sequence[StatementRow], results: Sequence[InsertResult]) -> bool:
    return any(
        existing is not None and existing.digest != row.digest
        for row, existing in zip(rows, results, strict=True)
    )


async def _sizes(database: Database, partner_id: int, rows: Sequence[StatementRow]) -> list[int]:
    """The bytes that each row adds: its text, and attachments that are not stored yet."""
    stored: set[str] = set()
    if hashes := [sha2 for row in rows for sha2, _ in row.contents]:
        present = await attachments.list_sizes(database, partner_id, hashes)
        stored = {sha2.hex() for sha2 in present}
    sizes = []
    for row in rows:
        size = len(row.body.encode()) + _STORED_BYTES
        size += 0 if row.has_timestamp else _TIMESTAMP_BYTES
        for sha2, content in row.contents:
            if sha2 not in stored:
                size += len(content)
                stored.add(sha2)
        sizes.append(size)
    return sizes
