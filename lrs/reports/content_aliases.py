"""Aliases of content items: one content item under several activity ids.

The events of an alias belong to its content item: one record per learner, one row of facts. The
statements keep the id that they were sent with, so that the removal of an alias moves its history
back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lrs import resources
from lrs.errors import Conflict, NotFound
from lrs.projection import content_writer
from lrs.projection.content_attributes import title_of_iri
from lrs.projection.events import content_key
from lrs.projection.partner_lock import PartnerLock
from lrs.projection.partner_rules import default_type, read_settings
from lrs.projection.recompute import Pair, mark_contents_changed, recompute_all
from lrs.reports.identifiers import parse_content
from lrs.store.postgres import Connection, Pool, retry_transaction, translate_errors
from lrs.xapi import track_events
from lrs.xapi.validation_messages import excerpt

_FIND = resources.query("get_content_item_for_alias")
_GET = resources.query("get_content_item")
_INSERT = resources.query("insert_named_content_item")
_LIST = resources.query("list_aliases")
_COUNT_EVENTS = resources.query("count_events_of_alias")
_MOVE_EVENTS = resources.query("move_events_of_alias")
_MOVE_CHILDREN = resources.query("move_children_of_alias")
_SET = resources.query("set_alias")
_REMOVE = resources.query("remove_alias")


Outcome = Literal["linked", "unlinked", "unchanged"]


class NamedContent(NamedTuple):
    """A content item; `alias_of` is the id of the item whose alias it is."""

    content_id: int
    activity_id: str
    alias_of: int | None = None


@dataclass(frozen=True, slots=True)
class AliasChange:
    """What becomes of an alias, and what moves with it: events, and the learners who have them.

    `content` is the content item that has the events of the alias, or had them until now.
    """

    content: NamedContent
    alias: NamedContent
    outcome: Outcome
    events: int = 0
    learners: int = 0


@dataclass(slots=True)
class _Work:
    """A transaction that changes aliases; `pairs` and `keys` are what it must recompute."""

    connection: Connection
    partner_id: int
    home_page: str
    preview: bool
    pairs: set[Pair] = field(default_factory=set)
    keys: set[int] = field(default_factory=set)


async def fetch_aliases(
    pool: Pool, partner_id: int, home_page: str, content: str
) -> tuple[NamedContent, list[NamedContent]]:
    """A content item and its aliases; of an alias, those of its content item.

    Raises NotFound and Unavailable.
    """
    with translate_errors():
        async with pool.acquire() as connection:
            work = _Work(connection, partner_id, home_page, preview=True)
            item = await _owner(work, await _find(work, content))
            return item, await _aliases(work, item)


async def link(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    aliases: Mapping[str, Sequence[str]],
    *,
    exactly: bool = False,
    preview: bool = False,
) -> list[AliasChange]:
    """Make content items aliases of others, by content item (idempotent), in one transaction.

    Names are identifiers of content items; items that do not exist yet are inserted. The aliases of
    an alias move along. With `exactly`, other aliases of these content items are removed. A preview
    changes nothing. Raises NotFound for an id of the reports that does not exist, Conflict for an
    alias of itself, and Unavailable.
    """

    async def change(work: _Work) -> list[AliasChange]:
        changes = []
        for content, names in aliases.items():
            item = await _owner(work, await _find_or_insert(work, content))
            before = await _aliases(work, item) if exactly else []
            linked = [await _find_or_insert(work, name) for name in dict.fromkeys(names)]
            changes += [await _link(work, item, alias) for alias in linked]
            kept = {alias.content_id for alias in linked}
            changes += [
                await _unlink(work, alias) for alias in before if alias.content_id not in kept
            ]
        return changes

    return await _run(partner_lock, partner_id, home_page, change, preview=preview)


async def unlink(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    aliases: Iterable[str],
    *,
    preview: bool = False,
) -> list[AliasChange]:
    """Make aliases content items of their own again, with their history (idempotent).

    Raises NotFound for a content item that does not exist, and Unavailable.
    """

    async def change(work: _Work) -> list[AliasChange]:
        return [await _unlink(work, await _find(work, name)) for name in dict.fromkeys(aliases)]

    return await _run(partner_lock, partner_id, home_page, change, preview=preview)


async def _run(
    partner_lock: PartnerLock,
    partner_id: int,
    home_page: str,
    change: Callable[[_Work], Awaitable[list[AliasChange]]],
    *,
    preview: bool,
) -> list[AliasChange]:
    async def attempt() -> list[AliasChange]:
        changes: list[AliasChange] = []
        with suppress(_RolledBack):
            async with partner_lock.transaction(partner_id) as connection:
                work = _Work(connection, partner_id, home_page, preview)
                changes = await change(work)
                if preview:
                    raise _RolledBack
                await _recompute(work)
        return changes

    with translate_errors():
        return await retry_transaction(attempt)


class _RolledBack(Exception):
    """Ends the transaction of a preview."""


async def _find(work: _Work, name: str) -> NamedContent:
    identifier = parse_content(name, work.home_page)
    row = await work.connection.fetchrow(_FIND, work.partner_id, identifier.keys, identifier.number)
    if row is None:
        raise NotFound(f"Content item {excerpt(name)} not found.")
    return NamedContent(*row)


async def _find_or_insert(work: _Work, name: str) -> NamedContent:
    try:
        return await _find(work, name)
    except NotFound:
        if not parse_content(name, work.home_page).keys:
            raise
    activity_id = track_events.activity_id(name, work.home_page)
    settings = await read_settings(work.connection, work.partner_id)
    rows = await work.connection.fetch(
        _INSERT,
        work.partner_id,
        content_key(activity_id),
        activity_id,
        default_type(settings, activity_id),
        title_of_iri(activity_id),
    )
    return NamedContent(*rows[0])


async def _owner(work: _Work, item: NamedContent) -> NamedContent:
    """The content item that has the events: the item, or the one whose alias it is."""
    if item.alias_of is None:
        return item
    rows = await work.connection.fetch(_GET, work.partner_id, item.alias_of)
    return NamedContent(*rows[0])


async def _aliases(work: _Work, item: NamedContent) -> list[NamedContent]:
    rows = await work.connection.fetch(_LIST, work.partner_id, item.content_id)
    return [NamedContent(*row) for row in rows]


async def _link(work: _Work, item: NamedContent, alias: NamedContent) -> AliasChange:
    if alias.content_id == item.content_id:
        raise Conflict(
            f"{excerpt(alias.activity_id)} cannot be an alias of itself; if the other one is its "
            "alias, remove that first."
        )
    if alias.alias_of == item.content_id:
        return AliasChange(item, alias, "unchanged")
    source = await _owner(work, alias)
    events, learners = await _move(work, source, item, alias)
    await work.connection.execute(_SET, work.partner_id, alias.content_id, item.content_id)
    return AliasChange(item, alias, "linked", events, learners)


async def _unlink(work: _Work, alias: NamedContent) -> AliasChange:
    if alias.alias_of is None:
        return AliasChange(alias, alias, "unchanged")
    item = await _owner(work, alias)
    await work.connection.execute(_REMOVE, work.partner_id, alias.content_id)
    events, learners = await _move(work, item, alias, alias)
    return AliasChange(item, alias, "unlinked", events, learners)


async def _move(
    work: _Work, source: NamedContent, target: NamedContent, alias: NamedContent
) -> tuple[int, int]:
    """Move the history of an alias; return the number of events and of their learners."""
    own = alias.content_id if source.content_id != alias.content_id else None
    rows = await work.connection.fetch(_COUNT_EVENTS, work.partner_id, source.content_id, own)
    events, learners = rows[0]
    if not work.preview:
        rows = await work.connection.fetch(
            _MOVE_EVENTS, work.partner_id, source.content_id, target.content_id, own
        )
        for row in rows:
            work.pairs |= {(row[0], source.content_id), (row[0], target.content_id)}
        keys = [content_key(item.activity_id) for item in (source, target, alias)]
        await work.connection.execute(
            _MOVE_CHILDREN, work.partner_id, keys[0], keys[1], keys[2] if own else None
        )
        work.keys.update(keys)
    return events, learners


async def _recompute(work: _Work) -> None:
    connection, partner_id = work.connection, work.partner_id
    settings = await read_settings(connection, partner_id)
    moved = await content_writer.update_courses(connection, partner_id, sorted(work.keys), settings)
    await mark_contents_changed(connection, partner_id, [content_id for content_id, _ in moved])
    work.pairs.update(await content_writer.pairs_of_contents(connection, partner_id, moved))
    await recompute_all(connection, partner_id, work.pairs, organizations_are_current=True)
