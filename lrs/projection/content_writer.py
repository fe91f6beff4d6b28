"""Writing content items and tracks, from the definitions of activities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from lrs import resources
from lrs.projection.content_attributes import describe, title_of_iri
from lrs.projection.event_batch import InferredContent
from lrs.projection.events import content_key
from lrs.projection.partner_rules import PartnerRules
from lrs.projection.recompute import Pair
from lrs.projection.vocabulary import REPORTED_TYPES, TRACK
from lrs.store.partner_settings import PartnerSettings
from lrs.store.postgres import Connection
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import stored_numbers
from lrs.xapi.definitions import identity_hash
from lrs.xapi.index_keys import Role, related_activity_key

_DEFINITIONS = resources.query("get_definitions")
_UPSERT_CONTENTS = resources.query("upsert_content_items")
_UPDATE_COURSES = resources.query("update_courses")
_PAIRS_OF_CONTENTS = resources.query("list_pairs_of_content_items")
_CONTENT_IDS = resources.query("list_content_item_ids")
_INSERT_TRACK_CONTENTS = resources.query("insert_track_contents")
_INSERT_PAST_TRACK_CONTENTS = resources.query("insert_past_track_contents")

_CONTEXT_ROLES = Role.PARENT | Role.GROUPING


class ContentChanges(NamedTuple):
    """Activity ids that have become tracks; ids of stored content items with another type; keys of
    content items that are new or have another type or parent.
    """

    new_tracks: list[str]
    retyped_contents: list[int]
    moved: list[int]


async def upsert_contents(
    connection: Connection,
    partner_id: int,
    contents: Mapping[str, InferredContent],
    other_activities: Iterable[str],
    rules: PartnerRules,
) -> ContentChanges:
    """Insert new content items and update the attributes of existing ones.

    `contents` have events, by activity id. An activity of `other_activities` is inserted only if
    it is a track.
    """
    others = sorted(activity for activity in other_activities if activity not in contents)
    inferred = {**contents, **dict.fromkeys(others, InferredContent())}
    definitions = await _definitions(connection, partner_id, inferred)
    items = []
    for activity, inferred_content in inferred.items():
        parent = inferred_content.parent
        description = describe(
            definitions.get(activity, {}), rules.vocabulary, rules.settings.language
        )
        default_type = rules.default_type(activity)
        items.append(
            (
                content_key(activity),
                activity,
                activity in contents or TRACK in (description.type, default_type),
                description.type,
                inferred_content.type,
                default_type or description.defined_type,
                description.defined_type,
                description.title,
                description.technology,
                description.topic,
                orjson.dumps(description.attributes).decode(),
                content_key(parent) if parent else None,
                inferred_content.title,
                title_of_iri(activity),
                inferred_content.source,
                inferred_content.track_content_id,
                inferred_content.is_parent_defined,
            )
        )
    if not items:
        return ContentChanges([], [], [])
    columns = map(list, zip(*items, strict=True))
    rows = await connection.fetch(_UPSERT_CONTENTS, partner_id, *columns)
    return ContentChanges(
        [row["activity_id"] for row in rows if row["type_changes"] and row["type"] == TRACK],
        [
            row["content_id"]
            for row in rows
            if row["type_changes"] and row["content_id"] is not None
        ],
        [content_key(row["activity_id"]) for row in rows],
    )


async def update_courses(
    connection: Connection, partner_id: int, moved: Sequence[int] | None, settings: PartnerSettings
) -> list[tuple[int, int | None]]:
    """Update the courses that content items are parts of.

    `moved` are the keys of items that are new or have another type or parent; None is all items.
    Returns the items that change, with the courses that they were parts of before.
    """
    if moved is not None and not moved:
        return []
    rows = await connection.fetch(
        _UPDATE_COURSES, partner_id, moved, list(REPORTED_TYPES), settings.roll_up
    )
    return [(row["content_id"], row["course_before"]) for row in rows]


async def pairs_of_contents(
    connection: Connection, partner_id: int, contents: Sequence[tuple[int, int | None]]
) -> list[Pair]:
    """The pairs with events of content items, and of their learners with the items beside them."""
    if not contents:
        return []
    columns = map(list, zip(*contents, strict=True))
    rows = await connection.fetch(_PAIRS_OF_CONTENTS, partner_id, *columns)
    return [(row["person_id"], row["content_id"]) for row in rows]


async def _definitions(
    connection: Connection, partner_id: int, activities: Iterable[str]
) -> dict[str, dict[str, object]]:
    hashes = [identity_hash(activity) for activity in activities]
    rows = await connection.fetch(_DEFINITIONS, partner_id, hashes)
    return {row["activity_id"]: stored_numbers.load_rounded(row["definition"]) for row in rows}


class ContentId(NamedTuple):
    """The content item with the events of an activity; `alias_id` is set if that is an alias."""

    content_id: int
    alias_id: int | None = None


async def content_ids(
    connection: Connection, partner_id: int, keys: Iterable[int]
) -> dict[int, ContentId]:
    """The ids of content items by content key; keys without an item are absent."""
    rows = await connection.fetch(_CONTENT_IDS, partner_id, list(keys))
    return {row["content_key"]: ContentId(row["content_id"], row["alias_id"]) for row in rows}


async def update_track_contents(
    connection: Connection,
    partner_id: int,
    context_pairs: Iterable[tuple[int, int]],
    new_tracks: Iterable[str],
) -> None:
    """Add content items to the tracks that they were worked on in.

    `context_pairs` are the content keys of an item and of an activity in its context; for new
    tracks, the pairs of statements projected before are found through the index entries.
    """
    if pairs := sorted(context_pairs):
        columns = map(list, zip(*pairs, strict=True))
        await connection.execute(_INSERT_TRACK_CONTENTS, partner_id, *columns)
    if tracks := list(new_tracks):
        await connection.execute(
            _INSERT_PAST_TRACK_CONTENTS,
            partner_id,
            [content_key(track) for track in tracks],
            [related_activity_key(track) for track in tracks],
            _CONTEXT_ROLES,
            key_salt(partner_id),
        )
