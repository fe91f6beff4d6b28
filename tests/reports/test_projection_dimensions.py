"""Projection: people, content items and tracks."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import orjson
import pytest

from lrs.api.services import Services
from tests.support.learning_history import COURSES, digest, mailbox, project_all
from tests.support.partners import Partner
from tests.support.projection import rebuild, rows, tables, voiding
from tests.support.statements import new_id, statement

# People


async def test_mbox_and_its_sha1sum_are_one_person(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    for actor in (digest("ada"), mailbox("ada"), mailbox("ben"), digest("ben")):
        await partner.send(statement(actor=actor, timestamp=datetime.now(UTC).isoformat()))
        await project_all(services, partner.partner_id)
    actual = await rows(connection, partner, "person")
    assert [row["email"] for row in actual] == ["ada@example.com", "ben@example.com"]
    assert len(await rows(connection, partner, "identifier")) == 4


async def test_groups_and_objects_without_activity_make_no_event(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    group = {"objectType": "Group", "member": [mailbox("ada")]}
    await partner.send(
        [statement(actor=group), statement(object={**mailbox("ben"), "objectType": "Agent"})]
    )
    assert await project_all(services, partner.partner_id) == 2
    assert await rows(connection, partner, "learning_event") == []
    assert await rows(connection, partner, "person") == []


# Content items


async def test_content_items_are_described_by_their_definitions(
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
    await project_all(services, partner.partner_id)
    actual = {row["activity_id"]: row for row in await rows(connection, partner, "content_item")}
    assert actual[chapter["id"]]["type"] == "chapter"
    assert actual[chapter["id"]]["title"] == "Hello Python!"
    assert actual[chapter["id"]]["parent_key"] == actual[COURSES[0]]["content_key"]
    assert (actual[COURSES[0]]["type"], actual[COURSES[0]]["title"]) == ("course", "1")
    course = {
        "id": COURSES[0],
        "definition": {
            "name": {"en-US": "Introduction to Python"},
            "extensions": {"http://datacamp.com/topics": ["Programming", "Python"]},
        },
    }
    await partner.send(statement(object=course))
    await project_all(services, partner.partner_id)
    actual = {row["activity_id"]: row for row in await rows(connection, partner, "content_item")}
    sent = actual[COURSES[0]]
    assert (sent["type"], sent["title"]) == ("course", "Introduction to Python")
    assert (sent["technology"], sent["topic"]) == ("Python", "Programming")


async def test_definition_in_any_position_describes_the_content_item(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """Also in a statement without an event of the content item."""
    await partner.send(statement(object={"id": COURSES[0]}))
    await project_all(services, partner.partner_id)
    defined = {"id": COURSES[0], "definition": {"name": {"en": "Python"}}}
    await partner.send(
        statement(
            actor={"objectType": "Group", "member": [mailbox("ada")]},
            context={"contextActivities": {"category": [defined]}},
        )
    )
    await project_all(services, partner.partner_id)
    (row,) = await rows(connection, partner, "content_item")
    assert row["title"] == "Python"


async def test_track_includes_content_from_before_its_type_was_defined(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    track = "http://example.com/tracks/1"
    within = {"contextActivities": {"grouping": [{"id": track}]}}
    await partner.send(statement(object={"id": COURSES[0]}, context=within))
    await project_all(services, partner.partner_id)
    assert [
        row["activity_id"] for row in await rows(connection, partner, "content_item")
    ] == COURSES[:1]
    defined = {"id": track, "definition": {"type": "http://datacamp.com/track"}}
    await partner.send(statement(object=defined))
    await project_all(services, partner.partner_id)
    await partner.send(statement(object={"id": COURSES[1]}, context=within))
    await project_all(services, partner.partner_id)
    contents = {row["content_id"]: row for row in await rows(connection, partner, "content_item")}
    actual = await rows(connection, partner, "track_content")
    assert {contents[row["track_id"]]["activity_id"] for row in actual} == {track}
    assert [contents[row["content_id"]]["activity_id"] for row in actual] == COURSES


async def test_type_in_the_statement_applies_while_the_definition_has_none(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """An unknown type counts as none and replaces the type defined before."""
    sent = {
        "http://datacamp.com/parentId": COURSES[0],
        "http://datacamp.com/parentContentType": "http://datacamp.com/course",
    }
    chapter = {"id": "http://datacamp.com/course-chapter/412", "definition": {"extensions": sent}}
    types = []
    for target in (
        chapter,
        {"id": COURSES[0], "definition": {"type": "http://datacamp.com/project"}},
        {"id": COURSES[0], "definition": {"type": "http://example.com/types/unknown"}},
    ):
        await partner.send(statement(object=target))
        await project_all(services, partner.partner_id)
        actual = {
            row["activity_id"]: row for row in await rows(connection, partner, "content_item")
        }
        types.append(actual[COURSES[0]]["type"])
    assert types == ["course", "project", "course"]
    followed = await tables(connection, partner)
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed


@pytest.mark.parametrize("existing", [True, False], ids=["a known track", "a track known later"])
@pytest.mark.parametrize("late", [True, False], ids=["voided later", "voided at once"])
async def test_track_includes_content_of_voided_statements(
    partner: Partner, services: Services, connection: asyncpg.Connection, existing: bool, late: bool
) -> None:
    """Like parents and types, so that the time of voiding does not matter."""
    track = {"id": "http://example.com/tracks/1"}
    defined = {**track, "definition": {"type": "http://datacamp.com/track"}}
    within = statement(
        id=new_id(), object={"id": COURSES[0]}, context={"contextActivities": {"parent": [track]}}
    )
    sent = [within, voiding(within)]
    for item in (
        (statement(object=defined), *sent) if existing else (*sent, statement(object=defined))
    ):
        await partner.send(item)
        if late:
            await project_all(services, partner.partner_id)
    await project_all(services, partner.partner_id)
    contents = {row["content_id"]: row for row in await rows(connection, partner, "content_item")}
    actual = await rows(connection, partner, "track_content")
    assert [contents[row["content_id"]]["activity_id"] for row in actual] == COURSES[:1]


async def test_track_with_out_of_range_numbers_is_projected(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    """PostgreSQL has no number as small as this one."""
    track = "http://example.com/tracks/1"
    sent = statement(
        context={"contextActivities": {"grouping": [{"id": track}]}},
        result={"extensions": {"http://example.com/x": 1.5}},
    )
    text = orjson.dumps(sent).replace(b"1.5", b"1e-20000")
    assert (await partner.send(text)).status_code == 200
    await project_all(services, partner.partner_id)
    await partner.send(
        statement(object={"id": track, "definition": {"type": "http://datacamp.com/track"}})
    )
    await project_all(services, partner.partner_id)
    assert len(await rows(connection, partner, "track_content")) == 1
