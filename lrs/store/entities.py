"""What is known of activities and agents, gathered from all statements.

Statements repeat themselves: what this worker has just written is remembered, so that a busy course
or learner costs no look-up, no write and no waiting for another writer's row.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import orjson

from lrs import resources
from lrs.store.database import Connection, Database, errors_translated
from lrs.xapi.entities import identity_hash, merge
from lrs.xapi.statement import Json

_DEFINE = resources.sql("entities/define")
_NAME = resources.sql("entities/name")
_DEFINITIONS = resources.sql("entities/definitions")
_NAMES = resources.sql("entities/names")

_MOST_BYTES = 16_777_216
_MOST_NAMES = 50_000
_FRESH_SECONDS = 60.0


@dataclass(slots=True)
class News:
    """What a set of statements tells that may be new: definitions by activity id, and names.

    A definition is what these statements told, and no more: what this worker remembers beside it
    may be older than what another one has written since.
    """

    definitions: dict[str, Json] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.definitions or self.names)


@dataclass(frozen=True, slots=True)
class _Definition:
    """A definition as this worker knows it merged, as JSON; `last` is a hash of what was told last.

    It is believed for a while only, as other workers write too.
    """

    merged: bytes
    last: int
    fresh_until: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.fresh_until


class Remembered:
    """What this worker has written lately: definitions as it knows them merged, and names.

    What was written longest ago is forgotten first. Names are kept as hashes (Python's, which have
    64 bits and a secret of the process), and definitions within so many bytes, as both may be long.
    """

    def __init__(self) -> None:
        self._definitions: OrderedDict[tuple[int, str], _Definition] = OrderedDict()
        self._names: OrderedDict[int, None] = OrderedDict()
        self._bytes = 0

    def news(
        self,
        partner_id: int,
        definitions: Iterable[tuple[str, bytes]],
        names: Iterable[tuple[str, str]],
    ) -> News:
        """Of what is told, that which would change what was written lately."""
        news = News(names={each for each in names if hash((partner_id, each)) not in self._names})
        for activity, text in definitions:
            if activity in news.definitions:
                news.definitions[activity] = merge(news.definitions[activity], orjson.loads(text))
            elif not self._says(partner_id, activity, text):
                news.definitions[activity] = orjson.loads(text)
        return news

    def note(self, partner_id: int, news: News) -> None:
        """Called once it is committed."""
        for activity, told in news.definitions.items():
            self._note(partner_id, activity, told)
        while self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._definitions)))
        for name in news.names:
            self._names[hash((partner_id, name))] = None
        while len(self._names) > _MOST_NAMES:
            self._names.popitem(last=False)

    def _says(self, partner_id: int, activity: str, text: bytes) -> bool:
        """Whether what is remembered of an activity says all this already."""
        known = self._definitions.get((partner_id, activity))
        if known is None or not known.is_fresh:
            return False
        if known.last == hash(text):
            return True
        if _dumps(merge(orjson.loads(known.merged), orjson.loads(text))) != known.merged:
            return False
        self._definitions[partner_id, activity] = replace(known, last=hash(text))
        return True

    def _note(self, partner_id: int, activity: str, told: Json) -> None:
        place = (partner_id, activity)
        known = self._forget(place)
        last = hash(orjson.dumps(told))
        if known and known.is_fresh:
            told = merge(orjson.loads(known.merged), told)
            fresh_until = known.fresh_until
        else:
            fresh_until = time.monotonic() + _FRESH_SECONDS
        merged = _dumps(told)
        self._definitions[place] = _Definition(merged, last, fresh_until)
        self._bytes += _size(activity, merged)

    def _forget(self, place: tuple[int, str]) -> _Definition | None:
        known = self._definitions.pop(place, None)
        if known is not None:
            self._bytes -= _size(place[1], known.merged)
        return known


def _dumps(definition: Json) -> bytes:
    return orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)


def _size(activity: str, merged: bytes) -> int:
    """About as many bytes as it takes to remember this."""
    return 4 * len(activity) + len(merged) + 500


async def write(connection: Connection, partner_id: int, news: News) -> None:
    """Merges what is new into what is known."""
    if news.definitions:
        await connection.execute(
            _DEFINE,
            partner_id,
            [identity_hash(activity) for activity in news.definitions],
            list(news.definitions),
            [orjson.dumps(definition).decode() for definition in news.definitions.values()],
        )
    if news.names:
        names = list(news.names)
        await connection.execute(
            _NAME,
            partner_id,
            [identity_hash(identity) for identity, _ in names],
            [identity_hash(name) for _, name in names],
            [name for _, name in names],
        )


async def definitions(
    database: Database, partner_id: int, activities: Iterable[str]
) -> Mapping[str, Json]:
    """The merged definitions of those activities that have one."""
    hashes = [identity_hash(activity) for activity in activities]
    with errors_translated():
        rows = await database.readers.fetch(_DEFINITIONS, partner_id, hashes)
    return {row["activity_id"]: orjson.loads(row["definition"]) for row in rows}


async def names(database: Database, partner_id: int, identity: str) -> list[str]:
    """All names that an agent went by, in order."""
    with errors_translated():
        rows = await database.readers.fetch(_NAMES, partner_id, identity_hash(identity))
    return [row["name"] for row in rows]
