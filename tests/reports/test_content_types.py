"""Types of activities whose definitions have no type with report tables."""

from __future__ import annotations

from typing import get_args

import asyncpg
import orjson
import pytest

from lrs.api.services import Services
from lrs.projection import vocabulary
from lrs.store import partner_settings, registry
from tests.support.files import FIXTURES
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.projection import rebuild, rows, tables
from tests.support.statements import statement

Json = dict[str, object]

UNTYPED = "http://example.com/labs/1"
UNKNOWN = "http://activitystrea.ms/schema/1.0/event"
VIDEO = "https://w3id.org/xapi/video/activity-type/video"


async def change_settings(services: Services, partner: Partner, **changes: object) -> None:
    changed = partner_settings.change(partner_settings.DEFAULTS, changes)
    await registry.set_partner_settings(services.database, partner.name, changed)


async def send_activity(services: Services, partner: Partner, type_: str | None = None) -> None:
    definition = {"definition": {"type": type_}} if type_ else {}
    assert (await partner.send(statement(object={"id": UNTYPED, **definition}))).status_code == 200
    await project_all(services, partner.partner_id)


async def types(connection: asyncpg.Connection, partner: Partner) -> tuple[str, str]:
    (row,) = await rows(connection, partner, "content_item")
    return row["type"], row["defined_type"]


@pytest.mark.parametrize(
    ("defined", "expected"),
    [(None, None), (UNKNOWN, UNKNOWN), (VIDEO, "video")],
    ids=["untyped", "unknown", "without tables"],
)
async def test_activity_without_a_reported_type_is_a_course_by_default(
    partner: Partner,
    services: Services,
    connection: asyncpg.Connection,
    defined: str | None,
    expected: str | None,
) -> None:
    await send_activity(services, partner, defined)
    assert await types(connection, partner) == ("course", expected)


def test_default_types_are_those_with_report_tables() -> None:
    assert set(get_args(partner_settings.ContentType)) - {"none"} == vocabulary.REPORTED_TYPES


async def test_sample_statement_of_percipio_is_in_the_course_tables(
    partner: Partner, services: Services
) -> None:
    sample = orjson.loads((FIXTURES / "seeds" / "percipio-statement.json").read_bytes())
    assert (await partner.send(sample)).status_code == 200
    await project_all(services, partner.partner_id)
    for table, count in (("course_fact", 1), ("course_dim", 2)):
        response = await partner.http.get(
            partner.url(f"reports/{table}.csv"), headers=partner.headers
        )
        assert len(response.text.splitlines()) == 1 + count


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"default_content_type": "practice"}, ("practice", "video")),
        ({"default_content_type": "none"}, ("video", "video")),
        (
            {
                "content_types_by_prefix": '{"http://example.com/": "practice",'
                ' "http://example.com/labs/": "project", "http://example.org/": "chapter"}'
            },
            ("project", "video"),
        ),
        (
            {"content_types_by_prefix": {"http://example.com/labs/": "none"}},
            ("video", "video"),
        ),
    ],
    ids=["default", "none", "longest prefix", "none by prefix"],
)
async def test_partner_setting_selects_the_type(
    partner: Partner,
    services: Services,
    connection: asyncpg.Connection,
    changes: Json,
    expected: tuple[str, str],
) -> None:
    await change_settings(services, partner, **changes)
    await send_activity(services, partner, VIDEO)
    assert await types(connection, partner) == expected


async def test_reported_type_takes_precedence_over_the_prefix(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await change_settings(services, partner, content_types_by_prefix={UNTYPED: "project"})
    await send_activity(services, partner, "http://datacamp.com/practice")
    assert await types(connection, partner) == ("practice", "practice")


async def test_prefix_of_tracks_makes_tracks_of_context_activities(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    paths = "http://example.com/paths/"
    await change_settings(services, partner, content_types_by_prefix={paths: "track"})
    grouped = {"contextActivities": {"grouping": [{"id": f"{paths}1"}]}}
    await partner.send(statement(object={"id": UNTYPED}, context=grouped))
    await project_all(services, partner.partner_id)
    contents = {
        row["activity_id"]: row["content_id"]
        for row in await rows(connection, partner, "content_item")
    }
    (row,) = await rows(connection, partner, "track_content")
    assert (row["track_id"], row["content_id"]) == (contents[f"{paths}1"], contents[UNTYPED])


async def test_changed_setting_applies_with_a_rebuild(
    partner: Partner, services: Services, connection: asyncpg.Connection
) -> None:
    await send_activity(services, partner)
    await change_settings(services, partner, default_content_type="project")
    await rebuild(services, partner)
    assert await types(connection, partner) == ("project", None)
    followed = await tables(connection, partner)
    await rebuild(services, partner)
    assert await tables(connection, partner) == followed


async def test_records_are_filtered_by_both_types(partner: Partner, services: Services) -> None:
    await send_activity(services, partner, VIDEO)
    url = partner.url("contents/" + UNTYPED.replace("/", "%2F") + "/records")
    for type_, count in (("course", 1), ("video", 1), ("chapter", 0)):
        response = await partner.http.get(url, params={"type": type_}, headers=partner.headers)
        assert len(response.json()["records"]) == count, type_
