"""Fill a store with the rows that ingest would have written, faster than by its API.

The items go through the parsers and `prepare` of the server, in one process per core, and by COPY
into tables without indexes.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
from multiprocessing import get_context

import asyncpg
import msgspec
import orjson

from lrs.ingest.model import IngestContext
from lrs.ingest.parse import StatementParser, TrackEventParser
from lrs.ingest.prepare import prepare
from lrs.store.statements import sequence
from lrs.store.statements.insert import StatementRow
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi.definitions import identity_hash
from scripts.bench import scale_samples
from scripts.bench.scale_samples import Item

_TABLES = ("statement", "index_entry")
_STATEMENT_COLUMNS = (
    *("sequence", "verb_key", "authority_key", "actor_key", "object_key", "partner_id"),
    *("statement_id", "digest", "organization", "payload", "source"),
)
_ENTRY_COLUMNS = ("key", "sequence", "partner_id", "roles")
_MICROSECOND = timedelta(microseconds=1)
_MAX_BYTES = 16_384
_ITEMS_PER_CHUNK = 20_000
_SENDER = """
    select * from statement join partner using (partner_id)
    where statement_id = $1 and partner.name = $2
"""
_INDEXES = """
    select
        pg_index.indexrelid::regclass::text as name,
        pg_get_indexdef(pg_index.indexrelid) as definition,
        pg_constraint.conname as constraint_name,
        pg_get_constraintdef(pg_constraint.oid) as constraint_definition
    from pg_index
    left join pg_constraint on pg_constraint.conindid = pg_index.indexrelid
    where pg_index.indrelid = $1::text::regclass
"""
_INSERT_DEFINITIONS = """
    insert into activity as existing (partner_id, activity_hash, activity_id, definition)
    select
        $1, item.activity_hash, item.activity_id,
        merge_definitions(item.definition order by item.ordinal)
    from unnest($2::bytea[], $3::text[], $4::jsonb[]) with ordinality
        as item (activity_hash, activity_id, definition, ordinal)
    group by item.activity_hash, item.activity_id
    on conflict (partner_id, activity_hash) do update
    set definition = merge_definition(existing.definition, excluded.definition)
"""
_INSERT_NAMES = """
    insert into agent_name (partner_id, agent_hash, name_hash, name)
    select $1, * from unnest($2::bytea[], $3::bytea[], $4::text[])
    on conflict do nothing
