"""Activity definitions and agent names: which ones an insert must write, and reading them.

Statements repeat definitions and names. `DefinitionCache` remembers what this worker committed
lately, so that a repeated one costs no upsert and does not wait for the row lock of another writer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from lrs import resources
from lrs.store.postgres import Database, translate_errors
from lrs.xapi import stored_numbers
from lrs.xapi.definitions import identity_hash
from lrs.xapi.statement import Json

_DEFINITIONS = resources.query("get_definitions_within_bytes")
_NAMES = resources.query("list_agent_names")

MAX_TEXTS = 8
"""Number of different definitions that are remembered per activity."""


class _Row(Protocol):
    @property
    def statement_id(self) -> str: ...
    @property
    def definitions(self) -> Sequence[tuple[str, tuple[bytes, ...]]]: ...
    @property
    def names(self) -> Sequence[tuple[str, str]]: ...


class PendingUpserts(NamedTuple):
    """Definitions and names to write for the rows whose statement is inserted.

    `definitions` are triples of statement id, activity id and definitions as JSON texts, in the
    order in which they are merged; `names` triples of statement id, agent identity and name.
    """

    definitions: Sequence[tuple[str, str, tuple[bytes, ...]]] = ()
    names: Sequence[tuple[str, str, str]] = ()


NO_UPSERTS = PendingUpserts()


class _Cached(NamedTuple):
    """Hashes of what the stored definition includes, the latest first."""

    hashes: tuple[int, ...]
    expires_at: float


class DefinitionCache:
    """A least-recently-written cache of definition texts and names that are committed.

    A name takes about 200 bytes. With 100,000 active learners, 50,000 cached names miss 41 % of the
    lookups and 200,000 miss 1 %.

    The texts that one statement has of an activity are in the cache only until this worker changes
    the stored definition. Another worker may change it too, so they expire after `ttl_seconds`.
    Keys and texts are kept as 64-bit hashes with a secret of the process.
    """

    def __init__(
        self,
        *,
        max_definitions: int = 50_000,
        max_names: int = 200_000,
        ttl_seconds: float = 60.0,
    ) -> None:
        self._max_definitions = max_definitions
        self._max_names = max_names
        self._ttl_seconds = ttl_seconds
        self._definitions: OrderedDict[int, _Cached] = OrderedDict()
        self._names: OrderedDict[int, None] = OrderedDict()

    def pending(self, partner_id: int, rows: Iterable[_Row]) -> PendingUpserts:
        """The definitions and names of the rows that are not known to be stored.

        Once an activity has a pending definition, all later ones are pending too, because the
        latest definition wins.
        """
        definitions: list[tuple[str, str, tuple[bytes, ...]]] = []
        names: list[tuple[str, str, str]] = []
        activities = set()
        now = time.monotonic()
        for row in rows:
            for activity, texts in row.definitions:
                if activity in activities or not self._includes(partner_id, activity, texts, now):
                    activities.add(activity)
                    definitions.append((row.statement_id, activity, texts))
            names += [
                (row.statement_id, *name)
                for name in row.names
                if hash((partner_id, name)) not in self._names
            ]
        return PendingUpserts(definitions, names)

    def mark_written(
        self,
        partner_id: int,
        pending: PendingUpserts,
        inserted_ids: Collection[str],
        changed_activities: Collection[str],
    ) -> None:
        """Remembers what was committed; `changed_activities` have another definition now."""
        latest = {
            activity: texts
            for statement_id, activity, texts in pending.definitions
            if statement_id in inserted_ids
        }
        now = time.monotonic()
        for activity, texts in latest.items():
            key = hash((partner_id, activity))
            cached = self._definitions.pop(key, None)
            if cached is None or cached.expires_at < now or activity in changed_activities:
                cached = _Cached((), now + self._ttl_seconds)
            hashes = (hash(texts), *cached.hashes)[:MAX_TEXTS]
            self._definitions[key] = _Cached(hashes, cached.expires_at)
        for statement_id, *name in pending.names:
            if statement_id in inserted_ids:
                self._names[hash((partner_id, tuple(name)))] = None
        while len(self._definitions) > self._max_definitions:
            self._definitions.popitem(last=False)
        while len(self._names) > self._max_names:
            self._names.popitem(last=False)

    def _includes(
        self, partner_id: int, activity: str, texts: tuple[bytes, ...], now: float
    ) -> bool:
        cached = self._definitions.get(hash((partner_id, activity)))
        return cached is not None and now <= cached.expires_at and hash(texts) in cached.hashes


async def definitions(
    database: Database, partner_id: int, activities: Iterable[str], most_bytes: int
) -> Mapping[str, Json | None]:
    """The merged definitions of the activities that have one; their numbers keep their digits.

    Once they exceed `most_bytes` in sum, the others are None.
    """
    hashes = [identity_hash(activity) for activity in activities]
    with translate_errors():
        rows = await database.readers.fetch(_DEFINITIONS, partner_id, hashes, most_bytes)
    return {
        row["activity_id"]: row["definition"] and stored_numbers.load(row["definition"])
        for row in rows
    }


async def names(database: Database, partner_id: int, identity: str, most_bytes: int) -> list[str]:
    """The names of an agent, in order, until they exceed `most_bytes` in sum."""
    with translate_errors():
        rows = await database.readers.fetch(_NAMES, partner_id, identity_hash(identity), most_bytes)
    return [row["name"] for row in rows]
