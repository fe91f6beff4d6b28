"""Statements stored before a migration are found after it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from lrs.projection import advance
from lrs.store import migrations
from lrs.store.postgres import open_database
from lrs.store.statements import insert, lookup
from lrs.store.statements.insert import StatementRow
from lrs.store.statements.partner_keys import key_salt
from lrs.xapi import index_keys
from tests.support.statements import new_id, prepared, statement
from tests.support.store import LEARNER, asked, listed

Json = dict[str, Any]

REGISTRATION = "ec531277-b57b-4c15-8d91-d292c5b2b8f7"

VERB = "http://example.com/verbs/read"

COURSE = "http://example.com/course/1"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# What was stored before there were places


@pytest.fixture
async def older(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A database with the schema that was before."""
    async with schema_before(8, database_url, monkeypatch) as dsn:
        yield dsn


@asynccontextmanager
async def schema_before(
    version: int, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    name = f"older_{uuid4().hex}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"create database {name}")
    dsn = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    before = [each for each in migrations.known() if each.version < version]
    try:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "known", lambda: before)
            await migrations.migrate(dsn)
        yield dsn
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


def agent(number: int) -> Json:
    return {"mbox": f"mailto:agent{number}@example.com"}


GROUP = {**agent(1), "objectType": "Group"}
BATCH: Sequence[Json] = [
    {},
    {"actor": agent(2)},
    {"actor": {**GROUP, "member": [agent(2), agent(3)]}},
    {"actor": GROUP, "verb": {"id": VERB}},
    {"actor": {"objectType": "Group", "member": [agent(3)]}},
    {"object": {**agent(2), "objectType": "Agent"}},
    {"object": {**GROUP, "member": [agent(3)]}},
    {"context": {"registration": REGISTRATION, "instructor": agent(2)}},
    {"context": {"contextActivities": {"parent": [{"id": "http://example.com/parent"}]}}},
    {"object": {"objectType": "SubStatement", **statement(actor=agent(2))}},
]


@dataclass(frozen=True)
class Old:
    """A statement as it was stored, with the links it had."""

    stored: datetime
    prepared: StatementRow
    links: dict[int, int]


def old(each: Json, stored: datetime, target: Json | None = None) -> Old:
    made = prepared(each)
    kept = {made.actor_key: index_keys.Role.ACTOR, made.object_key: index_keys.Role.OBJECT}
    found = dict(made.links) | {key: roles for key, roles in kept.items() if key is not None}
    for key, roles in index_keys.inherited_entries(target).items() if target else ():
        found[key] = found.get(key, 0) | roles
    return Old(stored, made, found)


