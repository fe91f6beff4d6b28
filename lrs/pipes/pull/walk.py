"""The cursor of a pull: walks over the pages of a source. Pure functions, no I/O.

A walk begins at `since` and follows `more` to its end. The next one begins at the
Consistent-Through of the first page of this one, or at the newest `stored` that it has read, less
the overlap: so what is stored or becomes visible during a walk is read by the next one, in whatever
order the source pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

MILLISECOND = timedelta(milliseconds=1)

_MAX_RESTARTS = 3
_MAX_REFUSED = 5000


class Walk(msgspec.Struct, omit_defaults=True):
    """The walk in progress. `more` is the URL of the next page; None: the first one.

    `newest` and `oldest` are bounds of `stored` of the items read so far, `last` is that of the
    last one. `is_ascending` and `is_descending`: two neighbours are in this order. A repeated URL
    is found by comparison with a checkpoint at every power of two (Brent).
    """

    since: datetime | None = None
    until: datetime | None = None
    more: str | None = None
    through: datetime | None = None
    newest: datetime | None = None
    oldest: datetime | None = None
    last: datetime | None = None
    is_ascending: bool = False
    is_descending: bool = False
    pages: int = 0
    checkpoint: str = ""
    restarts: int = 0
    restarted_at: datetime | None = None


class PullCursor(msgspec.Struct, omit_defaults=True):
    """Where a pull is. `url` is the statements resource and `version` what the source speaks.

    `since` is where the next walk begins. `refused` has digests of refused items without an id.
    `limit` is the number of statements of a page while larger ones are too large; 0: one, without
    its attachments. `is_plain`: the source does not send attachments with pages of this walk.
    """

    url: str = ""
    version: str = ""
    prefix: str = ""
    since: datetime | None = None
    walk: Walk | None = None
    refused: list[str] = []
    limit: int | None = None
    is_plain: bool = False


def decode(cursor: dict[str, Any]) -> PullCursor:
    return msgspec.convert(cursor, PullCursor)


def encode(cursor: PullCursor) -> dict[str, Any]:
    encoded: dict[str, Any] = msgspec.to_builtins(cursor)
    return encoded


def observe(walk: Walk, times: Sequence[datetime]) -> None:
    """Notes the `stored` of the items of a page, in its order."""
    for time in times:
        if walk.last is not None:
            walk.is_ascending = walk.is_ascending or time > walk.last
            walk.is_descending = walk.is_descending or time < walk.last
        walk.last = time
        walk.newest = time if walk.newest is None else max(walk.newest, time)
        walk.oldest = time if walk.oldest is None else min(walk.oldest, time)


def goes_back(walk: Walk, times: Sequence[datetime]) -> bool:
    """Whether an ascending walk is led back to items that it has read."""
    if not times or walk.more is None or walk.last is None or walk.newest is None:
        return False
    is_ascending = walk.is_ascending and not walk.is_descending
    return is_ascending and times[0] < walk.last and max(times) <= walk.newest


def follow(walk: Walk, more: str) -> bool:
    """Moves to the next page; False if its URL was read before: a loop."""
    digest = hashlib.sha256(more.encode()).hexdigest()[:16]
    if digest == walk.checkpoint or more == walk.more:
        return False
    walk.pages += 1
    if walk.pages & (walk.pages - 1) == 0:
        walk.checkpoint = digest
    walk.more = more
    return True


def restart(walk: Walk) -> Walk | None:
    """A walk over what this one has not read, after its `more` has expired or repeats.

    None if the walk has made no progress for several restarts.
    """
    reached = walk.oldest if walk.is_descending else walk.newest
    restarts = walk.restarts + 1 if reached == walk.restarted_at else 0
    if restarts >= _MAX_RESTARTS:
        return None
    again = Walk(
        since=walk.since,
        until=walk.until,
        through=walk.through,
        newest=walk.newest,
        oldest=walk.oldest,
        restarts=restarts,
        restarted_at=reached,
    )
    if walk.is_descending and walk.is_ascending:
        return again
    if walk.is_descending:
        again.until = reached and _ceiling(reached)
        again.is_descending = True
    elif reached is not None:
        again.since = _floor(reached)
        again.is_ascending, again.last = walk.is_ascending, reached
    return again


def end(cursor: PullCursor, overlap: timedelta, now: datetime) -> None:
    """Ends the walk: sets where the next one begins. It never goes back.

    A Consistent-Through after both the present and the newest `stored` is a wrong clock.
    """
    walk = cursor.walk
    if walk is None:
        return
    reached = walk.newest
    if walk.through is not None:
        reached = min(walk.through, max(now, walk.newest or now))
    if reached is not None:
        since = _floor(reached - overlap)
        cursor.since = since if cursor.since is None else max(since, cursor.since)
    cursor.walk = None
    cursor.limit = None
    cursor.is_plain = False
    cursor.refused = cursor.refused[-_MAX_REFUSED:]


def consistent_through(through: datetime | None, date: datetime | None) -> datetime | None:
    """The Consistent-Through of a source, or its Date if the former is later: a wrong clock."""
    if through is None or date is None:
        return through
    return min(through, date)


def format_time(time: datetime) -> str:
    """In milliseconds, which every source reads."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _floor(time: datetime) -> datetime:
    """The millisecond before: `since` is exclusive, and sources may compare milliseconds."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000) - MILLISECOND


def _ceiling(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000) + 2 * MILLISECOND
