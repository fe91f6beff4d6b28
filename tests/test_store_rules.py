"""The rules that the store is held to: tables, migrations, plans, round trips; and the house."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import orjson
import pytest
import sqlparse
from conftest import new_partner
from support import XAPI, Partner, explained, new_id, prepared, statement

from lrs.api.services import Services
from lrs.app import running
from lrs.errors import InternalError, Overloaded
from lrs.ingest import group_commit
from lrs.ingest.group_commit import GroupCommit
from lrs.ingest.pipeline import Ingest
from lrs.ingest.prepare import Sender, StatementReader
from lrs.ingest.write import Answers, Submission, Writer
from lrs.settings import Settings
from lrs.store import migrations
from lrs.store.migrations import UnknownSchema
from lrs.store.postgres import Database
from lrs.store.statements import insert, page_query, sequence
from lrs.store.statements.filters import StatementFilter, build_filter
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys
from lrs.xapi.statement_query import Cursor, StatementQuery

Json = dict[str, Any]

REGISTRY = ("partner", "credential", "signing_key", "schema_migration")
"""Read by every partner's requests, and small; on Citus, reference tables."""


@pytest.fixture(scope="module")
async def catalogue(services: Services) -> AsyncIterator[Any]:
    async with services.database.readers.acquire() as connection:
        yield connection


# Tables


async def tables(catalogue: Any) -> set[str]:
    """Every table that is distributed by partner."""
    rows = await catalogue.fetch(
        "select relname from pg_class where relkind in ('r', 'p')"
        " and relnamespace = 'public'::regnamespace and not relname = any($1)",
        REGISTRY,
    )
    return {row["relname"] for row in rows}


OWN_KEYS = {f"statement_by_{column}" for column in ("verb", "authority", "actor", "object")}
"""Indexes of keys that are a partner's own already: see lrs/store/statements/partner_keys.py."""


async def test_every_index_and_key_has_the_partner(catalogue: Any) -> None:
    """Or keys that are its own; whatever is unique has it, so the same DDL can be distributed."""
    assert {"statement", "link", "reference"} <= await tables(catalogue)
    rows = await catalogue.fetch(
        """
        select indrelid::regclass::text as relation, indexrelid::regclass::text as index,
            indisprimary, array(
                select attname from pg_attribute
                where attrelid = indrelid and attnum = any(indkey::int2[])
            )::text[] as columns
        from pg_index
        where indrelid in (
            select oid from pg_class where relnamespace = 'public'::regnamespace)
        """
    )
    ours = await tables(catalogue)
    found = [row for row in rows if row["relation"] in ours]
    assert {row["relation"] for row in found if row["indisprimary"]} == ours
    without = {row["index"] for row in found if "partner_id" not in row["columns"]}
    assert without == OWN_KEYS


async def test_foreign_keys_stay_within_the_partner(catalogue: Any) -> None:
    rows = await catalogue.fetch(
        """
        select conrelid::regclass::text as relation, conname,
            confrelid::regclass::text as target,
            array(select attname from pg_attribute
                where attrelid = conrelid and attnum = any(conkey))::text[] as columns
        from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace
        """
    )
    ours = await tables(catalogue)
    for row in rows:
        if row["relation"] in ours:
            assert "partner_id" in row["columns"], row["conname"]
        else:
            assert row["target"] in REGISTRY, row["conname"]


async def test_there_are_no_triggers_and_no_sequence_is_an_order(catalogue: Any) -> None:
    assert await catalogue.fetch("select tgname from pg_trigger where not tgisinternal") == []
    sequences = await catalogue.fetch(
        "select seqrelid::regclass::text as name from pg_sequence order by 1"
    )
    assert [row["name"] for row in sequences] == [
        "assignment_assignment_id_seq",
        "content_content_id_seq",
        "learner_group_group_id_seq",
        "partner_partner_id_seq",
        "person_person_id_seq",
        "team_team_id_seq",
    ]


