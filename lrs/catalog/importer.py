"""Importing a catalog: one transaction that reads what is stored and writes the changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from lrs import resources
from lrs.catalog.plan import (
    CatalogPlan,
    StoredCatalog,
    StoredContent,
    activities,
    make_plan,
)
from lrs.catalog.rows import PARENT_COLUMNS
from lrs.imports.rows import Row, Values
from lrs.imports.writer import execute_rows
from lrs.projection import content_writer, event_writer
from lrs.projection.event_batch import InferredContent
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.partner_rules import load_rules
from lrs.projection.recompute import mark_contents_changed, recompute_all
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Connection, retry_transaction, translate_errors
from lrs.xapi import index_keys

_CONTENTS = resources.query("list_catalog_contents")
_VERSIONS = resources.query("list_track_versions")
_TRACK_CONTENTS = resources.query("list_catalog_track_contents")
_INSERT_CONTENTS = resources.query("insert_catalog_contents")
_SET_CATALOG = resources.query("set_catalog")
_UPSERT_VERSIONS = resources.query("upsert_track_versions")
_DELETE_VERSIONS = resources.query("delete_track_versions")
_DELETE_VERSION_CONTENTS = resources.query("delete_contents_of_track_versions")
_UPSERT_TRACK_CONTENTS = resources.query("upsert_catalog_track_contents")
_DELETE_TRACK_CONTENTS = resources.query("delete_catalog_track_contents")

_CONTENTS_PER_QUERY = 5_000


async def preview_import(
    partner_lock: PartnerLock, partner_id: int, home_page: str, rows: Sequence[Row]
) -> CatalogPlan:
    """The plan of an import, which is not carried out. Raises Unavailable and Overloaded."""
    with translate_errors():
        async with partner_lock.snapshot(partner_id) as connection:
            return await _plan(partner_lock, connection, partner_id, home_page, rows)


async def import_rows(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
    vocabulary: Vocabulary,
) -> CatalogPlan:
    """Import these rows, or none if one is refused.

    Raises Unavailable if the partner's lock is not free within its timeout, and Overloaded.
    """

    async def attempt() -> CatalogPlan:
        async with partner_lock.transaction(partner_id) as connection:
            plan = await _plan(partner_lock, connection, partner_id, home_page, rows)
            if not plan.refused:
                await _write(connection, partner_id, plan, vocabulary)
            return plan

    with translate_errors():
        return await retry_transaction(attempt)


async def _plan(
    partner_lock: PartnerLock,
    connection: Connection,
    partner_id: int,
    home_page: str,
    rows: Sequence[Row],
) -> CatalogPlan:
    stored = StoredCatalog(home_page)
    valid = [row for row in rows if row.is_valid]
    keys = [index_keys.activity_key(item) for item in activities(valid, home_page)]
    for name, activity, content_type, catalog in await connection.fetch(
        _CONTENTS, partner_id, keys
    ):
        if name != activity:
            stored.aliases[name] = activity
        values = orjson.loads(catalog) if catalog else None
        if values:
            values.pop("parent_key", None)
        stored.contents[activity] = StoredContent(content_type, values)
    keys = [index_keys.activity_key(activity) for activity in stored.contents]
    for track, number, *values in await connection.fetch(_VERSIONS, partner_id, keys):
        names = ("title", "short_description", "xp", "published_live_at", "archived_at")
        stored.versions[track, number] = dict(
            zip((*names, "is_current_version"), map(_json, values), strict=True)
        )
    for track, number, content, position in await connection.fetch(
        _TRACK_CONTENTS, partner_id, keys
    ):
        stored.track_contents[track, number, content] = position
    # In a thread: a long import must not block the event loop.
    return await partner_lock.thread.run(partner_id, make_plan, rows, stored)


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


async def _write(
    connection: Connection, partner_id: int, plan: CatalogPlan, vocabulary: Vocabulary
) -> None:
    contents = [
        {
            "content_key": index_keys.activity_key(activity),
            "activity_id": activity,
            "parent_key": _parent_key(catalog),
            "catalog": {**catalog, "parent_key": _parent_key(catalog)},
        }
        for activity, catalog in plan.contents.items()
    ]
    if organizations := {
        values["organization"] for values in plan.contents.values() if values.get("organization")
    }:
        await event_writer.insert_groups(connection, partner_id, organizations)
    versions = [_keys(track, number) | values for (track, number), values in plan.versions.items()]
    removed_versions = [_keys(track, number) for track, number in plan.removed_versions]
    for sql, rows in (
        (_INSERT_CONTENTS, contents),
        (_SET_CATALOG, contents),
        (_DELETE_VERSION_CONTENTS, removed_versions),
        (_DELETE_VERSIONS, removed_versions),
        (_UPSERT_VERSIONS, versions),
        (_DELETE_TRACK_CONTENTS, [_keys(*key) for key in plan.removed_contents]),
        (
            _UPSERT_TRACK_CONTENTS,
            [_keys(*key) | {"position": item} for key, item in plan.track_contents.items()],
        ),
    ):
        await execute_rows(connection, sql, partner_id, rows)
    await _update_contents(connection, partner_id, list(plan.contents), vocabulary)


def _parent_key(catalog: Values) -> int | None:
    parent = next((catalog[name] for name in PARENT_COLUMNS if catalog.get(name)), None)
    return index_keys.activity_key(parent) if parent else None


def _keys(track: str, number: int, content: str | None = None) -> Values:
    return {
        "track_key": index_keys.activity_key(track),
        "version_number": number,
        "content_key": index_keys.activity_key(content) if content else None,
    }


async def _update_contents(
    connection: Connection, partner_id: int, changed: list[str], vocabulary: Vocabulary
) -> None:
    """Let content items have what the catalog says, and recompute what depends on it."""
    rules = await load_rules(connection, partner_id, vocabulary)
    for start in range(0, len(changed), _CONTENTS_PER_QUERY):
        part = dict.fromkeys(changed[start : start + _CONTENTS_PER_QUERY], InferredContent())
        changes = await content_writer.upsert_contents(connection, partner_id, part, (), rules)
        await mark_contents_changed(connection, partner_id, changes.retyped_contents)
        await content_writer.update_track_contents(connection, partner_id, (), changes.new_tracks)
    keys = [index_keys.activity_key(activity) for activity in changed]
    moved = await content_writer.update_courses(connection, partner_id, keys, rules.settings)
    await mark_contents_changed(connection, partner_id, [content_id for content_id, _ in moved])
    pairs = await content_writer.pairs_of_contents(connection, partner_id, moved)
    await recompute_all(connection, partner_id, pairs)
