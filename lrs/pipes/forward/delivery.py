"""Delivery of statements to a target: which statements the next request has, and what follows
from its answer.

Pure functions over plain data: no I/O, no clock and no randomness but as arguments. Statements are
represented by their sequences, in ascending order. They are settled in that order: each is
delivered or becomes a dead letter, then the cursor passes it. So one number, the cursor, says what
is settled, and a crash repeats at most one request.

A batch that is refused is halved. Its halves are *segments*, which are sent one after the other;
a segment that is refused is halved again. If the first half of a refused batch is accepted, the
second one must have the refused statement: it is halved without being sent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from lrs.pipes.client.http_dates import retry_after
from lrs.pipes.forward.answers import Answer, Kind, classify, item_answers

MAX_ERRORS_OF_BATCH = 3
MAX_ERRORS_OF_STATEMENT = 10
LIMIT_TTL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between requests after a failure: full jitter between 0 and `base` · 2ⁿ ≤ `maximum`.

    `denied` is the pause after an answer that concerns all statements.
    """

    base: float = 1.0
    maximum: float = 900.0
    denied: float = 900.0

    def jitter(self, failures: int, random: float) -> float:
        """The pause after a number of consecutive failures; `random` is from 0 to 1."""
        return random * min(self.maximum, self.base * 2.0 ** min(failures - 1, 60))


class Segment(msgspec.Struct, frozen=True):
    """The statements from the end of the segment before, up to the sequence `end`.

    `second_half`: the batch was refused, and its first half is not accepted as a whole.
    `refused`: it must have a refused statement. `oversized`: the batch was too large or too slow.
    """

    end: int
    second_half: bool = False
    refused: bool = False
    oversized: bool = False