async def test_every_list_has_an_index_in_page_order(catalogue: Any) -> None:
    rows = await catalogue.fetch(
        "select pg_get_indexdef(indexrelid) as definition from pg_index"
        " where indrelid = any(array['statement', 'link', 'reference']::regclass[])"
    )
    found = {re.sub(r".* USING btree ", "", row["definition"]) for row in rows}
    assert found >= {
        "(partner_id, statement_id)",
        "(partner_id, place)",
        "(verb_key, place)",
        "(authority_key, place)",
        "(actor_key, place) WHERE (actor_key IS NOT NULL)",
        "(object_key, place) WHERE (object_key IS NOT NULL)",
        "(partner_id, organization, place) WHERE (organization IS NOT NULL)",
        "(partner_id, key, place)",
        "(partner_id, target_id)",
        "(partner_id, target_id) WHERE voids",
    }


# Migrations


@asynccontextmanager
async def empty_database(dsn: str) -> AsyncIterator[str]:
    """Another database on the same server, without a schema."""
    name = f"empty_{uuid4().hex}"
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"create database {name}")
    try:
        yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[str]:
    async with empty_database(database_url) as dsn:
        yield dsn


async def execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(sql)
    await connection.close()


async def value(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_migrating_twice_changes_nothing(empty: str) -> None:
    assert await migrations.migrate(empty) == migrations.known()
    assert await migrations.migrate(empty) == []


async def test_servers_that_start_together_migrate_once(empty: str) -> None:
    applied = await asyncio.gather(*(migrations.migrate(empty) for _ in range(6)))
    versions = [migration.version for each in applied for migration in each]
    assert sorted(versions) == [each.version for each in migrations.known()]


async def test_what_is_done_outside_a_transaction_is_done_once(empty: str) -> None:
    """0009 takes the types of contents that were known before it, and none of later ones."""
    await migrations.migrate(empty)
    await execute(
        empty,
        "insert into content (partner_id, content_key, activity_id, type, attributes)"
        " values (1, 1, 'http://example.com/c', 'course', '{}')",
    )
    assert await migrations.migrate(empty) == []
    assert await value(empty, "select told_type from content") is None


async def test_an_index_that_was_left_half_built_is_built_anew(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrations.migrate(empty)
    await execute(empty, "create table thing (n integer); insert into thing values (1), (1)")
    known = migrations.known()
    index = migrations.Migration(
        known[-1].version + 1,
        "index",
        "-- outside a transaction\n"
        "drop index concurrently if exists thing_by_n;\n"
        "create unique index concurrently thing_by_n on thing (n);\n"
        "select pg_sleep(0.4);\n",
    )
    monkeypatch.setattr(migrations, "known", lambda: [*known, index])
    with pytest.raises(InternalError):
        await migrations.migrate(empty)
    is_whole = "select indisvalid from pg_index where indrelid = 'thing'::regclass"
    assert await value(empty, is_whole) is False
    await execute(empty, "delete from thing where ctid = '(0,1)'")
    name = urlsplit(empty).path[1:]
    await execute(empty, f"alter database {name} set idle_in_transaction_session_timeout = '200ms'")
    applied = await asyncio.gather(*(migrations.migrate(empty) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], [index]]
    assert await value(empty, is_whole) is True


async def test_migrations_are_numbered_without_gaps() -> None:
    assert [each.version for each in migrations.known()] == [
        number + 1 for number in range(len(migrations.known()))
    ]


INDEX = re.compile(
    r"create (unique )?index (?P<concurrently>concurrently )?(?P<name>\w+) on (?P<table>\w+)"
)
DROP = re.compile(r"drop index concurrently if exists (\w+);?$")
HARMLESS = (
    r"create table \w+ \(",
    r"create (or replace )?view ",
    r"comment on ",
    r"insert into (?!statement|link|reference)",
    r"update content ",
    r"alter table \w+ add column (if not exists )?\w+ [\w\[\]]+( default '?\w*'?)?;?$",
    r"alter table \w+ alter (column )?\w+ set (statistics \d+|storage \w+);?$",
    r"alter table \w+ add constraint .* not valid;?$",
    r"alter table \w+ drop constraint \w+;?$",
)
"""What neither rewrites a table nor holds a lock for as long as it has rows."""


REWRITING = ("places", "groups")
"""Those that write statements anew, and are nothing to be done beside servers that run."""


@pytest.mark.parametrize(
    "migration",
    [each for each in migrations.known() if each.name not in REWRITING],
    ids=lambda each: each.name,
)
def test_a_migration_takes_no_long_lock(migration: migrations.Migration) -> None:
    outside = migration.sql.startswith("-- outside a transaction")
    text = sqlparse.format(migration.sql, strip_comments=True).lower()
    created = set(re.findall(r"create table (\w+)", text))
    dropped = set()
    for each in filter(None, map(str.strip, sqlparse.split(text))):
        each = " ".join(each.split())
        if index := INDEX.match(each):
            if outside:
                assert index["concurrently"], each
                assert index["name"] in dropped, each
            else:
                assert index["table"] in created, each
        elif outside and (drop := DROP.match(each)):
            dropped.add(drop[1])
        else:
            assert any(re.match(pattern, each) for pattern in HARMLESS), each


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (None, "no schema yet: run `lrs migrate`"),
        ("delete from schema_migration where version > 1", "has version 1, this server needs"),
        ("insert into schema_migration values (9999, 'later')", "has version 9999, this server"),
    ],
    ids=["none", "older", "newer"],
)
async def test_a_server_refuses_a_schema_it_does_not_know(
    empty: str, settings: Settings, change: str | None, sentence: str
) -> None:
    if change:
        await migrations.migrate(empty)
        await execute(empty, change)
    with pytest.raises(UnknownSchema) as refused:
        async with running(msgspec.structs.replace(settings, database_url=empty)):
            pass
    assert sentence in refused.value.detail
    assert refused.value.detail.endswith((".", "`."))


