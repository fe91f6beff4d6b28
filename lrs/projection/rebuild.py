"""Making all of it anew from the statements, in one transaction: readers see the old until it ends.

First the statements are streamed, from one connection to another, and become events, in a table of
their own. Put in order, they are compared with those that are known, some people at a time; then
facts and records are made. Only what differs is written. Those who are known keep their ids. Nobody
else can follow the partner's statements meanwhile, or import people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from lrs import resources
from lrs.projection import dimensions, event_rows
from lrs.projection.advance import (
    START_POSITION,
    StatementPage,
    add_groups,
    commit_position,
    lock,
    read_page,
    register,
)
from lrs.projection.event_batch import EventBatch, InferredContent, extract_batch
from lrs.projection.events import content_key
from lrs.projection.persons import ensure_persons
from lrs.projection.recompute import mark_contents_changed, recompute
from lrs.projection.vocabulary import Vocabulary
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.statements import sequence
from lrs.store.statements.watermark import WatermarkReader

_CLEAR_CONTENTS = resources.query("clear_content_items")
_TYPES = resources.query("list_content_item_types")
_SIZE = resources.query("count_statements_before")
_TOLD = resources.query("create_extracted_events")
_SORT_EXTRACTED = (
    resources.query("index_extracted_events"),
    resources.query("cluster_extracted_events"),
    resources.query("analyze_extracted_events"),
)
_TAKE_UNTOLD = resources.query("delete_obsolete_events")
_ADD_TOLD = resources.query("insert_missing_events")
_PAIRS = resources.query("list_event_pairs")
_COUNT_PEOPLE = resources.query("count_persons")
_NEXT_PEOPLE = resources.query("get_person_range")

_STATEMENTS = 10_000
_PEOPLE = 500

Report = Callable[[str, int, int], None]
"""Told now and then: what is counted, how many are done, and of how many."""


@dataclass(slots=True)
class _Known:
    """What this rebuild has written already, so that it is not written with every chunk."""

    people: dict[int, int] = field(default_factory=dict)
    contents: dict[int, int] = field(default_factory=dict)
    told: dict[str, InferredContent | None] = field(default_factory=dict)
    tracks: set[int] = field(default_factory=set)
    around: set[tuple[int, int]] = field(default_factory=set)
    organizations: set[str] = field(default_factory=set)


async def rebuild_partner(
    database: Database,
    partner_id: int,
    vocabulary: Vocabulary,
    report: Report = lambda what, done, total: None,
) -> None:
    """Makes a partner's events, facts and records anew; waits for whoever is at it."""
    with translate_errors():
        await register(database.readers, partner_id)
        async with database.readers.acquire() as writer, writer.transaction():
            await lock(writer, partner_id)
            horizon = await WatermarkReader(
                database
            ).read_watermark()  # not before: others have been at it
            await writer.execute(_TOLD)
            before = set(await writer.fetch(_TYPES, partner_id))
            await writer.execute(_CLEAR_CONTENTS, partner_id)
            async with database.readers.acquire() as reader:
                page = await _stream(reader, writer, partner_id, vocabulary, horizon, report)
            await commit_position(writer, partner_id, page)
            changed = before - set(await writer.fetch(_TYPES, partner_id))
            await mark_contents_changed(writer, partner_id, [row["content_id"] for row in changed])
            for query in _SORT_EXTRACTED:
                await writer.execute(query)
            await _make(writer, partner_id, report)


async def _stream(
    reader: Connection,
    writer: Connection,
    partner_id: int,
    vocabulary: Vocabulary,
    horizon: datetime,
    report: Report,
) -> StatementPage:
    """All statements become events: while some are read and understood, others are written."""
    total = await reader.fetchval(_SIZE, partner_id, sequence.first_after(horizon))
    known, done = _Known(), 0

    async def next_after(page: StatementPage) -> tuple[StatementPage, EventBatch]:
        found = await read_page(reader, partner_id, page.position, horizon, _STATEMENTS)
        return found, await asyncio.to_thread(extract_batch, found.statements, vocabulary)

    last = StatementPage([], START_POSITION, horizon)
    page, gathered = await next_after(last)
    while page.statements:
        following = asyncio.create_task(next_after(page))
        try:
            await _write(writer, partner_id, gathered, known, vocabulary)
            done += len(page.statements)
            report("statements", done, total)
        except BaseException:
            following.cancel()
            await asyncio.wait([following])
            raise
        last, (page, gathered) = page, await following
    return last


async def _write(
    writer: Connection,
    partner_id: int,
    gathered: EventBatch,
    known: _Known,
    vocabulary: Vocabulary,
) -> None:
    """Writes what a chunk says that is news, and its events; the voided are left out already."""
    agents = {key: each for key, each in gathered.agents.items() if key not in known.people}
    known.people |= await ensure_persons(writer, partner_id, agents)
    await _write_contents(writer, partner_id, gathered, known, vocabulary)
    if organizations := gathered.organizations - known.organizations:
        await add_groups(writer, partner_id, organizations)
        known.organizations |= organizations
    await event_rows.insert_events(
        writer, partner_id, gathered.events, known.people, known.contents, table="extracted_event"
    )


async def _write_contents(
    writer: Connection,
    partner_id: int,
    gathered: EventBatch,
    known: _Known,
    vocabulary: Vocabulary,
) -> None:
    told = {
        activity: together
        for activity, each in gathered.contents.items()
        if (together := each.over(known.told.get(activity))) != known.told.get(activity)
    }
    mentioned = gathered.mentioned - known.told.keys()
    retyped = await dimensions.upsert_contents(writer, partner_id, told, mentioned, vocabulary)
    known.told |= {**dict.fromkeys(mentioned), **told}
    known.tracks |= {content_key(each) for each in retyped.tracks}
    if fresh := [key for each in told if (key := content_key(each)) not in known.contents]:
        known.contents |= await dimensions.content_ids(writer, partner_id, fresh)
    around = {pair for pair in gathered.around if pair[1] in known.tracks} - known.around
    await dimensions.update_track_contents(writer, partner_id, around, [])
    known.around |= around


async def _make(writer: Connection, partner_id: int, report: Report) -> None:
    total = await writer.fetchval(_COUNT_PEOPLE, partner_id)
    first = done = 0
    while done < total:
        ((last, count),) = await writer.fetch(_NEXT_PEOPLE, partner_id, first, _PEOPLE)
        await writer.execute(_TAKE_UNTOLD, partner_id, first, last)
        await writer.execute(_ADD_TOLD, partner_id, first, last)
        pairs = await writer.fetch(_PAIRS, partner_id, first, last)
        await recompute(writer, partner_id, map(tuple, pairs))
        first, done = last + 1, done + count
        report("learners", done, total)
