"""Content items over the admin API: one item, its type, deletion."""

from __future__ import annotations

from datetime import date
from urllib.parse import quote

import httpx
import pytest

from lrs.api.services import Services
from tests.api.operators.conftest import Admin
from tests.support.learner_records import content, insert, learner, record
from tests.support.partners import Partner

COURSE = "https://x.example/courses/1"


def url(partner: Partner, name: object, path: str = "") -> str:
    return f"/v1/admin/partners/{partner.name}/contents/{quote(str(name), safe='')}{path}"


async def test_content_item_has_records_parent_and_parts(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    course = await content(services, partner, COURSE, title="Course 1", type="course")
    row = await services.database.readers.fetchval(
        "select content_key from content_item where content_id = $1", course
    )
    chapter = await content(services, partner, f"{COURSE}/1", title="Chapter", parent_key=row)
    for number, status in enumerate(("completed", "in_progress", "completed")):
        agent = {"mbox": f"mailto:jo-{number}@example.com"}
        person_id = await learner(services, partner, agent)
        await record(services, partner, person_id, course, status=status)
    await insert(
        services,
        "content_day",
        partner_id=partner.partner_id,
        person_id=person_id,
        content_id=course,
        day=date(2026, 5, 8),
        statements=1,
        enrolments=0,
        is_member=True,
        status="completed",
        organization="",
    )
    listed = (await owner.get(f"/v1/admin/partners/{partner.name}/contents")).json()["contents"]
    assert [(item["content_id"], item["records"], item["last_day"]) for item in listed] == [
        (course, 3, "2026-05-08"),
        (chapter, 0, None),
    ]
    detail = (await owner.get(url(partner, COURSE))).json()
    assert detail["records"] == {"completed": 2, "in_progress": 1}
    assert [item["content_id"] for item in detail["parts"]] == [chapter]
    assert detail == (await owner.get(url(partner, course))).json()
    part = (await owner.get(url(partner, chapter))).json()
    assert (part["parent_id"], part["parent_title"]) == (course, "Course 1")
    assert (await owner.get(url(partner, "none"))).status_code == 404


async def test_type_is_set_and_audited(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    await content(services, partner, COURSE, title="Course 1")
    answer = await owner.post(url(partner, COURSE, "/type"), json={"type": "track"})
    assert (answer.status_code, answer.json()["type"]) == (200, "track"), answer.text
    assert answer.json()["is_in_catalog"]
    audit = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    (entry,) = audit["entries"]
    assert (entry["action"], entry["after"]) == ("content.set-type", {"type": "track"})


@pytest.mark.parametrize("body", [{}, {"type": "film"}, {"type": None}, {"type": "track_content"}])
async def test_invalid_type_is_refused(
    owner: httpx.AsyncClient, services: Services, partner: Partner, body: dict[str, object]
) -> None:
    await content(services, partner, COURSE)
    answer = await owner.post(url(partner, COURSE, "/type"), json=body)
    assert (answer.status_code, "/type" in answer.text or "type" in answer.text) == (400, True)


async def test_viewer_and_operator_of_another_partner_set_no_type(
    admin: Admin, services: Services, partner: Partner, stranger: Partner
) -> None:
    await content(services, partner, COURSE)
    body, path = {"type": "track"}, url(partner, COURSE, "/type")
    assert (await (await admin("viewer")).post(path, json=body)).status_code == 403
    other = await admin("operator", [stranger.name])
    assert (await other.post(path, json=body)).status_code == 404
    assert (await other.get(url(partner, COURSE))).status_code == 404
