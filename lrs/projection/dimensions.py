"""What is known of the contents that statements speak of, from their activities' definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import orjson

from lrs import resources
from lrs.projection.content_attributes import describe
from lrs.projection.event_batch import InferredContent
from lrs.projection.events import content_key
from lrs.projection.vocabulary import TRACK, Vocabulary
from lrs.store.postgres import Connection
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.definitions import identity_hash
from lrs.xapi.index_keys import Role, related_activity_key

_DEFINITIONS = resources.query("get_definitions")
_CONTENTS = resources.query("upsert_content_items")
_CONTENT_IDS = resources.query("list_content_item_ids")
_ADD_TO_TRACKS = resources.query("insert_track_contents")
_FIND_IN_TRACKS = resources.query("insert_past_track_contents")

_AROUND = Role.PARENT | Role.GROUPING


class TypeChanges(NamedTuple):
    """Activities that were not known to be tracks, and known contents that are of another type."""

    tracks: list[str]
    contents: list[int]


async def upsert_contents(
    connection: Connection,
    partner_id: int,
    contents: Mapping[str, InferredContent],
    mentioned: Iterable[str],
    vocabulary: Vocabulary,
) -> TypeChanges:
    """Adds contents that are new, and brings up to date what is known of all of these.

    What is only mentioned becomes a content if it is a track.
    """
    told = {
        **contents,
        **{each: InferredContent() for each in sorted(mentioned) if each not in contents},
    }
    definitions = await _definitions(connection, partner_id, told)
    rows = []
    for activity, (told_type, parent) in told.items():
        known = describe(definitions.get(activity, {}), vocabulary)
        rows.append(
            (
                content_key(activity),
                activity,
                activity in contents or known.type == TRACK,
                known.type,
                told_type,
                known.title,
                known.technology,
                known.topic,
                orjson.dumps(known.attributes).decode(),
                content_key(parent) if parent else None,
            )
        )
    if not rows:
        return TypeChanges([], [])
    found = await connection.fetch(_CONTENTS, partner_id, *map(list, zip(*rows, strict=True)))
    return TypeChanges(
        [row["activity_id"] for row in found if row["type"] == TRACK],
        [row["content_id"] for row in found if row["content_id"] is not None],
    )


async def _definitions(
    connection: Connection, partner_id: int, activities: Iterable[str]
) -> dict[str, dict[str, object]]:
    hashes = [identity_hash(activity) for activity in activities]
    rows = await connection.fetch(_DEFINITIONS, partner_id, hashes)
    return {row["activity_id"]: orjson.loads(row["definition"]) for row in rows}


async def content_ids(
    connection: Connection, partner_id: int, keys: Iterable[int]
) -> dict[int, int]:
    rows = await connection.fetch(_CONTENT_IDS, partner_id, list(keys))
    return {row["content_key"]: row["content_id"] for row in rows}


async def update_track_contents(
    connection: Connection,
    partner_id: int,
    around: Iterable[tuple[int, int]],
    new_tracks: Iterable[str],
) -> None:
    """Notes which contents belong to tracks: those worked on now, and before for new tracks."""
    if pairs := sorted(around):
        await connection.execute(_ADD_TO_TRACKS, partner_id, *map(list, zip(*pairs, strict=True)))
    if tracks := list(new_tracks):
        await connection.execute(
            _FIND_IN_TRACKS,
            partner_id,
            [content_key(each) for each in tracks],
            [related_activity_key(each) for each in tracks],
            _AROUND,
            key_salt(partner_id),
        )
