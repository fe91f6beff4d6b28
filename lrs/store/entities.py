"""What is known of activities and agents, gathered from all statements.

Statements repeat themselves: what this worker has just written is remembered, so that a busy course
or learner costs no look-up, no write and no waiting for another writer's row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from lrs import resources
from lrs.store.database import Connection, Database, errors_translated
from lrs.xapi.entities import identity_hash, merge
from lrs.xapi.statement import Json

_DEFINE = resources.sql("entities/define")
_NAME = resources.sql("entities/name")
_DEFINITIONS = resources.sql("entities/definitions")
_NAMES = resources.sql("entities/names")

_REMEMBERED = 20_000


@dataclass(slots=True)
class News:
    """What a set of statements tells that may be new: definitions by activity id, and names."""

    definitions: dict[str, Json] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.definitions or self.names)


class Remembered:
    """What this worker has written lately: definitions as it knows them merged, and names."""

    def __init__(self) -> None:
        self._definitions: OrderedDict[tuple[int, str], Json] = OrderedDict()
        self._last: dict[tuple[int, str], bytes] = {}
        self._names: OrderedDict[tuple[int, str, str], None] = OrderedDict()

    def news(
        self,
        partner_id: int,
        definitions: Iterable[tuple[str, bytes]],
        names: Iterable[tuple[str, str]],
    ) -> News:
        """Of what is told, that which would change what was written lately."""
        news = News(names={each for each in names if (partner_id, *each) not in self._names})
        for activity, text in definitions:
            place = (partner_id, activity)
            if activity not in news.definitions and self._last.get(place) == text:
                continue
            known = news.definitions.get(activity) or self._definitions.get(place, {})
            merged = merge(known, orjson.loads(text))
            if merged != known:
                news.definitions[activity] = merged
            elif activity not in news.definitions:
                self._last[place] = text
        return news

    def note(self, partner_id: int, news: News) -> None:
        """Called once it is committed."""
        for activity, definition in news.definitions.items():
            place = (partner_id, activity)
            self._definitions[place] = definition
            self._definitions.move_to_end(place)
            self._last.pop(place, None)
        for identity, name in news.names:
            self._names[partner_id, identity, name] = None
        while len(self._definitions) > _REMEMBERED:
            forgotten, _ = self._definitions.popitem(last=False)
            self._last.pop(forgotten, None)
        while len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)


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