def history() -> list[Old]:
    """Statements of each kind, some in the same microsecond; one refers to each, or voids it."""
    moment, ticks = datetime(2026, 1, 1, 12, tzinfo=UTC), itertools.count()
    sent = [statement(id=new_id(), **members) for members in BATCH]
    found = [old(each, moment + timedelta(microseconds=next(ticks) // 3)) for each in sent]
    for target in sent:
        reference = {"objectType": "StatementRef", "id": target["id"]}
        verb = index_keys.VOIDED if target is sent[0] else "http://example.com/verbs/saw"
        refers = statement(id=new_id(), actor=agent(4), verb={"id": verb}, object=reference)
        found.append(old(refers, moment + timedelta(microseconds=next(ticks) // 3), target))
    return found


async def write(connection: asyncpg.Connection, partner_id: int, held: Sequence[Old]) -> None:
    organizations = itertools.cycle([None, "north"])
    await connection.executemany(
        "insert into statement (stored, verb_key, authority_key, partner_id, statement_id, digest,"
        " organization, payload) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (
                *(each.stored, each.prepared.verb_key, each.prepared.authority_key, partner_id),
                *(each.prepared.statement_id, each.prepared.digest, next(organizations)),
                each.prepared.text,
            )
            for each in held
        ],
    )
    await connection.executemany(
        "insert into link (key, stored, partner_id, roles, statement_id)"
        " values ($1, $2, $3, $4, $5)",
        [
            (key, each.stored, partner_id, roles, each.prepared.statement_id)
            for each in held
            for key, roles in each.links.items()
        ],
    )
    await connection.executemany(
        "insert into reference (stored, partner_id, voids, settled, statement_id, target_id)"
        " values ($1, $2, $3, true, $4, $5)",
        [
            (
                *(each.stored, partner_id, each.prepared.voids),
                *(each.prepared.statement_id, each.prepared.target),
            )
            for each in held
            if each.prepared.target
        ],
    )


QUESTIONS: Sequence[Json] = [
    {},
    *({"agent": agent(number)} for number in range(1, 5)),
    *({"agent": agent(number), "related_agents": True} for number in range(1, 5)),
    {"agent": LEARNER},
    {"verb": VERB},
    {"verb": index_keys.VOIDED},
    {"activity": COURSE},
    {"activity": "http://example.com/parent"},
    {"activity": "http://example.com/parent", "related_activities": True},
    {"registration": REGISTRATION},
    {"agent": LEARNER, "activity": COURSE, "verb": "http://adlnet.gov/expapi/verbs/completed"},
]


def meets(each: Old, question: Json) -> bool:
    """By the keys it had."""
    conditions = []
    keys = {*each.links, each.prepared.verb_key}
    for kind, name, identity in (
        ("agent", "agent", question.get("agent") and index_keys.agent_identity(question["agent"])),
        ("activity", "activity", question.get("activity")),
        ("verb", "verb", question.get("verb")),
        ("registration", "registration", question.get("registration")),
    ):
        if name in question:
            related = question.get({"agent": "related_agents"}.get(kind, "related_activities"))
            wanted = {index_keys.entity_key(kind, str(identity))}
            wanted |= (
                {index_keys.entity_key(f"related {kind}", str(identity))} if related else set()
            )
            conditions.append(bool(keys & wanted))
    return all(conditions)


async def test_what_was_stored_before_is_found_as_before(older: str) -> None:
    """In the same order, by the same filters, whoever it belongs to; and more can be stored."""
    worlds = {1: history(), 2: history()}
    connection = await asyncpg.connect(older)
    for partner_id, held in worlds.items():
        await connection.execute(
            "insert into partner (partner_id, name, title, home_page) values ($1, $2, '', '')",
            partner_id,
            f"partner-{partner_id}",
        )
        await write(connection, partner_id, held)
    await migrations.migrate(older)
    async with open_database(older) as database:
        for partner_id, held in worlds.items():
            order = sorted(held, key=lambda each: (each.stored, each.prepared.statement_id))
            voided = {each.prepared.target for each in held if each.prepared.voids}
            for question in QUESTIONS:
                expected = [
                    each.prepared.statement_id
                    for each in order
                    if each.prepared.statement_id not in voided and meets(each, question)
                ]
                found = await listed(database, partner_id, asked(ascending=True, **question))
                assert found == expected, question
            one = await lookup.StatementLoader(database).load(partner_id, str(*voided))
            assert one is not None
            assert one.voided
            assert one.stored == held[0].stored
            fresh = prepared(statement(id=new_id(), actor=agent(4)))
            await insert.insert_new(database.writers, partner_id, [fresh])
            found = await listed(database, partner_id, asked(agent=agent(4)))
            assert found[0] == fresh.statement_id
    await connection.close()


async def test_older_links_become_columns_and_links(older: str) -> None:
    """A group with members stays a link: its links do not tell it from its members."""
    held = {each.prepared.statement_id: each for each in history()}
    connection = await asyncpg.connect(older)
    await write(connection, 1, list(held.values()))
    await migrations.migrate(older)
    rows = await connection.fetch(
        "select statement_id::text, actor_key # $1 as actor_key, object_key # $1 as object_key,"
        " array(select key # $1 from link where link.place = statement.place) as links"
        " from statement",
        key_salt(1),
    )
    await connection.close()
    assert {row["statement_id"] for row in rows} == held.keys()
    for row in rows:
        each = held[row["statement_id"]]
        columns = {row["actor_key"], row["object_key"]} - {None}
        assert columns | {*row["links"]} == each.links.keys()
        if each.prepared.target is None:
            made = each.prepared
            assert (row["actor_key"], row["object_key"]) == (made.actor_key, made.object_key)
            assert {*row["links"]} == dict(made.links).keys()


async def test_reports_go_on_where_they_were(older: str) -> None:
    held = history()
    order = sorted(held, key=lambda each: (each.stored, each.prepared.statement_id))
    connection = await asyncpg.connect(older)
    for partner_id, last in ((1, order[7]), (2, None)):
        await write(connection, partner_id, held)
        await connection.execute(
            "insert into projection (through, position, partner_id, statement_id)"
            " values ('epoch', $2, $1, $3)",
            partner_id,
            last.stored if last else EPOCH,
            last.prepared.statement_id if last else "00000000-0000-0000-0000-000000000000",
        )
    await migrations.migrate(older)
    horizon = datetime.now(UTC)
    for partner_id, rest in ((1, order[8:]), (2, order)):
        position = await connection.fetchval(
            "select position from projection where partner_id = $1", partner_id
        )
        page = await advance.read_page(connection, partner_id, position, horizon, 100)
        found = [str(each.statement_id) for each in page.statements]
        assert found == [each.prepared.statement_id for each in rest]
    await connection.close()


# What was stored while groups with members were actors of their own


def with_group(made: StatementRow, group: Json) -> StatementRow:
    """As it was kept then."""
    key = index_keys.agent_key(group)
    rest = tuple(each for each in made.links if each[0] != key)
    return msgspec.structs.replace(made, actor_key=key, links=rest)


async def test_groups_that_have_members_become_links(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = {**GROUP, "member": [agent(2), agent(3)]}
    history = [statement(id=new_id(), **members) for members in BATCH]
    history += [statement(id=new_id(), actor=team, verb={"id": VERB}) for _ in range(3)]
    held = [
        with_group(prepared(each), each["actor"]) if each["actor"] == team else prepared(each)
        for each in history
    ]
    async with schema_before(10, database_url, monkeypatch) as dsn:
        async with open_database(dsn) as database:
            for partner_id in (1, 2):
                await insert.insert_new(database.writers, partner_id, held)
        await migrations.migrate(dsn)
        async with open_database(dsn) as database:
            for partner_id in (1, 2):
                for number in (1, 2, 3):
                    question = asked(agent=agent(number), activity=COURSE, verb=VERB)
                    found = await listed(database, partner_id, question)
                    wanted = [
                        each["id"]
                        for each in history
                        if each["verb"]["id"] == VERB and (number == 1 or each["actor"] == team)
                    ]
                    assert sorted(found) == sorted(wanted), number
            rows = await database.readers.fetch(
                "select statement_id::text, actor_key # $1 as actor_key,"
                " array(select key # $1 from link where partner_id = 1 and place = statement.place)"
                " as links from statement where partner_id = 1",
                key_salt(1),
            )
        kept = {row["statement_id"]: (row["actor_key"], {*row["links"]}) for row in rows}
        for each in map(prepared, history):
            assert kept[each.statement_id] == (each.actor_key, dict(each.links).keys())