class DeliveryState(msgspec.Struct, frozen=True):
    """What is remembered between requests, beside the cursor. Kept as JSON.

    segments       of a refused batch, in order; empty otherwise
    failures       consecutive requests without a definite answer
    errors         consecutive answers 500 to the statements of the next request
    timeouts       the same for time-outs
    accepted_size  the most statements accepted at once since a batch was too large
    limit          the most statements of a request until `limit_until`
    """

    segments: tuple[Segment, ...] = ()
    failures: int = 0
    errors: int = 0
    timeouts: int = 0
    accepted_size: int = 0
    limit: int | None = None
    limit_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """A statement of a request, by its index, and the answer by which it is a dead letter."""

    index: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an answer.

    The first `settled` statements are delivered, but for `refused` ones, which are dead letters,
    and `conflicts`, which are delivered if the target has equal statements, else dead letters.
    Nothing is sent for `delay` seconds. `status` is that of the pipe: `failing` needs an operator.
    """

    kind: Kind
    state: DeliveryState
    settled: int = 0
    refused: tuple[RefusedItem, ...] = ()
    conflicts: tuple[RefusedItem, ...] = ()
    delay: float = 0.0
    status: Literal["running", "waiting", "failing"] = "running"


def next_request(
    state: DeliveryState, sequences: Sequence[int], *, batch: int, now: datetime
) -> tuple[DeliveryState, int]:
    """How many of the first statements the next request has, and the state to settle it with.

    `sequences`, at least one, are those after the cursor.
    """
    segments = tuple(segment for segment in state.segments if segment.end >= sequences[0])
    if not segments:
        limit = _limit(state, now)
        count = max(1, min(batch, limit or batch, len(sequences)))
        return msgspec.structs.replace(state, segments=(Segment(sequences[count - 1]),)), count
    count = bisect_right(sequences, segments[0].end)
    while segments[0].refused and count > 1:
        segments = _halved(segments, sequences[:count], kind="refused")
        count = bisect_right(sequences, segments[0].end)
    return msgspec.structs.replace(state, segments=segments), count


def settle(
    state: DeliveryState,
    sequences: Sequence[int],
    answer: Answer,
    *,
    now: datetime,
    random: float,
    backoff: Backoff,
    is_webhook: bool = False,
) -> Decision:
    """What follows from the answer to a request with `sequences`, for a state of `next_request`."""
    kind = classify(answer, is_webhook=is_webhook)
    if kind in ("accepted", "refused", "conflict", "too_large"):
        if (answers := item_answers(answer, len(sequences))) is not None:
            return _settle_items(state, sequences, answers, now=now)
        return _settle_request(kind, state, sequences, answer, now)
    return _retry(kind, state, sequences, answer, now=now, random=random, backoff=backoff)


def _settle_request(
    kind: Kind, state: DeliveryState, sequences: Sequence[int], answer: Answer, now: datetime
) -> Decision:
    if kind == "accepted":
        return Decision(kind, _accepted(state, sequences, now), len(sequences))
    if len(sequences) > 1:
        segments = _halved(state.segments, sequences, kind=kind)
        return Decision(kind, _answered(state, segments))
    return _refused(kind, state, sequences, answer, now)


def _retry(
    kind: Kind,
    state: DeliveryState,
    sequences: Sequence[int],
    answer: Answer,
    *,
    now: datetime,
    random: float,
    backoff: Backoff,
) -> Decision:
    """The decision after an answer that settles nothing."""
    state = msgspec.structs.replace(
        state,
        failures=state.failures + 1,
        errors=state.errors + (kind == "error"),
        timeouts=state.timeouts + (kind == "slow"),
    )
    if kind == "denied":
        return Decision(kind, state, delay=backoff.denied, status="failing")
    delay = backoff.jitter(state.failures, random)
    if kind == "throttled":
        pause = retry_after(answer.headers.get("retry-after", ""), now)
        delay = delay if pause is None else pause
    if len(sequences) > 1 and max(state.errors, state.timeouts) >= MAX_ERRORS_OF_BATCH:
        segments = _halved(state.segments, sequences, kind=kind)
        # A half is suspicious: it is halved after one more error, not after three.
        errors = MAX_ERRORS_OF_BATCH - 1 if kind == "error" and len(sequences) > 2 else 0
        state = msgspec.structs.replace(state, segments=segments, errors=errors, timeouts=0)
    elif len(sequences) == 1 and state.errors >= MAX_ERRORS_OF_STATEMENT:
        return _refused(kind, state, sequences, answer, now)
    return Decision(kind, state, delay=delay, status="waiting")


def _refused(
    kind: Kind, state: DeliveryState, sequences: Sequence[int], answer: Answer, now: datetime
) -> Decision:
    """A single statement is refused. If it is too large, the sizes of batches are no cause."""
    if kind == "too_large":
        segments = tuple(
            msgspec.structs.replace(segment, oversized=False) for segment in state.segments
        )
        state = msgspec.structs.replace(state, segments=segments, accepted_size=0)
    segments = _without_second_half(state.segments[1:])
    state = _answered(state, segments)
    item = (RefusedItem(0, answer),)
    if kind == "conflict":
        return Decision(kind, _remember_limit(state, now), 1, conflicts=item)
    return Decision(kind, _remember_limit(state, now), 1, refused=item)


def _accepted(state: DeliveryState, sequences: Sequence[int], now: datetime) -> DeliveryState:
    segment, *others = state.segments
    size = max(state.accepted_size, len(sequences)) if segment.oversized else state.accepted_size
    if sequences[-1] < segment.end:  # the request had a part of the segment
        others = [segment, *others]
    elif others and others[0].second_half:
        others[0] = msgspec.structs.replace(others[0], second_half=False, refused=True)
    state = msgspec.structs.replace(_answered(state, tuple(others)), accepted_size=size)
    return _remember_limit(state, now)


def _settle_items(
    state: DeliveryState, sequences: Sequence[int], answers: Sequence[Answer], *, now: datetime
) -> Decision:
    """Settles the items before the first one without a definite answer, which is sent again.

    An item that is too large is refused, since it has an answer of its own.
    """
    settled = 0
    refused: list[RefusedItem] = []
    conflicts: list[RefusedItem] = []
    for index, answer in enumerate(answers):
        kind = classify(answer)
        if kind in ("refused", "too_large"):
            refused.append(RefusedItem(index, answer))
        elif kind == "conflict":
            conflicts.append(RefusedItem(index, answer))
        elif kind != "accepted":
            break
        settled += 1
    if not settled:  # send this item alone next, so that the response applies to it
        first, rest = sequences[0], state.segments
        segments = rest if len(sequences) == 1 else (Segment(first), *rest)
        failures = state.failures + 1
        waiting = msgspec.structs.replace(state, segments=segments, failures=failures)
        return Decision("unavailable", waiting, delay=1.0, status="waiting")
    remaining = tuple(segment for segment in state.segments if segment.end > sequences[settled - 1])
    segments = _without_second_half(remaining)
    state = _remember_limit(_answered(state, segments), now)
    return Decision("accepted", state, settled, tuple(refused), tuple(conflicts))


def _answered(state: DeliveryState, segments: tuple[Segment, ...]) -> DeliveryState:
    return msgspec.structs.replace(state, segments=segments, failures=0, errors=0, timeouts=0)


def _halved(
    segments: tuple[Segment, ...], sequences: Sequence[int], *, kind: Kind
) -> tuple[Segment, ...]:
    """The segments with the statements of a refused request as two halves.

    Only a refusal of a statement says which half it is in: sizes and times depend on all.
    """
    segment, *others = segments
    oversized = segment.oversized or kind in ("too_large", "slow")
    middle, end = sequences[len(sequences) // 2 - 1], sequences[-1]
    by_statement = kind in ("refused", "conflict", "error")
    halves = [
        Segment(middle, oversized=oversized),
        Segment(end, second_half=by_statement, oversized=oversized),
    ]
    if end < segment.end:
        halves.append(Segment(segment.end, oversized=oversized))
    return (*halves, *_without_second_half(tuple(others)))


def _without_second_half(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The segments after one that was refused: the refused statement need not be in the next."""
    if not segments or not segments[0].second_half:
        return segments
    return (msgspec.structs.replace(segments[0], second_half=False), *segments[1:])


def _limit(state: DeliveryState, now: datetime) -> int | None:
    if state.limit_until is None or now >= state.limit_until:
        return None
    return state.limit


def _remember_limit(state: DeliveryState, now: datetime) -> DeliveryState:
    """At the end of a batch that was too large: the limit is what was accepted of it at once."""
    if state.segments or not state.accepted_size:
        return state
    return msgspec.structs.replace(
        state, limit=state.accepted_size, limit_until=now + LIMIT_TTL, accepted_size=0
    )
