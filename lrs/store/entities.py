"""What is known of activities and agents, gathered from all statements.

Statements repeat themselves: what this worker has just written is remembered, so that a busy course
or learner costs no look-up, no write and no waiting for another writer's row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from lrs import resources
from lrs.store.database import Connection, Database, errors_translated
from lrs.xapi.entities import identity_hash

_DEFINE = resources.sql("entities/define")
_NAME = resources.sql("entities/name")
_DEFINITIONS = resources.sql("entities/definitions")
_NAMES = resources.sql("entities/names")

_REMEMBERED = 50_000


@dataclass(slots=True)
class News:
    """What a set of statements tells that may be new: definitions by activity id, and names."""

    definitions: dict[str, bytes] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.definitions or self.names)


class Remembered:
    """What this worker has written lately, by partner: the last definition, and names."""

    def __init__(self) -> None:
        self._definitions: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._names: OrderedDict[tuple[int, str, str], None] = OrderedDict()

    def news(
        self,
        partner_id: int,
        definitions: Iterable[tuple[str, bytes]],
        names: Iterable[tuple[str, str]],
    ) -> News:
        """Of what is told, that which was not written lately."""
        return News(
            {
                activity: definition
                for activity, definition in definitions
                if self._definitions.get((partner_id, activity)) != hash(definition)
            },
            {each for each in names if (partner_id, *each) not in self._names},
        )

    def note(self, partner_id: int, news: News) -> None:
        """Called once it is committed."""
        for activity, definition in news.definitions.items():
            self._definitions[partner_id, activity] = hash(definition)
            self._definitions.move_to_end((partner_id, activity))
        for identity, name in news.names:
            self._names[partner_id, identity, name] = None
        _trim(self._definitions)
        _trim(self._names)


def _trim(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)


async def write(connection: Connection, partner_id: int, news: News) -> None:
    """Merges what is new into what is known."""
    if news.definitions:
        await connection.execute(
            _DEFINE,
            partner_id,
            [identity_hash(activity) for activity in news.definitions],
            list(news.definitions),
            [definition.decode() for definition in news.definitions.values()],
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
) -> Mapping[str, dict[str, Any]]:
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
