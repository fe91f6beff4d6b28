"""What is known of activities and agents, gathered from all statements.

Statements repeat themselves: what this worker has just written is remembered, so that a busy course
or learner costs no look-up, no write and no waiting for another writer's row.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

import msgspec
import orjson

from lrs import resources
from lrs.store.postgres import Database, translate_errors
from lrs.xapi.definitions import identity_hash, merge
from lrs.xapi.statement import Json

_DEFINITIONS = resources.query("get_definitions_within_bytes")
_NAMES = resources.query("list_agent_names")

_MOST_BYTES = 16_777_216
_MOST_NAMES = 50_000
_FRESH_SECONDS = 60.0
_MOST_INCLUDED = 8


@dataclass(slots=True)
class News:
    """What statements tell that may be new: definitions as JSON, by activity id; and names.

    A definition is what these statements told, and no more: what this worker remembers beside it
    may be older than what another one has written since.
    """

    definitions: dict[str, bytes] = field(default_factory=dict)
    names: list[tuple[str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.definitions or self.names)


class _Definition(msgspec.Struct, frozen=True, gc=False):
    """A definition as this worker knows it merged, as JSON.

    `included` are hashes of some texts that it is known to include, the newest first. It is
    believed for a while only, as other workers write too.
    """

    merged: bytes
    included: tuple[int, ...]
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
        """Of what is told, in this order, that which would change what was written lately."""
        told = dict.fromkeys(names)
        news = News(names=[each for each in told if hash((partner_id, each)) not in self._names])
        new: dict[str, list[bytes]] = {}
        for activity, text in _last_told(definitions):
            if activity in new:
                new[activity].append(text)
            elif not self._says(partner_id, activity, text):
                new[activity] = [text]
        for activity, texts in new.items():
            news.definitions[activity] = _merged(*texts) if len(texts) > 1 else texts[0]
        return news

    def note(self, partner_id: int, news: News) -> None:
        """Called once it is committed."""
        for activity, text in news.definitions.items():
            self._note(partner_id, activity, text)
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
        if hash(text) in known.included:
            return True
        if _merged(known.merged, text) != known.merged:
            return False
        included = (hash(text), *known.included[: _MOST_INCLUDED - 1])
        again = _Definition(known.merged, included, known.fresh_until)
        self._definitions[partner_id, activity] = again
        return True

    def _note(self, partner_id: int, activity: str, text: bytes) -> None:
        place = (partner_id, activity)
        known = self._forget(place)
        if known and known.is_fresh:
            merged, fresh_until = _merged(known.merged, text), known.fresh_until
        else:
            merged, fresh_until = _merged(text), time.monotonic() + _FRESH_SECONDS
        self._definitions[place] = _Definition(merged, (hash(text),), fresh_until)
        self._bytes += _size(activity, merged)

    def _forget(self, place: tuple[int, str]) -> _Definition | None:
        known = self._definitions.pop(place, None)
        if known is not None:
            self._bytes -= _size(place[1], known.merged)
        return known


def _last_told(definitions: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Each only once, where it was told last: what it said before that makes no difference."""
    return reversed(dict.fromkeys(reversed(list(definitions))))


def _merged(*texts: bytes) -> bytes:
    """All that these say, one on top of the other; in one form for all that say the same."""
    definition = reduce(merge, map(orjson.loads, texts))
    return orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)


def _size(activity: str, merged: bytes) -> int:
    """About as many bytes as it takes to remember this."""
    return 4 * len(activity) + len(merged) + 800


async def definitions(
    database: Database, partner_id: int, activities: Iterable[str], most_bytes: int
) -> Mapping[str, Json | None]:
    """The merged definitions of those activities that have one.

    Once there are `most_bytes` of them, the others are None.
    """
    hashes = [identity_hash(activity) for activity in activities]
    with translate_errors():
        rows = await database.readers.fetch(_DEFINITIONS, partner_id, hashes, most_bytes)
    return {
        row["activity_id"]: row["definition"] and orjson.loads(row["definition"]) for row in rows
    }


async def names(database: Database, partner_id: int, identity: str, most_bytes: int) -> list[str]:
    """The names that an agent went by, in order, until there are `most_bytes` of them."""
    with translate_errors():
        rows = await database.readers.fetch(_NAMES, partner_id, identity_hash(identity), most_bytes)
    return [row["name"] for row in rows]
