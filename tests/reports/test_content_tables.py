"""Report tables of all content items and learners: nothing that was accepted is invisible."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.projection import vocabulary
from lrs.store import partner_settings, registry
from tests.support.canvas import body, new_tool
from tests.support.files import SEEDS
from tests.support.learning_history import mailbox, project_all
from tests.support.partners import Partner
from tests.support.projection import rebuild, tables, voiding
from tests.support.report_downloads import get
from tests.support.statements import new_id, statement

Json = dict[str, Any]

VIDEO = {
    "id": "https://example.com/videos/intro%20to%20SQL",
    "definition": {"type": "https://w3id.org/xapi/video/activity-type/video"},
}
GROUP = {"objectType": "Group", "mbox": "mailto:team@example.com"}
SCORED = {"score": {"raw": 80}, "duration": "PT30M", "completion": True}


async def change_settings(services: Services, partner: Partner, **changes: object) -> None:
    changed = partner_settings.change(partner_settings.DEFAULTS, changes)
    await registry.set_partner_settings(services.database, partner.name, changed)


async def table(partner: Partner, name: str) -> list[Json]:
    return (await get(partner, name)).json()["rows"]


async def sent(services: Services, partner: Partner, *items: Any, **options: Any) -> None:
    answer = await partner.send(list(items), **options)
    assert answer.status_code == 200, answer.text
    await project_all(services, partner.partner_id)


# Content items and facts


async def test_sample_statement_of_the_vendor_is_in_every_table(
    services: Services, partner: Partner
) -> None:
    sample = json.loads((SEEDS / "percipio-statement.json").read_bytes())
    await sent(services, partner, sample, organization="north")
    (content,) = await table(partner, "content_dim")
    expected = {
        "activity_id": "https://yourprovider.com/courses/course-101",
        "url": "https://yourprovider.com/courses/course-101",
        "title": "Cloud Foundations",
        "type": "course",
        "reported_type": "course",
        "source": "xapi",
    }
    assert {name: content[name] for name in expected} == expected
    (fact,) = await table(partner, "content_fact")
    assert (fact["organization"], fact["time_spent"], fact["status"]) == (
        "north",
        1800,
        "completed",
    )
    assert (fact["progress"], fact["is_member"]) == (100, True)
    (record,) = await table(partner, "learner_record")
    assert (record["name"], record["email"]) == ("John Doe", "john.doe@company.com")
    assert (record["title"], record["status"]) == ("Cloud Foundations", "completed")
    (vendor_fact,) = await table(partner, "course_fact")
    assert vendor_fact["course_id"] == content["content_id"] == fact["content_id"]
    assert await table(partner, "uncounted") == []


@pytest.mark.parametrize("type_", ["none", "course"])
async def test_type_without_table_is_uncounted_unless_a_setting_maps_it(
    services: Services, partner: Partner, type_: str
) -> None:
    await change_settings(services, partner, default_content_type=type_)
    await sent(services, partner, statement(object=VIDEO, result=SCORED))
    (content,) = await table(partner, "content_dim")
    assert (content["type"], content["title"]) == ("video", "intro to SQL")
    (fact,) = await table(partner, "content_fact")
    assert (fact["score"], fact["time_spent"]) == (80, 1800)
    uncounted = await table(partner, "uncounted")
    if type_ == "course":
        assert uncounted == []
        assert len(await table(partner, "course_fact")) == 1
        return
    assert uncounted == [
        {
            "reason": "no table for the type",
            "statement_id": None,
            "content_id": content["content_id"],
            "activity_id": VIDEO["id"],
            "type": "video",
            "title": "intro to SQL",
            "statements": 1,
        }
    ]


async def test_content_fact_keeps_organizations_apart(services: Services, partner: Partner) -> None:
    for organization, minutes in (("north", 10), ("south", 20), (None, 30)):
        work = statement(result={"duration": f"PT{minutes}M"}, timestamp="2026-05-08T10:00:00Z")
        await sent(services, partner, work, organization=organization)
    facts = {row["organization"]: row for row in await table(partner, "content_fact")}
    assert {name: row["time_spent"] for name, row in facts.items()} == {
        "north": 600,
        "south": 1200,
        None: 1800,
    }
    names = {row["group_id"]: row["name"] or None for row in await table(partner, "group_dim")}
    assert all(names[row["group_id"]] == name for name, row in facts.items())
    (fact,) = await table(partner, "course_fact")
    assert fact["time_spent"] == 3600


async def test_enrolment_is_a_record_and_no_content_fact(
    services: Services, partner: Partner
) -> None:
    registered = {"id": "http://adlnet.gov/expapi/verbs/registered"}
    await sent(services, partner, statement(verb=registered))
    (record,) = await table(partner, "learner_record")
    assert (record["status"], record["attempts"]) == ("not_started", 0)
    assert await table(partner, "content_fact") == []
    (row,) = await table(partner, "uncounted")
    assert (row["reason"], row["statements"]) == ("enrolment only", 1)


async def test_track_event_has_its_content_id_and_title(
    services: Services, partner: Partner
) -> None:
    event = {
        "content_id": "ext-101 cloud",
        "user": "john.doe@company.com",
        "status": "started",
        "event_date": "2026-05-08T10:00:00Z",
    }
    await sent(services, partner, event, resource="track")
    (content,) = await table(partner, "content_dim")
    assert (content["track_content_id"], content["title"]) == ("ext-101 cloud", "ext-101 cloud")
    assert (content["source"], content["url"]) == ("track", None)
    named = event | {"status": "completed", "title": "Cloud basics"}
    await sent(services, partner, named, resource="track")
    before = await table(partner, "content_dim")
    assert [row["title"] for row in before] == ["Cloud basics"]
    await rebuild(services, partner)
    assert await table(partner, "content_dim") == before


async def test_titles_are_in_the_language_of_the_partner(
    services: Services, partner: Partner
) -> None:
    name = {"en-US": "Basics", "de-AT": "Grundlagen", "fr": "Bases"}
    course = {"id": "http://example.com/c", "definition": {"name": name}}
    await sent(services, partner, statement(object=course))
    for language, title in (("de", "Grundlagen"), ("fr-CA", "Bases"), ("es", "Basics")):
        await change_settings(services, partner, language=language)
        await rebuild(services, partner)
        assert [row["title"] for row in await table(partner, "content_dim")] == [title]
        assert title in {row["title"] for row in await table(partner, "course_dim")}


async def test_callback_has_the_course_in_exported_statements(
    services: Services, partner: Partner
) -> None:
    tool = await new_tool(services, partner)
    assert (await tool.send(body("PT3M"))).status_code == 200
    await sent(services, partner, statement(), statement(actor=GROUP))
    contents = {
        row["content_id"]: row["activity_id"] for row in await table(partner, "content_dim")
    }
    learners = {row["user_id"]: row["name"] for row in await table(partner, "learner_dim")}
    from_csv = (await get(partner, "statements.csv")).text.splitlines()
    assert from_csv[0].startswith("id,stored,user_id,content_id,")
    exported = [line.split(",")[2:4] for line in from_csv[1:]]
    actual = [
        (learners[int(user)] if user else None, contents[int(content)])
        for user, content in exported
    ]
    assert actual == [
        (tool.user, f"{partner.home_page}/courses/{tool.course}"),
        ("learner@example.com", "http://example.com/course/1"),
        (None, "http://example.com/course/1"),
    ]


async def test_reported_types_are_those_of_the_vocabulary(connection: asyncpg.Connection) -> None:
    types = await connection.fetchval(
        "select array_agg(type) from unnest($1::text[]) as type where reported_type(type) = type",
        [*vocabulary.REPORTED_TYPES, "video", None],
    )
    assert set(types) == vocabulary.REPORTED_TYPES


# What is uncounted


async def test_statements_without_event_are_uncounted_until_they_are_voided(
    services: Services, partner: Partner, run: Callable[..., Result]
) -> None:
    target = statement(id=new_id())
    reference = {"objectType": "StatementRef", "id": target["id"]}
    items = {
        "group as actor": statement(id=new_id(), actor=GROUP),
        "agent as object": statement(id=new_id(), object={"objectType": "Agent", **mailbox("ada")}),
        "group as object": statement(id=new_id(), object=GROUP),
        "statement as object": statement(id=new_id(), object=reference),
        "sub-statement as object": statement(
            id=new_id(), object={"objectType": "SubStatement", **statement()}
        ),
    }
    await sent(services, partner, target, *items.values())
    rows = await table(partner, "uncounted")
    assert {row["reason"]: row["statement_id"] for row in rows} == {
        reason: item["id"] for reason, item in items.items()
    }
    response = await get(partner, "user_dim")
    assert response.headers["Lrs-Reports-Uncounted"] == "5"
    assert response.json()["uncounted"] == 5
    printed = await asyncio.to_thread(run, "reports", "lag", partner.name)
    assert re.search(r"\t(uncounted )?5\n$", printed.output), printed.output
    await sent(services, partner, voiding(items["group as actor"]))
    assert len(await table(partner, "uncounted")) == 4
    await rebuild(services, partner)
    assert len(await table(partner, "uncounted")) == 4


async def test_list_of_reports_has_rows_and_uncounted_statements(
    services: Services, partner: Partner
) -> None:
    await sent(services, partner, statement(), statement(actor=GROUP))
    answer = await partner.http.get(partner.url("reports"), headers=partner.headers)
    body = answer.json()
    counts = {item["name"]: item["rows"] for item in body["tables"]}
    for name in ("course_dim", "content_fact", "learner_dim", "learner_record", "uncounted"):
        assert counts[name] == len(await table(partner, name)), name
    assert counts["statements"] == 2
    assert (body["uncounted"], body["lag_seconds"]) == (1, 0)


# Learners


async def test_names_come_from_statements_until_an_import_has_them(
    services: Services, partner: Partner, run: Callable[..., Result], tmp_path: Any
) -> None:
    actors = [
        {"name": "  Ada   King Lovelace ", **mailbox("ada")},
        {"name": "Babbage, Charles", **mailbox("ben")},
        {"name": "eve@example.com", **mailbox("eve")},
        {"name": "Kim,", **mailbox("kim")},
        {"name": " - ", **mailbox("kim")},
    ]
    await sent(services, partner, *(statement(actor=actor) for actor in actors))
    names = {
        row["email"]: (row["first_name"], row["last_name"])
        for row in await table(partner, "user_dim")
    }
    assert names == {
        "kim@example.com": ("Kim", None),
        "ada@example.com": ("Ada King", "Lovelace"),
        "ben@example.com": ("Charles", "Babbage"),
        "eve@example.com": (None, None),
    }
    learners = {row["email"]: row["name"] for row in await table(partner, "learner_dim")}
    assert learners["ada@example.com"] == "Ada King Lovelace"
    assert learners["eve@example.com"] == "eve@example.com"
    people = tmp_path / "people.csv"
    people.write_text(
        "type,user,email,first_name,last_name\nuser,emp_1,ada@example.com,Augusta,King\n"
    )
    imported = await asyncio.to_thread(run, "people", "import", partner.name, str(people))
    assert imported.exit_code == 0, imported.output
    (ada,) = [row for row in await table(partner, "learner_dim") if row["external_id"] == "emp_1"]
    assert (ada["name"], ada["first_name"]) == ("Augusta King", "Augusta")


async def test_learner_has_one_row_with_all_identifiers(
    services: Services, partner: Partner, run: Callable[..., Result], tmp_path: Any
) -> None:
    home = "https://www.datacamp.com"
    account = {"account": {"homePage": home, "name": "ada 1"}}
    await sent(services, partner, statement(actor=account, result=SCORED), organization="north")
    people = tmp_path / "people.csv"
    people.write_text(
        "type,user,email,kind,value,home_page\n"
        f"user,emp_1\nidentifier,emp_1,,account,ada 1,{home}\n"
        "identifier,emp_1,,mbox,ada@example.com,\nidentifier,emp_1,,track,ext_9,\n"
    )
    imported = await asyncio.to_thread(run, "people", "import", partner.name, str(people))
    assert imported.exit_code == 0, imported.output
    (learner,) = await table(partner, "learner_dim")
    assert (learner["organization"], learner["email"]) == ("north", "ada@example.com")
    assert learner["name"] == "ada@example.com"
    own = json.loads(learner["identifiers"])
    assert {"kind": "account", "value": "ada 1", "home_page": home} in own
    assert {"kind": "mbox", "value": "ada@example.com"} in own
    assert {"kind": "track", "value": "ext_9", "home_page": partner.home_page} in own
    rows = await table(partner, "learner_identifier_dim")
    assert [(row["kind"], row["identifier"]) for row in rows].count(("account", "ada 1")) == 1
    assert len(rows) == len(own) == 4  # the address with its SHA-1
    (user,) = await table(partner, "user_dim")
    assert user["email"] == "ada@example.com"


# Increments of records


async def test_increment_of_records_has_changed_and_deleted_ones(
    services: Services, partner: Partner
) -> None:
    first, second = statement(id=new_id()), statement(id=new_id(), actor=mailbox("ada"))
    await sent(services, partner, first)
    whole = await get(partner, "learner_record")
    assert whole.headers["Lrs-Replaces"] == "all"
    nothing = await get(partner, "learner_record", params={"since": whole.headers["Lrs-Cursor"]})
    assert nothing.headers["Lrs-Replaces"] == "records"
    assert nothing.json()["rows"] == []
    await sent(services, partner, second)
    added = await get(partner, "learner_record", params={"since": nothing.headers["Lrs-Cursor"]})
    assert [row["email"] for row in added.json()["rows"]] == ["ada@example.com"]
    await sent(services, partner, voiding(first))
    deleted = await get(partner, "learner_record", params={"since": added.headers["Lrs-Cursor"]})
    (row,) = deleted.json()["rows"]
    assert (row["email"], row["status"]) == ("learner@example.com", "deleted")
    await sent(services, partner, first | {"id": new_id()})
    back = await get(partner, "learner_record", params={"since": added.headers["Lrs-Cursor"]})
    assert [row["status"] for row in back.json()["rows"]] == ["completed"]
    assert len((await get(partner, "learner_record.csv", params={"since": "1970-01-01T00:00:00Z"}))
               .text.splitlines()) == 3  # fmt: skip


async def test_rebuild_changes_no_row_of_the_tables(
    services: Services, partner: Partner, connection: asyncpg.Connection
) -> None:
    names = [{"name": name, **mailbox("ada")} for name in ("Ada", "A. King", "Ada")]
    for actor in names:
        await sent(services, partner, statement(actor=actor), statement(object=VIDEO))
    before = await tables(connection, partner)
    await rebuild(services, partner)
    assert await tables(connection, partner) == before
