"""Launches of LTI tools that have a callback URL, one row for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lrs import resources
from lrs.store.batching import BatchLoader
from lrs.store.postgres import Database, translate_errors
from lrs.xapi.canvas_launches import Launch

_ISSUE = resources.query("issue_callback_token")
_GET = resources.query("get_callback_tokens")
_DELETE = resources.query("delete_callback_tokens")

_NEVER = datetime(1, 1, 2, tzinfo=UTC)
_MAX_DELETED = 10_000

_KEPT = timedelta(days=1)
"""How long an expired token is kept, to tell it from an unknown one."""

TokenKey = tuple[int, bytes]
"""A partner's id and the id of a token."""


class LaunchLoader:
    """Loads launches by their tokens; concurrent loads share a query.

    A launch never changes. The latest `max_entries` are cached without end.
    """

    def __init__(self, database: Database, *, max_entries: int) -> None:
        self._database = database
        self._max_entries = max_entries
        self._cache: dict[TokenKey, Launch] = {}
        self._loader: BatchLoader[TokenKey, Launch | None] = BatchLoader(self._fetch)

    async def load(self, key: TokenKey, issued_since: float) -> Launch | None:
        """The launch, None if it is deleted. Raises Unavailable.

        A cached one is loaded again if it was issued before that time (in seconds since 1970), so
        that it has expired: another server may have issued its token again.
        """
        cached = self._cache.get(key)
        if cached and cached.issued_at >= issued_since:
            return cached
        launch = await self._loader.load(key)
        if launch:
            self._cache[key] = launch
            if len(self._cache) > self._max_entries:
                del self._cache[next(iter(self._cache))]
        return launch

    async def _fetch(self, keys: Sequence[TokenKey]) -> list[Launch | None]:
        with translate_errors():
            rows = await self._database.readers.fetch(
                _GET, [partner_id for partner_id, _ in keys], [token_id for _, token_id in keys]
            )
        launches = {
            (partner_id, token_id): Launch(partner, tool, user, course, issued_at, salt="")
            for partner_id, token_id, partner, tool, user, course, issued_at in rows
        }
        return [launches.get(key) for key in keys]


async def issue(database: Database, key: TokenKey, tool: str, user: str, course: str) -> None:
    """Stores the launch, or that its token is issued again."""
    with translate_errors():
        await database.writers.execute(_ISSUE, *key, tool, user, course)


async def delete_unused(database: Database, ttl_seconds: int) -> int:
    """Deletes tokens of revoked tools and expired ones, a batch per tool; returns their number.

    With `ttl_seconds` 0, no token expires.
    """
    lifetime = timedelta(seconds=ttl_seconds) + _KEPT
    issued_before = datetime.now(UTC) - lifetime if ttl_seconds else _NEVER
    with translate_errors():
        status: str = await database.writers.execute(_DELETE, issued_before, _MAX_DELETED)
    return int(status.removeprefix("DELETE "))
