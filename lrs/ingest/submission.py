"""A request in the queue of group commit, and its results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lrs.store.nonces import Nonce, NonceReused
from lrs.store.statements.insert import InsertResult, StatementRow


@dataclass(eq=False, slots=True)
class Submission:
    """The rows of one request and the future of their results, one per row.

    With `atomic`, a conflict of one row prevents the insert of all. With a `nonce`, the rows are
    inserted only if the nonce is new; a conflict releases it, because the caller may retry under
    another statement id. With a `report_key` that is consumed already, the rows are duplicates.
    `dequeued_at` is in seconds of time.perf_counter. `is_repeated`: an
    earlier transaction may have written the rows, but its connection was lost.
    """

    rows: Sequence[StatementRow]
    atomic: bool
    results: asyncio.Future[list[InsertResult]]
    nonce: Nonce | None = None
    report_key: Nonce | None = None
    dequeued_at: float = 0.0
    is_repeated: bool = False

    @property
    def may_need_rollback(self) -> bool:
        """Whether a conflict of one row must undo the insert of others."""
        return self.atomic and len(self.rows) > 1

    def has_conflict(self, results: list[InsertResult]) -> bool:
        """Whether a different statement is stored under the id of a row."""
        return any(
            existing is not None and existing.digest != row.digest
            for row, existing in zip(self.rows, results, strict=True)
        )


SubmissionResults = dict[Submission, list[InsertResult] | NonceReused]
