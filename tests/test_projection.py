"""Facts and records are what the statements say, however and whenever they come."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
import reporting_oracle as oracle
from canvas_support import body, new_tool
from click.testing import CliRunner, Result
from conftest import SECRET_KEY
from reporting_support import (
    COURSES,
    VOIDED,
    Author,
    Told,
    digest,
    follow,
    happened,
    mailbox,
)
from support import Partner, new_id, statement

from lrs.api.services import Services
from lrs.cli import main
from lrs.projection import advance, lag, learners
from lrs.projection.rebuild import rebuild_partner
from lrs.projection.vocabulary import vocabulary
from lrs.xapi import index_keys

Json = dict[str, Any]

TABLES = {
    "learner_record": "person_id, content_id, organization",
    "learner_day": "person_id, content_id, day",
    "learning_event": "statement_id",
    "person": "person_id",
    "identifier": "agent_key",
    "content": "content_id",
    "learner_group": "group_id",
    "track_content": "track_id, content_id",
}


@pytest.fixture
async def connection(services: Services) -> AsyncIterator[asyncpg.Connection]:
    async with services.database.readers.acquire() as acquired:
        yield acquired


async def rows(connection: Any, partner: Partner, table: str) -> list[Json]:
    found = await connection.fetch(
        f"select * from {table} where partner_id = $1 order by {TABLES[table]}", partner.partner_id
    )
    return [dict(row) for row in found]


async def tables(connection: Any, partner: Partner) -> dict[str, list[Json]]:
    return {table: await rows(connection, partner, table) for table in TABLES}


async def written(connection: Any, partner: Partner, table: str) -> list[tuple[Any, ...]]:
    """Which transaction wrote each row, and where it lies."""
    found = await connection.fetch(
        f"select xmin::text, xmax::text, ctid::text from {table} where partner_id = $1"
        f" order by {TABLES[table]}",
        partner.partner_id,
    )
    return [tuple(row) for row in found]


async def send(partner: Partner, told: Iterable[Told]) -> None:
    """In as few requests as keep the order."""
    for (resource, organization), some in itertools.groupby(
        told, lambda each: (each.resource, each.organization)
    ):
        bodies = [each.body for each in some]
        answer = await partner.send(bodies, resource=resource, organization=organization or None)
        results = answer.json()
        if answer.status_code not in (200, 409):
            assert {each["status"] for each in results["results"]} <= {200, 409}, answer.text


async def rebuild(services: Services, partner: Partner) -> None:
    await rebuild_partner(services.database, partner.partner_id, vocabulary())


# Histories


async def enlist(
    services: Services, partner: Partner, memberships: list[oracle.Membership]
) -> None:
    """Lets learners belong to groups, as an import does."""
    async with services.database.writers.acquire() as connection:
        agents = {
            index_keys.agent_key(agent): index_keys.agent_identity(agent)
            for agent in map(mailbox, {each.learner for each in memberships})
        }
        await learners.introduce(connection, partner.partner_id, agents)
        await connection.executemany(
            "insert into learner_group (partner_id, name) values ($1, $2) on conflict do nothing",
            [(partner.partner_id, each.organization) for each in memberships],
        )
        await connection.executemany(
            """
            insert into group_membership (partner_id, person_id, group_id, from_day, to_day)
            select $1, person_id, group_id, $4, $5 from identifier, learner_group
            where identifier.partner_id = $1 and identity = $2
                and learner_group.partner_id = $1 and learner_group.name = $3
            """,
            [
                (
                    partner.partner_id,
                    index_keys.agent_identity(mailbox(each.learner)),
                    each.organization,
                    each.from_day,
                    each.to_day,
                )
                for each in memberships
            ],
        )


async def named(connection: Any, partner: Partner) -> tuple[dict[int, str], dict[int, str]]:
    """What people and contents are called in a history."""
    identities = {
        row["identity"]: row["person_id"] for row in await rows(connection, partner, "identifier")
    }
    called = {}
    for identity, person in identities.items():
        if identity.startswith("mbox mailto:"):
            called[person] = identity.removeprefix("mbox mailto:").partition("@")[0]
        elif identity.startswith("account "):
            called[person] = identity.rpartition(" ")[2]
    contents = await rows(connection, partner, "content")
    return called, {row["content_id"]: row["activity_id"] for row in contents}


async def facts(
    connection: Any, partner: Partner, table: str, *keys: str
) -> dict[tuple[Any, ...], Json]:
    learners, contents = await named(connection, partner)
    found = {}
    for row in await rows(connection, partner, table):
        key = (
            learners[row.pop("person_id")],
            contents[row.pop("content_id")],
            *(row.pop(each) for each in keys),
        )
        for column in ("partner_id", "date_id"):
            row.pop(column, None)
        found[key] = row
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_any_history_in_any_chunks_is_told_as_it_happened(
    partner: Partner, services: Services, connection: asyncpg.Connection, seed: int
) -> None:
    """Late, out of order, repeated, voided before or after; by three sources, in organizations."""
    author = Author(seed, partner.home_page)
    memberships, history = author.memberships(), author.history(120)
    await enlist(services, partner, memberships)
    while history:
        size = author.random.randrange(1, 40)
        await send(partner, history[:size])
        del history[:size]
        if author.random.random() < 0.7:
            await follow(services, partner.partner_id, author.random.randrange(1, 30))
    await follow(services, partner.partner_id)
    followed = await tables(connection, partner)
    author = Author(seed, partner.home_page)
    memberships, expected = author.memberships(), happened(author.history(120))
    assert len(followed["learning_event"]) == len(expected)
    assert await facts(connection, partner, "learner_record", "organization") == oracle.records(
        expected
    )
    assert await facts(connection, partner, "learner_day", "day") == oracle.days(
        expected, memberships
    )
    names = ("learning_event", "learner_record", "learner_day")
    before = [await written(connection, partner, name) for name in names]
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed
    assert [await written(connection, partner, name) for name in names] == before


# Statements that void others


async def one_record(connection: Any, partner: Partner) -> Json | None:
    found = await rows(connection, partner, "learner_record")
    assert len(found) <= 1
    return found[0] if found else None


def voiding(target: Json) -> Json:
    reference = {"objectType": "StatementRef", "id": target["id"]}
    return statement(id=new_id(), verb={"id": VOIDED}, object=reference)


async def test_a_voided_statement_leaves_nothing(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    completed = statement(id=new_id())
    await partner.send(completed)
    await follow(services, partner.partner_id)
    assert (await one_record(connection, partner))["status"] == "completed"
    await partner.send(voiding(completed))
    await follow(services, partner.partner_id)
    assert await one_record(connection, partner) is None
    assert await rows(connection, partner, "learner_day") == []


async def test_what_is_voided_before_it_comes_never_counts(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    completed = statement(id=new_id())
    for each in (voiding(completed), completed):
        await partner.send(each)
        await follow(services, partner.partner_id)
    assert await one_record(connection, partner) is None


# What can be stored can be followed


async def test_extremes_hold_nothing_up(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    long = "http://example.com/" + 3000 * "x"
    told = [
        statement(timestamp="0001-01-02T00:00:00Z", result={"duration": f"PT{10**12}S"}),
        statement(timestamp="9999-12-30T00:00:00Z", result={"duration": "PT1.0000000000000001S"}),
        statement(timestamp="0001-01-01T00:00:00Z"),
        statement(timestamp="9999-12-31T23:59:59.999999Z"),
        statement(object={"id": long}, context={"contextActivities": {"parent": [{"id": long}]}}),
        statement(actor={"account": {"homePage": long, "name": 3000 * "x"}}),
        statement(result={"score": {"raw": 1.7e308}}),
        statement(result={"extensions": {"http://datacamp.com/xp": 10**12}}),
        statement(result={"extensions": {"http://datacamp.com/xp": -1e-300}}),
    ]
    assert (await partner.send(told)).status_code == 200
    assert await follow(services, partner.partner_id) == len(told)
    assert len(await rows(connection, partner, "learning_event")) == len(told)
    days = [row["day"].isoformat() for row in await rows(connection, partner, "learner_day")]
    assert len(days) == 7
    assert {"0001-01-01", "9999-12-31"} < set(days)


async def test_a_callback_tells_the_time_of_its_course(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    tool = await new_tool(services, partner)
    for duration in ("PT3M", "PT20M"):
        assert (await tool.send(body(duration))).status_code == 200
    await follow(services, partner.partner_id)
    (content,) = await rows(connection, partner, "content")
    assert content["type"] == "course"
    assert content["activity_id"] == f"{partner.home_page}/courses/{tool.course}"
    found = await one_record(connection, partner)
    assert found is not None
    assert (found["milliseconds"], found["source"]) == (23 * 60_000, "canvas")
    assert (found["status"], found["attempts"]) == ("in_progress", 1)


# People


async def test_an_address_and_its_digest_are_one_person(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    for actor in (digest("ada"), mailbox("ada"), mailbox("ben"), digest("ben")):
        await partner.send(statement(actor=actor, timestamp=datetime.now(UTC).isoformat()))
        await follow(services, partner.partner_id)
    found = await rows(connection, partner, "person")
    assert [row["email"] for row in found] == ["ada@example.com", "ben@example.com"]
    assert len(await rows(connection, partner, "identifier")) == 4


async def test_groups_and_what_is_no_activity_make_no_event(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    group = {"objectType": "Group", "member": [mailbox("ada")]}
    await partner.send(
        [statement(actor=group), statement(object={**mailbox("ben"), "objectType": "Agent"})]
    )
    assert await follow(services, partner.partner_id) == 2
    assert await rows(connection, partner, "learning_event") == []
    assert await rows(connection, partner, "person") == []


# Contents


async def test_contents_are_described_by_their_definitions(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    chapter = {
        "id": "http://datacamp.com/course-chapter/412",
        "definition": {
            "name": {"de": "Hallo Python!", "en-US": "Hello Python!"},
            "type": "http://datacamp.com/course-chapter",
            "extensions": {
                "http://datacamp.com/parentId": COURSES[0],
                "http://datacamp.com/parentContentType": "http://datacamp.com/course",
            },
        },
    }
    await partner.send(statement(object=chapter))
    await follow(services, partner.partner_id)
    found = {row["activity_id"]: row for row in await rows(connection, partner, "content")}
    assert found[chapter["id"]]["type"] == "chapter"
    assert found[chapter["id"]]["title"] == "Hello Python!"
    assert found[chapter["id"]]["parent_key"] == found[COURSES[0]]["content_key"]
    assert (found[COURSES[0]]["type"], found[COURSES[0]]["title"]) == ("course", None)
    course = {
        "id": COURSES[0],
        "definition": {
            "name": {"en-US": "Introduction to Python"},
            "extensions": {"http://datacamp.com/topics": ["Programming", "Python"]},
        },
    }
    await partner.send(statement(object=course))
    await follow(services, partner.partner_id)
    found = {row["activity_id"]: row for row in await rows(connection, partner, "content")}
    told = found[COURSES[0]]
    assert (told["type"], told["title"]) == ("course", "Introduction to Python")
    assert (told["technology"], told["topic"]) == ("Python", "Programming")


async def test_a_definition_counts_wherever_it_stands(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """Also in a statement that says nothing of the content otherwise."""
    await partner.send(statement(object={"id": COURSES[0]}))
    await follow(services, partner.partner_id)
    defined = {"id": COURSES[0], "definition": {"name": {"en": "Python"}}}
    await partner.send(
        statement(
            actor={"objectType": "Group", "member": [mailbox("ada")]},
            context={"contextActivities": {"category": [defined]}},
        )
    )
    await follow(services, partner.partner_id)
    (row,) = await rows(connection, partner, "content")
    assert row["title"] == "Python"


async def test_a_track_holds_what_was_worked_on_within_it_before_it_was_known_as_one(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    track = "http://example.com/tracks/1"
    within = {"contextActivities": {"grouping": [{"id": track}]}}
    await partner.send(statement(object={"id": COURSES[0]}, context=within))
    await follow(services, partner.partner_id)
    assert [row["activity_id"] for row in await rows(connection, partner, "content")] == COURSES[:1]
    defined = {"id": track, "definition": {"type": "http://datacamp.com/track"}}
    await partner.send(statement(object=defined))
    await follow(services, partner.partner_id)
    await partner.send(statement(object={"id": COURSES[1]}, context=within))
    await follow(services, partner.partner_id)
    contents = {row["content_id"]: row for row in await rows(connection, partner, "content")}
    found = await rows(connection, partner, "track_content")
    assert {contents[row["track_id"]]["activity_id"] for row in found} == {track}
    assert [contents[row["content_id"]]["activity_id"] for row in found] == COURSES


async def test_what_is_told_of_a_type_counts_while_the_definition_says_none(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """A type that nobody knows is none: what the definition said before it is forgotten."""
    told = {
        "http://datacamp.com/parentId": COURSES[0],
        "http://datacamp.com/parentContentType": "http://datacamp.com/course",
    }
    chapter = {"id": "http://datacamp.com/course-chapter/412", "definition": {"extensions": told}}
    types = []
    for target in (
        chapter,
        {"id": COURSES[0], "definition": {"type": "http://datacamp.com/project"}},
        {"id": COURSES[0], "definition": {"type": "http://example.com/types/unknown"}},
    ):
        await partner.send(statement(object=target))
        await follow(services, partner.partner_id)
        found = {row["activity_id"]: row for row in await rows(connection, partner, "content")}
        types.append(found[COURSES[0]]["type"])
    assert types == ["course", "project", "course"]
    followed = await tables(connection, partner)
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed


@pytest.mark.parametrize("known", [True, False], ids=["a known track", "a track known later"])
@pytest.mark.parametrize("late", [True, False], ids=["voided later", "voided at once"])
async def test_a_track_holds_also_what_a_voided_statement_told_of_it(
    partner: Partner, services: Services, connection: asyncpg.Connection, known: bool, late: bool
) -> None:
    """As of parents and types, so that it does not depend on when it was voided."""
    track = {"id": "http://example.com/tracks/1"}
    defined = {**track, "definition": {"type": "http://datacamp.com/track"}}
    within = statement(
        id=new_id(), object={"id": COURSES[0]}, context={"contextActivities": {"parent": [track]}}
    )
    told = [within, voiding(within)]
    for each in (statement(object=defined), *told) if known else (*told, statement(object=defined)):
        await partner.send(each)
        if late:
            await follow(services, partner.partner_id)
    await follow(services, partner.partner_id)
    contents = {row["content_id"]: row for row in await rows(connection, partner, "content")}
    found = await rows(connection, partner, "track_content")
    assert [contents[row["content_id"]]["activity_id"] for row in found] == COURSES[:1]


async def test_a_track_is_found_whatever_numbers_were_told_within_it(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """PostgreSQL has no number as small as this one."""
    track = "http://example.com/tracks/1"
    told = statement(
        context={"contextActivities": {"grouping": [{"id": track}]}},
        result={"extensions": {"http://example.com/x": 1.5}},
    )
    text = orjson.dumps(told).replace(b"1.5", b"1e-20000")
    assert (await partner.send(text)).status_code == 200
    await follow(services, partner.partner_id)
    await partner.send(
        statement(object={"id": track, "definition": {"type": "http://datacamp.com/track"}})
    )
    await follow(services, partner.partner_id)
    assert len(await rows(connection, partner, "track_content")) == 1


# Exactly once


def lesson(number: int) -> Json:
    return statement(
        id=new_id(),
        actor=mailbox(f"learner{number}"),
        object={"id": COURSES[number % 2]},
        result={"duration": "PT1M"},
    )


async def test_several_followers_count_each_statement_once(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(number % 5) for number in range(60)])
    horizon = await services.watermark_reader.read_watermark()

    async def follow_some() -> int:
        followed = 0
        async with services.database.readers.acquire() as own:
            for _ in range(30):
                followed += await advance.advance(
                    own, partner.partner_id, vocabulary(), horizon, limit=5
                )
        return followed

    followed = await asyncio.gather(*(follow_some() for _ in range(3)))
    assert sum(followed) + await follow(services, partner.partner_id) == 60
    found = await rows(connection, partner, "learner_record")
    assert sum(row["milliseconds"] for row in found) == 60 * 60_000


async def test_a_chunk_is_what_fits_into_memory(
    partner: Partner, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [statement(result={"response": "x" * 1000}) for _ in range(5)]
    assert (await partner.send(told)).status_code == 200
    horizon = await services.watermark_reader.read_watermark()
    monkeypatch.setattr(advance, "MOST_BYTES", 2000)
    position, throughs, counts = advance.BEGINNING, [], []
    async with services.database.readers.acquire() as connection:
        for _ in range(4):
            page = await advance.read(connection, partner.partner_id, position, horizon, 100)
            position = page.last
            counts.append(len(page.statements))
            throughs.append(page.through)
    assert counts == [2, 2, 1, 0]
    assert throughs == sorted(throughs)
    assert throughs[1] < horizon == throughs[2]


async def test_whoever_holds_the_lock_is_not_waited_for(
    partner: Partner, services: Services
) -> None:
    await follow(services, partner.partner_id)
    await partner.send(lesson(1))
    horizon = await services.watermark_reader.read_watermark()
    async with (
        services.database.readers.acquire() as holder,
        services.database.readers.acquire() as other,
        holder.transaction(),
    ):
        await advance.lock(holder, partner.partner_id)
        assert await advance.advance(other, partner.partner_id, vocabulary(), horizon) == 0
    assert await follow(services, partner.partner_id) == 1


async def test_a_failure_undoes_the_chunk_and_its_position(
    partner: Partner,
    services: Services,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await partner.send([lesson(number) for number in range(4)])

    async def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(advance, "move", fail)
        with pytest.raises(ConnectionError):
            await follow(services, partner.partner_id)
    assert all(found == [] for found in (await tables(connection, partner)).values())
    assert await follow(services, partner.partner_id) == 4
    assert len(await rows(connection, partner, "learning_event")) == 4


async def test_what_does_not_change_is_not_written(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(1), lesson(2)])
    await follow(services, partner.partner_id)
    names = ("learner_record", "learner_day", "content", "person", "learner_group")
    before = {name: await written(connection, partner, name) for name in names}
    await partner.send({**lesson(1), "timestamp": "2020-01-01T00:00:00Z"})
    await follow(services, partner.partner_id)
    for name in names:
        now = await written(connection, partner, name)
        kept = [row for row in before[name] if row in now]
        changed = {"learner_record": 1, "learner_day": 1}.get(name, 0)
        assert len(kept) == len(before[name]) - changed, name


async def test_round_trips_do_not_depend_on_the_chunk(partner: Partner, services: Services) -> None:
    noted: list[str] = []
    took = []
    async with services.database.readers.acquire() as connection:
        for first, last in ((0, 3), (3, 6), (6, 40), (40, 140)):
            await partner.send([lesson(number) for number in range(first, last)])
            horizon = await services.watermark_reader.read_watermark()
            noted.clear()
            with connection.query_logger(lambda record: noted.append(record.query)):
                await advance.advance(connection, partner.partner_id, vocabulary(), horizon)
            took.append(len(noted))
    _, *took = took  # the first time, the driver asks about types
    assert len(set(took)) == 1
    assert took[0] <= 20


async def test_changed_days_are_noted_one_after_the_other(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    for number in (1, 2, 1):
        told = {**lesson(number), "timestamp": f"2026-05-0{number}T10:00:00Z"}
        before = await changed_days(connection, partner)
        await partner.send(told)
        await follow(services, partner.partner_id)
        after = await changed_days(connection, partner)
        (changed,) = {each for each in after if after[each] != before.get(each)}
        assert changed.day == number
        assert all(after[changed] > earlier for earlier in before.values())


async def changed_days(connection: Any, partner: Partner) -> dict[Any, datetime]:
    found = await connection.fetch(
        "select day, changed_at from changed_day where partner_id = $1", partner.partner_id
    )
    return {row["day"]: row["changed_at"] for row in found}


async def test_a_content_that_turns_out_to_be_of_another_type_has_changed(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """Its facts now stand in another table."""
    await partner.send({**lesson(0), "timestamp": "2026-05-01T10:00:00Z"})
    await follow(services, partner.partner_id)
    (before,) = (await changed_days(connection, partner)).values()
    defined = {"id": COURSES[0], "definition": {"type": "http://datacamp.com/course"}}
    group = {"objectType": "Group", "member": [mailbox("ada")]}
    await partner.send(statement(actor=group, object=defined))
    await follow(services, partner.partner_id)
    (after,) = (await changed_days(connection, partner)).values()
    assert after > before
    await rebuild(services, partner)
    assert list((await changed_days(connection, partner)).values()) == [after]


# Made anew


class Stopped(Exception):
    pass


@pytest.mark.parametrize("when", ["statements", "learners"])
async def test_a_rebuild_that_ends_early_leaves_everything_as_it_was(
    partner: Partner, services: Services, connection: asyncpg.Connection, when: str
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    await follow(services, partner.partner_id)
    before = await tables(connection, partner)

    def stop(what: str, done: int, total: int) -> None:
        if what == when:
            raise Stopped

    with pytest.raises(Stopped):
        await rebuild_partner(services.database, partner.partner_id, vocabulary(), stop)
    assert await tables(connection, partner) == before
    await partner.send(lesson(5))
    assert await follow(services, partner.partner_id) == 1


async def test_a_rebuild_begins_where_nothing_was_followed(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    await rebuild(services, partner)
    assert len(await rows(connection, partner, "learner_record")) == 4
    assert await follow(services, partner.partner_id) == 0


async def test_a_rebuild_mends_whatever_is_wrong(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    await follow(services, partner.partner_id)
    right = await tables(connection, partner)
    for damage in (
        "delete from learning_event where partner_id = $1 and content_id % 2 = 0",
        "update learning_event set score = 3 where partner_id = $1",
        "insert into learning_event (at, agent_key, partner_id, person_id, content_id,"
        " statement_id, total, kind, source, organization) select at, agent_key, partner_id,"
        " person_id, content_id, gen_random_uuid(), total, kind, source, organization"
        " from learning_event where partner_id = $1",
        "delete from learner_record where partner_id = $1",
        "update learner_day set day = day + 1 where partner_id = $1",
    ):
        await connection.execute(damage, partner.partner_id)
        assert await tables(connection, partner) != right
        await rebuild(services, partner)
        assert await tables(connection, partner) == right


async def test_a_rebuild_takes_another_vocabulary(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    verb = {"id": "http://example.com/verbs/finished"}
    await partner.send(statement(verb=verb))
    await follow(services, partner.partner_id)
    assert (await one_record(connection, partner))["status"] == "in_progress"
    own = vocabulary(b'{"verbs": {"http://example.com/verbs/finished": "completed"}}')
    await rebuild_partner(services.database, partner.partner_id, own)
    assert (await one_record(connection, partner))["status"] == "completed"


# How far it is


async def test_it_says_how_far_it_is(partner: Partner, services: Services) -> None:
    stored = datetime.now(UTC)
    await partner.send(lesson(1))
    horizon = await services.watermark_reader.read_watermark()
    behind = await lag.reached(services.database, partner.partner_id, horizon)
    assert behind.lag_seconds > 0
    (each,) = await partner.all()
    assert behind.through < datetime.fromisoformat(each["stored"])
    await follow(services, partner.partner_id)
    there = await lag.reached(services.database, partner.partner_id, horizon)
    assert there.lag_seconds == 0
    assert there.through == horizon > stored


# Commands


async def command(*arguments: str, database_url: str, **environment: str) -> Result:
    variables = {"LRS_DATABASE_URL": database_url, "LRS_SECRET_KEY": SECRET_KEY, **environment}
    return await asyncio.to_thread(CliRunner().invoke, main.main, arguments, env=variables)


async def test_an_operator_rebuilds_and_asks_how_far_it_is(
    partner: Partner, connection: asyncpg.Connection, database_url: str
) -> None:
    await partner.send([lesson(number) for number in range(4)])
    asked = await command("reports", "status", partner.name, database_url=database_url)
    assert re.fullmatch(rf"{partner.name}\tnever\t[0-9.]+ seconds behind\n", asked.output)
    done = await command("reports", "rebuild", partner.name, database_url=database_url)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"{partner.name}: statements", f"{partner.name}: learners"]
    asked = await command("reports", "status", partner.name, database_url=database_url)
    assert asked.output.endswith("\tup to date\n")
    assert len(await rows(connection, partner, "learner_record")) == 4


@pytest.mark.parametrize("name", ["rebuild", "status"])
async def test_a_partner_that_is_not_there_is_named(database_url: str, name: str) -> None:
    refused = await command("reports", name, "nobody", database_url=database_url)
    assert refused.exit_code == 1
    assert refused.output == "lrs: There is no partner 'nobody'.\n"


async def test_a_vocabulary_that_cannot_be_used_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"verbs": {"http://example.com/x": "finished"}}')
    for path in (own, tmp_path / "none.json"):
        refused = await command(
            "reports", "rebuild", database_url=database_url, LRS_VOCABULARY=str(path)
        )
        assert refused.exit_code == 1
        assert refused.output.startswith("lrs: LRS_VOCABULARY: ")
        assert str(path) in refused.output