async def test_a_newer_schema_is_not_migrated(empty: str) -> None:
    await migrations.migrate(empty)
    await execute(empty, "insert into schema_migration values (9999, 'later')")
    with pytest.raises(UnknownSchema, match="run a newer server"):
        await migrations.migrate(empty)


# Round trips


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """A database whose writer notes every statement that it is sent."""
    noted: list[str] = []

    async def note(connection: Any) -> None:
        connection.add_query_logger(lambda record: noted.append(record.query))

    async with (
        asyncpg.create_pool(
            database_url,
            min_size=1,
            max_size=1,
            init=note,
            server_settings={"application_name": "lrs writer"},
        ) as writers,
        asyncpg.create_pool(database_url, min_size=1, max_size=1) as readers,
    ):
        yield Database(writers, readers, readers), noted


def round_trips(noted: list[str]) -> int:
    """All but the driver's own, when it gives a connection back."""
    return sum("pg_advisory_unlock_all" not in query for query in noted)


def sender(partner: Partner) -> Sender:
    return Sender(partner.partner_id, partner.name, partner.home_page, None, "{}", 1, True)


def plain(count: int) -> list[Json]:
    return [statement(id=new_id()) for _ in range(count)]


def referring(count: int) -> list[Json]:
    sent = plain(count)
    for each, target in zip(sent[1:], sent, strict=False):
        each["object"] = {"objectType": "StatementRef", "id": target["id"]}
    return sent


