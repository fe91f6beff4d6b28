"""The one road by which anything enters the store: check, commit, outcomes.

Every face hands over items as the bytes they were sent as, and gets one outcome for each, in order.
What differs between faces is how an item becomes a statement (a reader of `lrs.checking`), and
whether a request is all or nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache

import orjson
import prometheus_client

from lrs.errors import (
    DuplicateStatement,
    InvalidStatement,
    LRSError,
    MalformedJSON,
    StatementConflict,
    TooLarge,
    Violation,
)
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.model import (
    REFUSED,
    IngestContext,
    ItemParser,
    Outcome,
    OutcomeKind,
    ParsedItem,
    PreparedItem,
)
from lrs.ingest.prepare import check, complete, refusal
from lrs.observability import metrics
from lrs.observability.server_timing import stage
from lrs.store.nonces import Nonce
from lrs.store.postgres import Database
from lrs.store.statements import insert
from lrs.store.statements.insert import InsertResult, StatementRow
from lrs.xapi import equality

# More items than a few wait for the items of others; and how long they are checked before others
# have their turn.
_FEW = 10
_AT_A_TIME = 0.005


class IngestPipeline:
    """Where all faces meet."""

    def __init__(self, database: Database, commits: GroupCommit) -> None:
        self._database = database
        self._commits = commits
        self._checking: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def submit(
        self,
        items: Sequence[bytes],
        sender: IngestContext,
        reader: ItemParser,
        *,
        item_bytes: int,
        atomic: bool = False,
        dry_run: bool = False,
    ) -> list[Outcome]:
        """Stores what can be stored of the items, and tells what became of each.

        With `atomic`, nothing is stored unless every item is fine and none contradicts what is
        stored. With `dry_run` nothing is stored at all. Raises Unavailable and Overloaded.
        """
        with stage("validate"):
            checked = await self._check_all(items, sender, reader, item_bytes)
        if atomic:
            checked = _refuse_repeated_ids(checked)
        prepared = [each for each in checked if isinstance(each, PreparedItem)]
        verdicts: Sequence[InsertResult] = []
        if prepared and not (atomic and len(prepared) < len(checked)):
            ready = [each.row for each in prepared]
            if dry_run:
                verdicts = await insert.preview(self._database, sender.partner_id, ready)
            else:
                verdicts = await self._commits.submit(sender.partner_id, ready, atomic=atomic)
        outcomes = list(_outcomes(checked, iter(verdicts)))
        if atomic and any(outcome.kind in REFUSED for outcome in outcomes):
            outcomes = [_aborted(outcome) for outcome in outcomes]
        if not dry_run:
            _count(sender.partner, outcomes)
        return outcomes

    async def _check_all(
        self, items: Sequence[bytes], sender: IngestContext, reader: ItemParser, item_bytes: int
    ) -> list[PreparedItem | Outcome]:
        """Checks the items; of many, one batch of a partner after the other.

        So a batch does not wait for the end of all others, nor for those of other partners, and
        none is checked only to find the queue full. Raises Overloaded if the database does not get
        on.
        """
        if len(items) <= _FEW:
            return await _check_in_turns(items, sender, reader, item_bytes)
        came = time.monotonic()
        async with self._checking[sender.partner_id]:
            await self._commits.room(came)
            return await _check_in_turns(items, sender, reader, item_bytes)

    async def record(self, item: ParsedItem, sender: IngestContext, nonce: Nonce) -> Outcome:
        """Stores one statement that is known to be valid, and takes a nonce with it.

        After a conflict the nonce is as it was.
        Raises NonceReused if the nonce was seen before, Unavailable and Overloaded.
        """
        checked = complete(item, sender)
        verdicts = await self._commits.submit(
            sender.partner_id, [checked.row], atomic=False, nonce=nonce
        )
        (outcome,) = _outcomes([checked], iter(verdicts))
        _count(sender.partner, [outcome])
        return outcome


def _count(partner: str, outcomes: Sequence[Outcome]) -> None:
    if len(outcomes) == 1:
        _counter(partner, outcomes[0].kind).inc()
        return
    for kind, count in Counter(outcome.kind for outcome in outcomes).items():
        _counter(partner, kind).inc(count)


# Looking up the labels costs more than counting.
@lru_cache(maxsize=10_000)
def _counter(partner: str, kind: OutcomeKind) -> prometheus_client.Counter:
    return metrics.OUTCOMES.labels(partner, kind)


async def _check_in_turns(
    items: Sequence[bytes], sender: IngestContext, reader: ItemParser, item_bytes: int
) -> list[PreparedItem | Outcome]:
    """Checks items some milliseconds at a time, so that no request waits long for them."""
    checked: list[PreparedItem | Outcome] = []
    until = time.perf_counter() + _AT_A_TIME
    for item in items:
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _AT_A_TIME
        checked.append(_check(item, sender, reader, item_bytes))
    return checked


def _check(
    item: bytes, sender: IngestContext, reader: ItemParser, item_bytes: int
) -> PreparedItem | Outcome:
    try:
        return check(item, sender, reader, item_bytes)
    except TooLarge as problem:
        return Outcome("too_large", None, problem)
    except (InvalidStatement, MalformedJSON) as problem:
        return Outcome("invalid", None, problem)


def _refuse_repeated_ids(checked: Sequence[PreparedItem | Outcome]) -> list[PreparedItem | Outcome]:
    """A batch that is all or nothing cannot hold one id twice (xAPI 2.0 4.1.6.1)."""
    seen: set[str] = set()
    kept: list[PreparedItem | Outcome] = []
    for each in checked:
        if isinstance(each, PreparedItem) and each.has_id:
            statement_id = each.row.statement_id
            if statement_id in seen:
                violation = Violation(
                    "/id", "This id stands twice in the batch.", "xAPI 2.0 4.1.6.1"
                )
                kept.append(Outcome("invalid", statement_id, refusal([violation])))
                continue
            seen.add(statement_id)
        kept.append(each)
    return kept


def _aborted(outcome: Outcome) -> Outcome:
    if outcome.kind == "stored":
        return Outcome("aborted", outcome.statement_id)
    return outcome


def _outcomes(
    checked: Sequence[PreparedItem | Outcome], verdicts: Iterator[InsertResult]
) -> Iterator[Outcome]:
    for each in checked:
        if isinstance(each, Outcome):
            yield each
            continue
        statement_id = each.row.statement_id
        known = next(verdicts, None)
        if known is None:
            yield Outcome("stored", statement_id)
        elif known.digest == each.row.digest:
            problem: LRSError = DuplicateStatement(
                f"The statement {statement_id} is stored already; nothing was changed."
            )
            yield Outcome("duplicate", statement_id, problem)
        else:
            yield Outcome("conflict", statement_id, _conflict(each.row, known.payload))


def _conflict(each: StatementRow, payload: str | None) -> StatementConflict:
    paths = equality.differences(orjson.loads(each.text), orjson.loads(payload)) if payload else ()
    return StatementConflict(
        f"Another statement is stored as {each.statement_id}; nothing was changed.",
        violations=[
            Violation(path, "differs from what is stored", "xAPI 1.0.3 Data 2.2") for path in paths
        ],
    )
