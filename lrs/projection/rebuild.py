"""Rebuilding the projection of a partner from its statements, in one transaction.

One connection streams the statements; the other writes their events to a temporary table. Then the
temporary table is compared with the stored events, a range of persons at a time, and facts and
records are recomputed. Only rows that differ are written, and existing persons and content items
keep their ids. Readers see the old rows until the end. The transaction holds the partner's lock:
the projector and imports of people wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import datetime

from lrs import resources
from lrs.projection import content_writer, event_writer, mail_case, partner_lock
from lrs.projection.advance import START_POSITION, ProjectionPage, commit_position, read_page
from lrs.projection.content_writer import ContentId
from lrs.projection.event_batch import EventBatch, InferredContent, extract_batch
from lrs.projection.events import content_key
from lrs.projection.lag import backlogs
from lrs.projection.organization_writer import read_memberships
from lrs.projection.organizations import Memberships
from lrs.projection.partner_rules import PartnerRules, load_rules
from lrs.projection.persons import Persons, ensure_persons, set_names, visible_ids, visible_names
from lrs.projection.recompute import mark_contents_changed, recompute
from lrs.projection.vocabulary import Vocabulary
from lrs.store import partner_settings
from lrs.store.postgres import Connection, Database, translate_errors
from lrs.store.statements import sequence
from lrs.store.statements.watermark import WatermarkReader

_RESTORE_TYPES = resources.query("restore_content_types")
_CLEAR_CONTENTS = resources.query("clear_content_items")
_CLEAR_WITHOUT_EVENT = resources.query("clear_statements_without_event")
_SET_APPLIED_RULES = resources.query("set_applied_rules")
_RECOMPUTE_COUNTS = resources.query("recompute_content_counts")
_CONTENT_TYPES = resources.query("list_content_item_types")
_COUNT_STATEMENTS = resources.query("count_statements_before")
_CREATE_EXTRACTED = resources.query("create_extracted_events")
_SORT_EXTRACTED = (
    resources.query("index_extracted_events"),
    resources.query("cluster_extracted_events"),
    resources.query("analyze_extracted_events"),
)
_ANALYZE = resources.query("analyze_projection")
_DELETE_OBSOLETE = resources.query("delete_obsolete_events")
_INSERT_MISSING = resources.query("insert_missing_events")
_PAIRS = resources.query("list_event_pairs")
_COUNT_PERSONS = resources.query("count_persons")
_PERSON_RANGE = resources.query("get_person_range")

# The transaction waits while statements are counted, read and parsed.
_ALLOW_IDLE = "set local idle_in_transaction_session_timeout = '1h'"

# The events of a range of persons are sorted in memory, and those of all persons by few passes. The
# defaults of a given database are a tenth of it.
_ALLOW_MEMORY = "set local work_mem = '64MB'"
_ALLOW_MAINTENANCE_MEMORY = "set local maintenance_work_mem = '256MB'"

_STATEMENTS_PER_PAGE = 10_000
_PERSONS_PER_RANGE = 500

Progress = Callable[[str, int, int], None]
"""Called with what is counted ("statements", then "learners"), the number done and the total."""


@dataclass(slots=True)
class _Written:
    """What this rebuild has written: later batches write only what is new or different."""

    persons: Persons = field(default_factory=dict)
    memberships: Memberships = field(default_factory=dict)
    contents: dict[int, ContentId] = field(default_factory=dict)
    inferred: dict[str, InferredContent | None] = field(default_factory=dict)
    tracks: set[int] = field(default_factory=set)
    context_pairs: set[tuple[int, int]] = field(default_factory=set)
    organizations: set[str] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)


async def rebuild_partner(
    database: Database,
    partner_id: int,
    vocabulary: Vocabulary,
    progress: Progress = lambda counted, done, total: None,
    *,
    if_settings_differ: bool = False,
) -> None:
    """Rebuild a partner's events, facts and records; wait for the lock. Raises Unavailable.

    With `if_settings_differ`, does nothing if another rebuild has applied the settings meanwhile.
    """
    with translate_errors():
        await partner_lock.register(database.readers, partner_id)
        async with database.readers.acquire() as writer, writer.transaction():
            await writer.execute(_ALLOW_IDLE)
            await writer.execute(_ALLOW_MEMORY)
            await writer.execute(_ALLOW_MAINTENANCE_MEMORY)
            await partner_lock.acquire(writer, partner_id)
            if if_settings_differ:
                (backlog,) = await backlogs(writer, [partner_id])
                if not backlog.settings_differ:
                    return
            await mail_case.apply_setting(writer, partner_id)
            # After the lock, because the projection may have advanced during the wait.
            watermark = await WatermarkReader(database).read_watermark(partner_id)
            rules = await load_rules(writer, partner_id, vocabulary)
            await writer.execute(_CREATE_EXTRACTED)
            types_before = set(await writer.fetch(_CONTENT_TYPES, partner_id))
            await writer.execute(_CLEAR_CONTENTS, partner_id)
            await writer.execute(_CLEAR_WITHOUT_EVENT, partner_id)
            async with database.readers.acquire() as reader:
                last, seen = await _extract(reader, writer, partner_id, rules, watermark, progress)
            unseen = [row for row in types_before if row["activity_id"] not in seen]
            await writer.execute(
                _RESTORE_TYPES,
                partner_id,
                [row["content_id"] for row in unseen],
                [row["type"] for row in unseen],
                [row["parent_key"] for row in unseen],
            )
            await content_writer.update_courses(writer, partner_id, None, rules.settings)
            await commit_position(writer, partner_id, last)
            retyped = types_before - set(await writer.fetch(_CONTENT_TYPES, partner_id))
            await mark_contents_changed(writer, partner_id, [row["content_id"] for row in retyped])
            for query in _SORT_EXTRACTED:
                await writer.execute(query)
            await _apply(writer, partner_id, progress)
            await writer.execute(_RECOMPUTE_COUNTS, partner_id)
            await writer.execute(
                _SET_APPLIED_RULES,
                partner_id,
                partner_lock.RULES_VERSION,
                partner_settings.encode_applied_by_rebuild(rules.settings),
            )
            # Committed with the rows: the first queries afterwards are planned as later ones.
            await writer.execute(_ANALYZE)


async def _extract(
    reader: Connection,
    writer: Connection,
    partner_id: int,
    rules: PartnerRules,
    watermark: datetime,
    progress: Progress,
) -> tuple[ProjectionPage, Container[str]]:
    """Write the events of all statements; return the last page, and the activities in statements.

    The next page is read and parsed while the events of this one are written.
    """
    total = await reader.fetchval(_COUNT_STATEMENTS, partner_id, sequence.first_after(watermark))
    written, done = _Written(), 0

    async def read_after(page: ProjectionPage) -> tuple[ProjectionPage, EventBatch]:
        page = await read_page(reader, partner_id, page.position, watermark, _STATEMENTS_PER_PAGE)
        return page, await asyncio.to_thread(
            extract_batch, page.statements, rules.vocabulary, rules.time_zone
        )

    last = ProjectionPage([], START_POSITION, watermark)
    page, batch = await read_after(last)
    while page.statements:
        next_page = asyncio.create_task(read_after(page))
        try:
            await _write_batch(writer, partner_id, batch, written, rules)
            done += len(page.statements)
            progress("statements", done, total)
        except BaseException:
            next_page.cancel()
            await asyncio.wait([next_page])
            raise
        last, (page, batch) = page, await next_page
    await set_names(writer, partner_id, written.names)
    return last, written.inferred


async def _write_batch(
    writer: Connection,
    partner_id: int,
    batch: EventBatch,
    written: _Written,
    rules: PartnerRules,
) -> None:
    """Write a batch to the temporary table; events of voided statements are not in it."""
    agents = {key: value for key, value in batch.agents.items() if key not in written.persons}
    persons = await ensure_persons(writer, partner_id, agents)
    written.persons |= persons
    written.memberships |= await read_memberships(
        writer, partner_id, visible_ids(persons) - written.memberships.keys(), rules.settings
    )
    written.names |= visible_names(batch.agent_names, written.persons)
    await _write_contents(writer, partner_id, batch, written, rules)
    events, hidden = event_writer.split_deleted(batch.events, written.persons)
    await event_writer.insert_without_event(writer, partner_id, [*batch.without_event, *hidden])
    if organizations := batch.organizations - written.organizations:
        await event_writer.insert_groups(writer, partner_id, organizations)
        written.organizations |= organizations
    await event_writer.insert_events(
        writer,
        partner_id,
        events,
        written.persons,
        written.contents,
        written.memberships,
        table="extracted_event",
    )


async def _write_contents(
    writer: Connection,
    partner_id: int,
    batch: EventBatch,
    written: _Written,
    rules: PartnerRules,
) -> None:
    changed = {}
    for activity, content in batch.contents.items():
        before = written.inferred.get(activity)
        merged = content.merged_over(before)
        if merged != before:
            changed[activity] = merged
    others = batch.other_activities - written.inferred.keys()
    types = await content_writer.upsert_contents(writer, partner_id, changed, others, rules)
    written.inferred |= {**dict.fromkeys(others), **changed}
    written.tracks |= {content_key(activity) for activity in types.new_tracks}
    if new := [key for key in map(content_key, changed) if key not in written.contents]:
        written.contents |= await content_writer.content_ids(writer, partner_id, new)
    pairs = {pair for pair in batch.context_pairs if pair[1] in written.tracks}
    pairs -= written.context_pairs
    await content_writer.update_track_contents(writer, partner_id, pairs, [])
    written.context_pairs |= pairs


async def _apply(writer: Connection, partner_id: int, progress: Progress) -> None:
    """Apply the differences to the stored events, then recompute facts and records."""
    total = await writer.fetchval(_COUNT_PERSONS, partner_id)
    first = done = 0
    while done < total:
        [(last, count)] = await writer.fetch(_PERSON_RANGE, partner_id, first, _PERSONS_PER_RANGE)
        await writer.execute(_DELETE_OBSOLETE, partner_id, first, last)
        await writer.execute(_INSERT_MISSING, partner_id, first, last)
        pairs = await writer.fetch(_PAIRS, partner_id, first, last)
        await recompute(
            writer,
            partner_id,
            map(tuple, pairs),
            all_of_learners=True,
            organizations_are_current=True,
        )
        first, done = last + 1, done + count
        progress("learners", done, total)