@pytest.mark.parametrize("make", [plain, referring])
@pytest.mark.parametrize("atomic", [False, True])
async def test_round_trips_do_not_depend_on_the_batch(
    partner: Partner, counted: tuple[Database, list[str]], make: Any, atomic: bool
) -> None:
    database, noted = counted
    ingest = Ingest(database, GroupCommit(database))
    took = []
    for count in (3, 2, 20, 100):
        sent = make(count)
        for kind in ("stored", "duplicate"):
            noted.clear()
            items = [orjson.dumps(each) for each in sent]
            found = await ingest.submit(
                items, sender(partner), StatementReader(), item_bytes=16_384, atomic=atomic
            )
            assert {each.kind for each in found} == {kind}
            took.append((kind, round_trips(noted)))
    took = took[2:]  # the driver asks about types once
    assert len(set(took)) == 2
    assert max(number for _, number in took) <= 5


async def test_a_lone_statement_takes_one_round_trip(
    partner: Partner, counted: tuple[Database, list[str]]
) -> None:
    database, noted = counted
    ingest = Ingest(database, GroupCommit(database))
    for _ in range(2):  # the first time, the driver asks about types
        noted.clear()
        item = orjson.dumps(statement())
        await ingest.submit([item], sender(partner), StatementReader(), item_bytes=16_384)
    assert round_trips(noted) == 1, noted


def telling(count: int) -> list[Json]:
    sent = plain(count)
    for number, each in enumerate(sent):
        each["actor"] = {"mbox": "mailto:ann@example.com", "name": f"Ann {new_id()}"}
        each["object"] = {
            "id": f"http://example.com/course/{number}",
            "definition": {"name": {"en": new_id()}},
        }
    return sent


@pytest.mark.parametrize("make", [plain, telling])
@pytest.mark.parametrize("atomic", [False, True])
async def test_a_batch_takes_one_round_trip(
    partner: Partner, counted: tuple[Database, list[str]], make: Any, atomic: bool
) -> None:
    """With what it tells of activities and agents, and when it is all or nothing."""
    database, noted = counted
    ingest = Ingest(database, GroupCommit(database))
    for count in (2, 1, 20):  # the first time, the driver asks about types
        noted.clear()
        items = [orjson.dumps(each) for each in make(count)]
        found = await ingest.submit(
            items, sender(partner), StatementReader(), item_bytes=16_384, atomic=atomic
        )
        assert {each.kind for each in found} == {"stored"}
    assert round_trips(noted) == 1, noted


# Plans


