"""Track events on the partner interface."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.bootstrap.access_tokens import load_keys
from lrs.store import registry
from lrs.store.partner_settings import PartnerSettings
from tests.support.files import FIXTURES
from tests.support.oauth import issue_token
from tests.support.partners import Partner, new_partner
from tests.support.statements import new_id, statement

ORIGINAL = "urn:x-lrs:track-event"
SEED = (FIXTURES / "seeds" / "percipio-track-event.json").read_bytes()


def event(**members: Any) -> dict[str, Any]:
    return {
        "content_id": "ext-101-cloud-basics",
        "user": "john.doe@company.com",
        "status": "completed",
        "event_date": "2024-05-13T14:25:00Z",
    } | members


async def track(
    partner: Partner, body: Any, organization: str | None = None, **params: str
) -> httpx.Response:
    return await partner.send(body, resource="track", organization=organization, params=params)


async def stored(partner: Partner, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    result = await partner.get(statementId=answer.json()["id"])
    assert result.status_code == 200
    return dict(result.json())


@pytest.mark.parametrize("organization", [None, "acme"])
async def test_vendor_example_becomes_a_statement(
    partner: Partner, organization: str | None
) -> None:
    answer = await track(partner, SEED, organization)
    assert answer.json() == {"id": answer.json()["id"], "outcome": "stored"}
    result = await stored(partner, answer)
    assert result["actor"] == {"objectType": "Agent", "mbox": "mailto:john.doe@company.com"}
    assert result["verb"]["id"] == "http://adlnet.gov/expapi/verbs/completed"
    assert result["object"]["id"] == f"{partner.home_page}/contents/ext-101-cloud-basics"
    assert result["timestamp"] == "2024-05-13T14:25:00Z"
    assert result["result"]["completion"] is True
    assert result["result"]["duration"] == "PT1200S"
    assert result["context"]["extensions"] == {ORIGINAL: json.loads(SEED)}
    assert result["authority"]["account"]["name"] == partner.key
    within = (await partner.get("acme")).json()["statements"]
    assert [item["id"] for item in within] == ([result["id"]] if organization else [])


async def test_track_event_is_listed_like_any_statement(partner: Partner) -> None:
    await track(partner, event())
    await partner.send(statement())
    for query in (
        {"agent": '{"mbox":"mailto:john.doe@company.com"}'},
        {"activity": f"{partner.home_page}/contents/ext-101-cloud-basics"},
    ):
        (result,) = await partner.all(**query)
        assert result["context"]["extensions"] == {ORIGINAL: event()}
    assert len(await partner.all(verb="http://adlnet.gov/expapi/verbs/completed")) == 2


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        ("started", "https://activitystrea.ms/schema/1.0/start"),
        ("in_progress", "http://adlnet.gov/expapi/verbs/progressed"),
        ("in-progress", "http://adlnet.gov/expapi/verbs/progressed"),
        ("completed", "http://adlnet.gov/expapi/verbs/completed"),
    ],
)
async def test_status_determines_the_verb(partner: Partner, status: str, verb: str) -> None:
    result = await stored(partner, await track(partner, event(status=status)))
    assert result["verb"]["id"] == verb
    assert result["context"]["extensions"][ORIGINAL]["status"] == status


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ("4c6e1a2e-6f5f-4e7a-9a44-0c2f1c0f0b11", True),
        ("emp_001", True),
        ("Łukasz O'Neill", True),
        ("a.b@example.com", False),
    ],
)
async def test_user_determines_the_actor(partner: Partner, user: str, account: bool) -> None:
    result = await stored(partner, await track(partner, event(user=user)))
    expected: dict[str, Any] = {"mbox": f"mailto:{user}"}
    if account:
        expected = {"account": {"homePage": partner.home_page, "name": user}}
    assert result["actor"] == {"objectType": "Agent", **expected}


async def test_recorded_client_request_is_accepted(partner: Partner) -> None:
    organization = "0b7d6c1e-1111-4222-8333-444455556666"
    sent = {
        "content_id": "course-v1:edX+DemoX+2024",
        "user": "4c6e1a2e-6f5f-4e7a-9a44-0c2f1c0f0b11",
        "orgid": organization,
        "status": "completed",
        "event_date": "2026-03-10T08:00:00Z",
        "completion_percentage": 100,
        "duration_spent": None,
    }
    result = await stored(partner, await track(partner, sent))
    assert "duration" not in result["result"]
    assert result["context"]["extensions"][ORIGINAL] == sent
    (listed,) = (await partner.get(organization)).json()["statements"]
    assert listed["id"] == result["id"]


async def test_original_event_is_kept_in_an_extension(partner: Partner) -> None:
    numbers = '"cost":1.50,"order":12345678901234567890123,"user_name":"J\\u00fcrgen"}'
    sent = json.dumps(event(), separators=(",", ":"))[:-1] + f",{numbers}"
    answer = await track(partner, sent.encode())
    served = (await partner.get(statementId=answer.json()["id"])).text
    assert f'{{"{ORIGINAL}":{sent}}}' in served


async def test_nulls_count_as_absent_and_unknown_members_are_kept(partner: Partner) -> None:
    sent = event(completion_percentage=None, duration_spent=None, orgid=None, grade={"raw": [1.5]})
    result = await stored(partner, await track(partner, sent))
    assert result["result"] == {"completion": True}
    assert result["context"]["extensions"][ORIGINAL]["grade"] == {"raw": [1.5]}


@pytest.mark.parametrize("empty", [None, ""])
async def test_orgid_is_the_organization_unless_the_path_has_one(
    partner: Partner, empty: str | None
) -> None:
    by_path = await track(partner, event(), "acme")
    assert by_path.status_code == 200
    for organization, orgid in ((None, "acme"), ("acme", "acme"), ("acme", empty)):
        answer = await track(partner, event(orgid=orgid), organization)
        assert answer.status_code == 409
    other = await track(partner, event(orgid="zenith"), "acme")
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (400, "/orgid")
    assert len(await partner.all()) == 1


async def test_duplicate_event_returns_200_with_the_setting_of_the_partner(
    services: Services, partner: Partner
) -> None:
    settings = PartnerSettings(duplicate_track_event_status=200)
    await registry.set_partner_settings(services.database, partner.name, settings)
    first = await track(partner, event())
    again = await track(partner, event())
    assert again.status_code == 200
    assert again.json() == {"id": first.json()["id"], "outcome": "duplicate"}
    batch = await track(partner, [event(), event(status="started"), event()])
    assert batch.status_code == 200
    assert [item["outcome"] for item in batch.json()] == ["duplicate", "stored", "duplicate"]
    conflict = await track(partner, event(completion_percentage=40))
    assert (conflict.status_code, conflict.json()["code"]) == (409, "statement-conflict")
    assert len(await partner.all()) == 2


async def test_duplicate_statement_returns_409_with_the_setting_for_track_events(
    services: Services, partner: Partner
) -> None:
    settings = PartnerSettings(duplicate_track_event_status=200)
    await registry.set_partner_settings(services.database, partner.name, settings)
    sent = statement(id=new_id())
    await partner.send(sent)
    assert (await partner.send(sent)).status_code == 409


async def test_repeated_event_is_deduplicated(partner: Partner) -> None:
    first = await track(partner, event())
    again = await track(partner, event())
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")
    assert again.json()["id"] == first.json()["id"]
    assert len(await partner.all()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"event_date": "2024-05-13T16:25:00+02:00"},
        {"event_date": "2024-05-13T14:25:00.000+00:00"},
        {"orgid": None},
        {"grade": "A"},
        {"user": " mailto:John.Doe@Company.COM "},
        {"content_id": "ext-101-cloud-basics "},
        {"completion_percentage": 100.0, "duration_spent": 1200.0},
    ],
)
async def test_other_spelling_of_an_event_is_a_duplicate(
    partner: Partner, change: dict[str, Any]
) -> None:
    sent = event(user="John.Doe@company.com", completion_percentage=100, duration_spent=1200)
    await track(partner, sent)
    (before,) = await partner.all()
    response = await track(partner, {**sent, **change})
    assert (response.status_code, response.json()["code"]) == (409, "duplicate")
    assert await partner.all() == [before]


async def test_null_is_the_same_as_an_absent_member(partner: Partner) -> None:
    sent = event(status="in_progress")
    await track(partner, sent)
    for again in ({**sent, "duration_spent": None}, {**sent, "status": "in-progress"}):
        response = await track(partner, again)
        assert (response.status_code, response.json()["code"]) == (409, "duplicate")


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"completion_percentage": 99}, ["/completion_percentage"]),
        ({"duration_spent": None}, ["/duration_spent"]),
        (
            {"completion_percentage": None, "duration_spent": 1},
            ["/duration_spent", "/completion_percentage"],
        ),
    ],
)
async def test_event_with_other_measures_is_a_conflict_in_its_own_fields(
    partner: Partner, change: dict[str, Any], pointers: list[str]
) -> None:
    sent = event(completion_percentage=100, duration_spent=1200)
    await track(partner, sent)
    (before,) = await partner.all()
    response = await track(partner, {**sent, **change})
    assert (response.status_code, response.json()["code"]) == (409, "statement-conflict")
    errors = response.json()["errors"]
    assert [error["pointer"] for error in errors] == pointers
    assert [error["requirement"] for error in errors] == [
        f"Track event: {pointer[1:]}" for pointer in pointers
    ]
    assert await partner.all() == [before]


@pytest.mark.parametrize(
    "change",
    [
        {"content_id": "ext-102"},
        {"user": "jane.doe@company.com"},
        {"status": "in_progress"},
        {"event_date": "2024-05-13T14:25:01Z"},
        {"orgid": "acme"},
    ],
)
async def test_changed_identifying_member_makes_another_event(
    partner: Partner, change: dict[str, Any]
) -> None:
    await track(partner, event())
    assert (await track(partner, event(**change))).status_code == 200
    assert len(await partner.all()) == 2


async def test_events_of_a_course_from_start_to_end_are_stored(partner: Partner) -> None:
    statuses = [
        event(status="started", event_date="2024-05-13T14:00:00Z"),
        event(status="in_progress", event_date="2024-05-13T14:10:00Z", completion_percentage=40),
        event(status="in-progress", event_date="2024-05-13T14:20:00Z", completion_percentage=80),
        event(completion_percentage=100),
    ]
    answer = await track(partner, statuses)
    assert answer.status_code == 200
    assert [item["outcome"] for item in answer.json()] == ["stored"] * 4
    result = {item["id"]: item for item in await partner.all()}
    reported = [result[item["id"]]["context"]["extensions"][ORIGINAL] for item in answer.json()]
    assert reported == statuses


async def test_batch_with_different_outcomes_returns_207(partner: Partner) -> None:
    await track(partner, event())
    large = event(content_id="large", note="x" * 16_384)
    batch = [event(), event(status="started"), event(status="done"), large, "text"]
    answer = await track(partner, batch)
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [409, 200, 400, 413, 400]
    assert results[2]["problem"]["errors"] == [
        {
            "pointer": "/status",
            "detail": 'expected started, in_progress or completed, found "done"',
            "requirement": "Track event: status",
        }
    ]
    assert answer.json()["summary"] == {
        "received": 5,
        "duplicate": 1,
        "invalid": 2,
        "stored": 1,
        "too_large": 1,
    }
    assert len(await partner.all()) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [([{}, {}], 400), ([event(note="x" * 20_000)] * 2, 413), ([event(), event()], 207), ([], 200)],
)
async def test_batch_status_is_that_of_its_items_or_207(
    partner: Partner, body: Any, status: int
) -> None:
    assert (await track(partner, body)).status_code == status


async def test_invalid_event_returns_every_violation(partner: Partner) -> None:
    broken = {
        "content_id": "",
        "user": 7,
        "event_date": "2024-02-30T00:00:00Z",
        "completion_percentage": 101,
        "duration_spent": -1,
    }
    answer = await track(partner, broken)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "",
        "/completion_percentage",
        "/content_id",
        "/duration_spent",
        "/event_date",
        "/user",
    ]
    assert await partner.all() == []


async def test_dry_run_stores_nothing(partner: Partner) -> None:
    answer = await track(partner, [event(), event(), {}], validate="true")
    assert answer.status_code == 207
    assert [result["outcome"] for result in answer.json()["results"]] == [
        "stored",
        "duplicate",
        "invalid",
    ]
    assert await partner.all() == []
    assert (await track(partner, event())).status_code == 200


@pytest.mark.parametrize("name", [None, "nobody", "acme"])
async def test_any_organization_is_accepted(partner: Partner, name: str | None) -> None:
    assert (await track(partner, event(), name)).status_code == 200


async def test_long_organization_is_refused_in_path_and_orgid(partner: Partner) -> None:
    # Letters that do not compress: the name must fit into an index.
    long = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(1024))
    for answer in (await track(partner, event(), long), await track(partner, event(orgid=long))):
        assert answer.status_code == 400, answer.text
    longest = await track(partner, event(orgid=long[:255]))
    assert longest.status_code == 200, longest.text


async def test_expired_token_returns_401(partner: Partner, services: Services) -> None:
    tokens = await load_keys(services.settings, services.database)
    tokens.ttl_seconds = -10
    token = issue_token(tokens, partner)
    answer = await partner.send(
        event(), resource="track", headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "token-expired")
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_track_requires_a_token_with_its_scope(
    partner: Partner, stranger: Partner, services: Services, http: httpx.AsyncClient
) -> None:
    for authorization in ("", "Bearer x", "Basic dTpw"):
        answer = await partner.send(
            event(), resource="track", headers={"Authorization": authorization}
        )
        assert answer.status_code == 401
    answer = await stranger.send(event(), resource="track", headers=partner.headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    writer = await new_partner(services, http, frozenset({scopes.STATEMENTS_WRITE}))
    answer = await track(writer, event())
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    assert "track/write" in answer.json()["detail"]
    tracker = await new_partner(services, http, frozenset({scopes.TRACK_WRITE}))
    assert (await track(tracker, event())).status_code == 200
    assert await partner.all() == await stranger.all() == []


async def test_track_events_are_isolated_by_partner(partner: Partner, stranger: Partner) -> None:
    ours, theirs = await track(partner, event()), await track(stranger, event())
    assert (ours.status_code, theirs.status_code) == (200, 200)
    assert ours.json() == theirs.json()
    assert (await stranger.get(statementId=new_id())).status_code == 404
    assert len(await stranger.all()) == len(await partner.all()) == 1


async def test_get_of_track_returns_405(partner: Partner) -> None:
    answer = await partner.http.get(partner.url("track"), headers=partner.headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["code"] == "method-not-allowed"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("userid", "user"),
        ("contentId", "content_id"),
        ("Event_Date", "event_date"),
        ("State", "status"),
    ],
)
async def test_missing_field_names_a_similar_one(
    partner: Partner, sent: str, expected: str
) -> None:
    body = event()
    body[sent] = body.pop(expected)
    answer = await track(partner, body)
    (error,) = answer.json()["errors"]
    assert error["detail"] == f'the member "{expected}" is missing; "{sent}" is similar'
