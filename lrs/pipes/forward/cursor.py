"""The position of a forwarding pipe, which is kept as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from lrs.errors import InvalidParameter
from lrs.pipes.forward.delivery import DeliveryState
from lrs.pipes.forward.letter_limits import LetterCounts
from lrs.store.pipes import Pipe
from lrs.store.statements.sequence import first_after, first_at
from lrs.xapi.timestamps import parse_timestamp


class ForwardCursor(msgspec.Struct, frozen=True):
    """Statements up to `sequence` are settled. `start` is the option that it began with.

    `first` is the sequence after which it began. `config_version` is that of the pipe when its dead
    letters were first counted.
    """

    sequence: int
    start: str
    config_version: int
    first: int = 0
    delivery: DeliveryState = DeliveryState()
    letters: LetterCounts = LetterCounts()


def load_cursor(pipe: Pipe, start: str, now: datetime) -> ForwardCursor:
    """The position of a pipe. Another `start` moves it there. Raises InvalidParameter.

    After a change or a start by an operator, the count of dead letters restarts.
    """
    if not pipe.cursor:
        return _begin(pipe, start, pipe.created_at)
    cursor = saved_cursor(pipe)
    if cursor.start != start:
        return _begin(pipe, start, now)
    if cursor.config_version != pipe.config_version:
        return msgspec.structs.replace(
            cursor, config_version=pipe.config_version, letters=LetterCounts()
        )
    return cursor


def saved_cursor(pipe: Pipe) -> ForwardCursor:
    """The position that the last step committed; the pipe must have one."""
    return msgspec.convert(pipe.cursor, ForwardCursor)


def dump_cursor(cursor: ForwardCursor) -> dict[str, Any]:
    encoded: dict[str, Any] = msgspec.to_builtins(cursor)
    return encoded


def _begin(pipe: Pipe, start: str, now: datetime) -> ForwardCursor:
    first = _first(start, now)
    return ForwardCursor(first, start, pipe.config_version, first)


def _first(start: str, now: datetime) -> int:
    """The sequence before the first statement: `now`, `beginning`, or one stored at a time."""
    if start == "beginning":
        return 0
    if start == "now":
        return first_after(now) - 1
    try:
        return max(0, first_at(parse_timestamp(start)) - 1)
    except ValueError:
        raise InvalidParameter(
            f"from: expected `now`, `beginning` or a timestamp, found {start[:80]!r}."
        ) from None