ROWS = 20_000
LIMIT = 25
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = BEGINNING + timedelta(seconds=ROWS // 2)
END = BEGINNING + timedelta(seconds=ROWS)
AGENTS = [{"mbox": f"mailto:agent{number}@example.com"} for number in range(40)]
BUSY_AGENT = {"mbox": "mailto:busy@example.com"}
AUTHORITIES = [{"mbox": f"mailto:authority{number}@example.com"} for number in range(10)]
ACTIVITIES = [f"http://example.com/activities/{number}" for number in range(100)]
BUSY = "http://example.com/activities/busy"
VERBS = [f"http://example.com/verbs/{number}" for number in range(5)]
REGISTRATIONS = [f"{number:08}-3ef0-4ed3-8b37-7f3964730bee" for number in range(500)]

_STATEMENTS = """
insert into statement
    (partner_id, statement_id, place, verb_key, authority_key, actor_key, object_key,
    organization, digest, payload)
select $1, gen_random_uuid(), $2::bigint + (n * 1000000::bigint << 10),
    ($4::bigint[])[n % 5 + 1], ($5::bigint[])[n / 7 % 10 + 1],
    case when whole then ($6::bigint[])[hash % 40 + 1] end,
    case when whole then ($7::bigint[])[hash / 40 % 100 + 1] end,
    case n / 3 % 4 when 0 then 'north' when 1 then 'south' end, 'x', repeat('x', 400)
from generate_series(1, $3::int) as n
cross join lateral (
    select hashint4(n) & 65535 as hash, hashint4(-n) % 2 = 0 as whole
) as hashed
"""

_LINKS = """
insert into link (partner_id, key, place, roles)
select $1,
    ($2::bigint[])[(hashtext(statement_id::text || $3) & 65535) % cardinality($2::bigint[]) + 1],
    place, 1
from statement where partner_id = $1 and (actor_key is null or not $4)
on conflict do nothing
"""

_DIRECT = ("member", "inherited", "verb", "half", "another half")

_REFERENCES = """
insert into reference (partner_id, statement_id, target_id, place, voids, settled)
select partner_id, gen_random_uuid(), statement_id, place, hashtext(statement_id::text) % 2 = 0,
    true
from statement where partner_id = $1 and hashtext(statement_id::text) % 5 = 0
"""


@pytest.fixture(scope="module")
async def library(services: Services, http: httpx.AsyncClient) -> int:
    """A partner with many statements, beside another; every fifth one is referred to.

    Half of them have an actor and an activity, and no direct links.
    """
    agents = [f"mbox {each['mbox']}" for each in AGENTS]
    columns = [
        [index_keys.verb_key(each) for each in VERBS],
        [index_keys.entity_key("agent", f"mbox {each['mbox']}") for each in AUTHORITIES],
        [index_keys.entity_key("agent", each) for each in agents],
        [index_keys.activity_key(each) for each in ACTIVITIES],
    ]
    keys = {
        "member": [index_keys.entity_key("agent", each) for each in agents],
        "instructor": [index_keys.entity_key("related agent", each) for each in agents],
        "inherited": [index_keys.activity_key(each) for each in ACTIVITIES],
        "parent": [index_keys.related_activity_key(each) for each in ACTIVITIES],
        "registration": [index_keys.registration_key(each) for each in REGISTRATIONS],
        "verb": [*map(index_keys.verb_key, VERBS), *range(100)],
        "half": [index_keys.entity_key("agent", f"mbox {BUSY_AGENT['mbox']}"), 1],
        "another half": [index_keys.activity_key(BUSY), 1],
        "a third half": [index_keys.related_activity_key(BUSY), 1],
    }
    for _ in range(2):
        partner_id = (await new_partner(services, http)).partner_id
        own = key_salt(partner_id)
        async with services.database.writers.acquire() as connection:
            await connection.execute(
                _STATEMENTS,
                partner_id,
                sequence.first_at(BEGINNING),
                ROWS,
                *([key ^ own for key in each] for each in columns),
            )
            for name, choice in keys.items():
                values = [key ^ own for key in choice]
                await connection.execute(_LINKS, partner_id, values, name, name in _DIRECT)
            await connection.execute(_REFERENCES, partner_id)
            await connection.execute("analyze statement, link, reference")
    return partner_id


async def plan(connection: Any, partner_id: int, selection: StatementFilter) -> list[Json]:
    """The nodes of the plan for a page, with what each of them did."""
    sql, arguments = page_query.build_page_query(partner_id, selection)
    values = [f"'{argument}'" for argument in arguments]
    async with connection.transaction():
        return await explained(connection, sql, values, "analyze, ")


def rows(node: Json) -> float:
    """How many rows a node gave or threw away, all in all."""
    return float(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    )


ONE_FILTER = {
    "none": StatementQuery(LIMIT),
    "agent": StatementQuery(LIMIT, agent=AGENTS[7]),
    "busy agent": StatementQuery(LIMIT, agent=BUSY_AGENT),
    "related agent": StatementQuery(LIMIT, agent=AGENTS[7], related_agents=True),
    "authority": StatementQuery(LIMIT, agent=AUTHORITIES[0], related_agents=True),
    "verb": StatementQuery(LIMIT, verb=VERBS[2]),
    "activity": StatementQuery(LIMIT, activity=ACTIVITIES[3]),
    "related activity": StatementQuery(LIMIT, activity=ACTIVITIES[3], related_activities=True),
    "busy activity": StatementQuery(LIMIT, activity=BUSY, related_activities=True),
    "registration": StatementQuery(LIMIT, registration=REGISTRATIONS[0]),
    "nobody": StatementQuery(LIMIT, agent={"mbox": "mailto:nobody@example.com"}),
}

SEVERAL_FILTERS = {
    "agent, activity": replace(ONE_FILTER["agent"], activity=ACTIVITIES[3]),
    "agent, verb": replace(ONE_FILTER["agent"], verb=VERBS[2]),
    "both related": replace(
        ONE_FILTER["related agent"], activity=ACTIVITIES[3], related_activities=True
    ),
    "both busy": replace(ONE_FILTER["busy activity"], agent=BUSY_AGENT, related_agents=True),
    "busy agent, activity": replace(ONE_FILTER["related activity"], agent=BUSY_AGENT),
    "registration, busy activity": replace(
        ONE_FILTER["busy activity"], registration=REGISTRATIONS[0]
    ),
    "all": replace(
        ONE_FILTER["agent"],
        verb=VERBS[2],
        activity=ACTIVITIES[3],
        registration=REGISTRATIONS[0],
    ),
}

WINDOWS: dict[str, Json] = {
    "all of it": {},
    "next page": {"cursor": Cursor(sequence.first_at(MIDDLE), END)},
    "since": {"since": MIDDLE},
    "until": {"until": MIDDLE},
}

SCOPES: dict[str, Json] = {
    "": {},
    "organization": {"organization": "north"},
    "mine": {"authority_key": index_keys.agent_key(AUTHORITIES[0])},
}


BELIEFS = {
    "what is so": None,
    "that all have the same value": 1,
    "that no two have the same value": -1,
}
"""What the planner makes of a column's values: nothing may depend on it."""


@pytest.fixture(scope="module", params=BELIEFS)
async def reader(
    services: Services, library: int, request: pytest.FixtureRequest
) -> AsyncIterator[Any]:
    columns = {
        "link": ["key"],
        "statement": ["verb_key", "authority_key", "actor_key", "object_key", "organization"],
    }
    async with services.database.lists.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        if distinct := BELIEFS[request.param]:
            for table, names in columns.items():
                changes = [f"alter column {name} set (n_distinct = {distinct})" for name in names]
                await connection.execute(f"alter table {table} {', '.join(changes)}")
                await connection.execute(f"analyze {table}")
        yield connection
        await undone.rollback()


@pytest.mark.parametrize("name", ONE_FILTER)
async def test_a_page_is_read_in_order_and_no_further(library: int, reader: Any, name: str) -> None:
    """Index ranges in page order, left at the page's end: no sort but of the page itself."""
    for window in WINDOWS.values():
        for ascending in (False, True):
            query = replace(ONE_FILTER[name], ascending=ascending, **window)
            found = await plan(reader, library, build_filter(query, watermark=END))
            for node in found:
                told = (name, window, ascending, node)
                assert node["Node Type"] not in ("Seq Scan", "Bitmap Heap Scan"), told
                assert rows(node) <= 5 * (LIMIT + 1), told
                assert "hashed" not in node.get("Subplan Name", ""), told


async def test_a_credential_without_statements_reads_nothing(library: int, reader: Any) -> None:
    selection = build_filter(StatementQuery(LIMIT), watermark=END, authority_key=0)
    read = [node for node in await plan(reader, library, selection) if "Index Name" in node]
    assert read
    assert sum(map(rows, read)) == 0


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", [*ONE_FILTER, *SEVERAL_FILTERS])
async def test_several_conditions_never_read_all_of_a_busy_one(
    library: int, reader: Any, name: str, scope: str
) -> None:
    for window in WINDOWS.values():
        for ascending in (False, True):
            query = replace({**ONE_FILTER, **SEVERAL_FILTERS}[name], ascending=ascending, **window)
            selection = build_filter(query, watermark=END, **SCOPES[scope])
            for node in await plan(reader, library, selection):
                told = (name, scope, window, ascending, node)
                assert node["Node Type"] != "Seq Scan", told
                assert rows(node) <= ROWS / 10, told


@pytest.mark.parametrize("name", SEVERAL_FILTERS)
async def test_no_request_examines_more_statements_than_it_may(
    library: int, reader: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However busy the conditions, and however seldom a statement meets them all."""
    monkeypatch.setattr(page_query, "MAX_EXAMINED_STATEMENTS", 200)
    for window in WINDOWS.values():
        selection = build_filter(replace(SEVERAL_FILTERS[name], **window), watermark=END)
        for node in await plan(reader, library, selection):
            assert rows(node) <= 2 * 200, (name, window, node)


# Group commit


async def test_a_refused_batch_stores_nothing_whoever_shares_its_transaction(
    partner: Partner, services: Services
) -> None:
    """Good batches, single statements and batches with a conflict, all at the same time."""
    (taken,) = plain(1)
    assert (await partner.xapi(taken)).status_code == 200
    conflict = {**taken, "verb": {"id": "http://example.com/verbs/another"}}
    good = [plain(5) for _ in range(20)]
    bad = [[*plain(2), conflict, *plain(2)] for _ in range(20)]
    single = [plain(1) for _ in range(10)]
    mixed = [each for some in zip(good, bad, strict=True) for each in some] + single
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*map(partner.xapi, mixed))
    assert [answer.status_code for answer in answers] == [200, 409] * 20 + [200] * 10
    expected = {each["id"] for batch in [*good, *single] for each in batch} | {taken["id"]}
    assert {each["id"] for each in await partner.all()} == expected


async def test_only_what_is_stored_refuses(partner: Partner) -> None:
    """Of two batches that contradict each other one is stored, and not neither."""
    (taken,) = plain(1)
    assert (await partner.xapi(taken)).status_code == 200
    for _ in range(10):
        (shared,) = plain(1)
        other = {**shared, "verb": {"id": "http://example.com/verbs/another"}}
        conflict = {**taken, "verb": {"id": "http://example.com/verbs/another"}}
        # the first is refused for another reason, so it must not refuse the second
        batches = [plain(2), [shared, conflict], [other, *plain(1)]]
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*map(partner.xapi, batches))
        assert [answer.status_code for answer in answers] == [200, 409, 200]


async def test_the_same_batch_many_times_at_once_is_stored_once(partner: Partner) -> None:
    batch = plain(10)
    answers = await asyncio.gather(
        *(partner.send(batch[:: 1 if number % 2 else -1]) for number in range(12))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    assert len(await partner.all()) == 10


async def test_overlapping_batches_store_each_statement_once(partner: Partner) -> None:
    """Some of a batch may be known by then; each statement is told as stored exactly once."""
    known = plain(60)
    batches = [known[start : start + 20][::-1] for start in range(0, 45, 5)] * 2
    answers = await asyncio.gather(*map(partner.send, batches))
    told: Counter[str] = Counter()
    for batch, answer in zip(batches, answers, strict=True):
        if answer.status_code == 200:
            told.update(each["id"] for each in batch)
        else:
            results = answer.json()["results"]
            told.update(each["id"] for each in results if each["outcome"] == "stored")
    assert told == Counter(each["id"] for each in known)


@pytest.mark.parametrize("face", ["xapi", "partner"])
async def test_what_is_stored_meanwhile_is_known(
    partner: Partner, slow_writer: asyncpg.Connection, face: str
) -> None:
    """Another writer is about to store one statement of a batch, and commits while that waits."""
    batch = telling(3)
    sent = partner.xapi if face == "xapi" else partner.send
    async with slow_writer.transaction():
        await insert.insert_new(slow_writer, partner.partner_id, [prepared(batch[1])])
        waiting = asyncio.create_task(sent(batch))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert (await waiting).status_code == (409 if face == "xapi" else 207)
    left = {batch[1]["id"]} if face == "xapi" else {each["id"] for each in batch}
    assert {each["id"] for each in await partner.all()} == left
    names = [each["actor"]["name"] for each in (batch[0], batch[2])]
    agent = orjson.dumps({"mbox": "mailto:ann@example.com"}).decode()
    person = (
        await partner.http.get(
            "/xapi/agents", params={"agent": agent}, headers={**XAPI, **partner.headers}
        )
    ).json()
    assert set(person.get("name", [])) == (set() if face == "xapi" else set(names))


async def test_a_client_that_goes_away_takes_nobody_along(partner: Partner) -> None:
    sent = [plain(3) for _ in range(30)]
    tasks = [asyncio.create_task(partner.send(batch)) for batch in sent]
    await asyncio.sleep(0.005)
    for task in tasks[::3]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    stored = {each["id"] for each in await partner.all()}
    for number, (batch, answer) in enumerate(zip(sent, answers, strict=True)):
        ids = {each["id"] for each in batch}
        assert ids <= stored or not ids & stored
        if number % 3:
            assert isinstance(answer, httpx.Response)
            assert answer.status_code == 200
            assert ids <= stored


async def test_one_failure_hangs_nobody_who_shares_its_transaction(
    partner: Partner, services: Services
) -> None:
    """What PostgreSQL cannot take fails alone, also in a group that is split for a conflict."""
    commits = GroupCommit(services.database, transactions_per_partner=1)
    taken = prepared(statement(id=new_id()))
    await commits.submit(partner.partner_id, [taken], atomic=True)
    poison = msgspec.structs.replace(prepared(statement(id=new_id())), organization="\0")
    conflict = [prepared(statement(id=new_id())), msgspec.structs.replace(taken, digest=b"another")]
    submitted = [
        [prepared(statement(id=new_id()))],
        [poison],
        conflict,
        [prepared(statement(id=new_id()))],
    ]
    blocker = asyncio.create_task(
        commits.submit(partner.partner_id, [prepared(statement(id=new_id()))], atomic=True)
    )
    async with asyncio.timeout(10):
        results = await asyncio.gather(
            *(commits.submit(partner.partner_id, each, atomic=True) for each in submitted),
            return_exceptions=True,
        )
        await blocker
        await commits.drain()
    assert results[0] == [None]
    assert isinstance(results[1], Exception)
    assert isinstance(results[2], list)
    assert results[2][1] is not None
    assert results[3] == [None]


async def test_a_full_queue_stores_nothing(partner: Partner, services: Services) -> None:
    commits = GroupCommit(services.database, queue_limit=5, transactions_per_partner=1)
    batches = [[prepared(statement(id=new_id())) for _ in range(2)] for _ in range(20)]
    results = await asyncio.gather(
        *(commits.submit(partner.partner_id, batch, atomic=False) for batch in batches),
        return_exceptions=True,
    )
    stored = {each["id"] for each in await partner.all()}
    refused = [
        batch
        for batch, result in zip(batches, results, strict=True)
        if isinstance(result, Overloaded)
    ]
    assert refused
    assert stored.isdisjoint(each.statement_id for batch in refused for each in batch)
    assert len(stored) == 2 * (len(batches) - len(refused))


async def test_a_batch_waits_only_while_the_database_gets_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()

    async def write(
        self: Writer, connection: Any, partner_id: int, group: Sequence[Submission]
    ) -> Answers:
        await goes_on.wait()
        return {each: [None] for each in group}

    monkeypatch.setattr(group_commit, "_PATIENCE", 0.1)
    monkeypatch.setattr(Writer, "write", write)
    commits = GroupCommit(services.database, queue_limit=4, transactions_per_partner=1)
    under_way = []
    for _ in range(4):
        one = [prepared(statement(id=new_id()))]
        under_way.append(asyncio.create_task(commits.submit(1, one, atomic=False)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await commits.room(time.monotonic())
    goes_on.set()
    await commits.room(time.monotonic())
    assert await asyncio.gather(*under_way) == [[None]] * 4