"""

Names = tuple[str, str]


@dataclass
class Described:
    """The definitions of activities, in the order in which they are merged; names of agents."""

    definitions: dict[tuple[str, bytes], None] = field(default_factory=dict)
    names: dict[Names, None] = field(default_factory=dict)

    def add(self, row: StatementRow) -> None:
        for activity, texts in row.definitions:
            for text in texts:
                self._add_definition(activity, text)
        self.names.update(dict.fromkeys(row.names))

    def merge(self, later: Described) -> None:
        for activity, text in later.definitions:
            self._add_definition(activity, text)
        self.names |= later.names

    def _add_definition(self, activity: str, text: bytes) -> None:
        """A repeated definition moves to the end: merging it twice is merging it last."""
        self.definitions.pop((activity, text), None)
        self.definitions[activity, text] = None


@dataclass(frozen=True, slots=True)
class Sender:
    """The context of a credential, and a time after the last statement that it has sent."""

    context: IngestContext
    stored: datetime


async def read_sender(dsn: str, statement_id: str, partner: str) -> Sender:
    """The credential of a partner that sent this statement."""
    connection = await asyncpg.connect(dsn)
    try:
        (row,) = await connection.fetch(_SENDER, statement_id, partner)
    finally:
        await connection.close()
    authority = orjson.dumps(orjson.loads(row["payload"])["authority"]).decode()
    key = row["authority_key"] ^ key_salt(row["partner_id"])
    context = IngestContext(
        row["partner_id"], row["name"], row["home_page"], None, authority, key, True
    )
    return Sender(context, sequence.stored_at(row["sequence"]) + _MICROSECOND)


def fill(dsn: str, sender: Sender, numbers: range, total: int, learners: int) -> None:
    """Write the statements with these numbers, their index entries, definitions and names."""
    asyncio.run(_fill(dsn, sender, numbers, total, learners))


async def _fill(dsn: str, sender: Sender, numbers: range, total: int, learners: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set maintenance_work_mem = '1GB'")
        indexes = {table: await connection.fetch(_INDEXES, table) for table in _TABLES}
        for table in _TABLES:
            await _drop(connection, table, indexes[table])
        described = await asyncio.to_thread(_copy_all, dsn, sender, numbers, total, learners)
        for table in _TABLES:
            await _create(connection, table, indexes[table])
        await insert_described(connection, sender.context.partner_id, described)
    finally:
        await connection.close()


async def _drop(
    connection: asyncpg.Connection, table: str, indexes: Sequence[asyncpg.Record]
) -> None:
    for index in indexes:
        if index["constraint_name"]:
            await connection.execute(
                f"alter table {table} drop constraint {index['constraint_name']}"
            )
        else:
            await connection.execute(f"drop index {index['name']}")


async def _create(
    connection: asyncpg.Connection, table: str, indexes: Sequence[asyncpg.Record]
) -> None:
    for index in indexes:
        if index["constraint_name"]:
            await connection.execute(
                f"alter table {table} add constraint {index['constraint_name']} "
                f"{index['constraint_definition']}"
            )
        else:
            await connection.execute(index["definition"])


def _copy_all(dsn: str, sender: Sender, numbers: range, total: int, learners: int) -> Described:
    chunks = [
        numbers[first : first + _ITEMS_PER_CHUNK]
        for first in range(0, len(numbers), _ITEMS_PER_CHUNK)
    ]
    described = Described()
    copy = partial(_copy_chunk, dsn, sender, total, learners)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as executor:
        for chunk in executor.map(copy, chunks):
            described.merge(chunk)
    return described


def _copy_chunk(dsn: str, sender: Sender, total: int, learners: int, numbers: range) -> Described:
    """Each statement is stored a microsecond after the one before it."""
    own = replace(sender, stored=sender.stored + numbers.start * _MICROSECOND)
    return asyncio.run(copy(dsn, own, scale_samples.items(numbers, total, learners)))


async def copy(dsn: str, sender: Sender, items: Iterable[Item]) -> Described:
    """Write the rows of the items but definitions and names, which are returned."""
    described = Described()
    statements: list[tuple[object, ...]] = []
    entries: list[tuple[int, ...]] = []
    partner_id, stored = sender.context.partner_id, sender.stored
    for row in _rows(sender.context, items):
        statements.append(_statement_record(partner_id, row, stored))
        entries += _entry_records(partner_id, row, stored)
        described.add(row)
        stored += _MICROSECOND
    connection = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "off"})
    try:
        await connection.copy_records_to_table(
            "statement", columns=_STATEMENT_COLUMNS, records=statements
        )
        await connection.copy_records_to_table(
            "index_entry", columns=_ENTRY_COLUMNS, records=entries
        )
    finally:
        await connection.close()
    return described


def _rows(context: IngestContext, items: Iterable[Item]) -> Iterator[StatementRow]:
    """The items as ingest prepares them."""
    parse_statement, parse_event = StatementParser(_MAX_BYTES), TrackEventParser(_MAX_BYTES)

    @cache
    def context_of(organization: str | None, source: str) -> IngestContext:
        return msgspec.structs.replace(context, organization=organization, source=source)

    for item in items:
        own = context_of(item.organization, "track" if item.is_track_event else "statements")
        parse = parse_event if item.is_track_event else parse_statement
        parsed = parse(orjson.dumps(item.value), own)
        yield prepare(parsed, own, Counter()).row


def _statement_record(partner_id: int, row: StatementRow, stored: datetime) -> tuple[object, ...]:
    salt = key_salt(partner_id)
    return (
        sequence.first_at(stored),
        row.verb_key ^ salt,
        row.authority_key ^ salt,
        None if row.actor_key is None else row.actor_key ^ salt,
        None if row.object_key is None else row.object_key ^ salt,
        partner_id,
        row.statement_id,
        row.digest,
        row.organization,
        f'{row.body}"stored":"{stored:%Y-%m-%dT%H:%M:%S.%fZ}"}}',
        row.source,
    )


def _entry_records(
    partner_id: int, row: StatementRow, stored: datetime
) -> Iterator[tuple[int, int, int, int]]:
    salt, position = key_salt(partner_id), sequence.first_at(stored)
    for key, roles in row.index_entries:
        yield key ^ salt, position, partner_id, roles


async def insert_described(
    connection: asyncpg.Connection, partner_id: int, described: Described
) -> None:
    """Write definitions and names."""
    definitions, names = [*described.definitions], [*described.names]
    await connection.execute(
        _INSERT_DEFINITIONS,
        partner_id,
        [identity_hash(activity) for activity, _ in definitions],
        [activity for activity, _ in definitions],
        [text.decode() for _, text in definitions],
    )
    await connection.execute(
        _INSERT_NAMES,
        partner_id,
        [identity_hash(identity) for identity, _ in names],
        [identity_hash(name) for _, name in names],
        [name for _, name in names],
    )
