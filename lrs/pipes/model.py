"""The values that the engine and the directions exchange."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from lrs.pipes.client.endpoint import Endpoint
from lrs.store.dead_letters import DeadLetter
from lrs.store.pipes import Pipe

Json = dict[str, Any]


class PipeError(Exception):
    """A step that failed without moving the cursor.

    The engine sets the state `failing` and tries again: after `retry_seconds`, or with full jitter
    that grows with the number of failures. With `pauses`, the pipe is paused instead.
    """

    def __init__(
        self, reason: str, *, retry_seconds: float | None = None, pauses: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_seconds = retry_seconds
        self.pauses = pauses


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did. The engine commits it at once: cursor, counts and dead letters.

    `wait_seconds` None: there is more to do now. Otherwise the pipe waits; with `is_done`, it is
    done. `pause_seconds` is the time before the next step of a pipe with a rate. `counts` are
    statements by outcome. `position_at` is the time of `stored` up to which statements are moved.
    `error` is a reason that is shown although the cursor moved; the state is then `failing`.
    `delivered` are the ids of dead letters that are delivered now.
    """

    cursor: Json
    counts: Mapping[str, int] = field(default_factory=Counter)
    wait_seconds: float | None = None
    pause_seconds: float = 0.0
    is_done: bool = False
    position_at: datetime | None = None
    letters: Sequence[DeadLetter] = ()
    delivered: Sequence[UUID] = ()
    error: str | None = None
    pauses: bool = False


class Direction(Protocol):
    """How pipes of one direction move statements."""

    async def step(self, pipe: Pipe, endpoint: Endpoint) -> StepResult:
        """Does one bounded piece of work, usually one page or batch: one request at a time.

        It may be cancelled or killed at any moment, and is then repeated with the old cursor.
        Raises PipeError, `httpx.HTTPError` and LRSError, which the engine retries.
        """
        ...
