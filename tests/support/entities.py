"""Requests for agents and activities."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.support.partners import Partner
from tests.support.statements import new_id, statement

Json = dict[str, Any]

VERSION = "X-Experience-API-Version"
ACTIVITY = "http://example.com/course/1"
LEARNER = {"mbox": "mailto:learner@example.com"}
IDENTIFIERS: list[Json] = [
    {"mbox": "mailto:ann@example.com"},
    {"mbox_sha1sum": "ebd31e95054c018b10727ccffd2ef2ec3a016ee9"},
    {"openid": "http://ann.openid.example.org/"},
    {"account": {"homePage": "http://www.example.com/sso", "name": "ann \u00e4"}},
]


async def get(
    partner: Partner, resource: str, *, version: str = "1.0.3", **params: str
) -> httpx.Response:
    return await partner.http.get(
        f"/xapi/{resource}", params=params, headers={VERSION: version, **partner.headers}
    )


async def person(partner: Partner, agent: Json) -> Json:
    response = await get(partner, "agents", agent=json.dumps(agent))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return dict(response.json())


async def names(partner: Partner, agent: Json) -> list[str]:
    return list((await person(partner, agent)).get("name", []))


async def activity(partner: Partner, activity_id: str = ACTIVITY) -> Json:
    response = await get(partner, "activities", activityId=activity_id)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return dict(response.json())


async def definition(partner: Partner, activity_id: str = ACTIVITY) -> Json:
    return dict((await activity(partner, activity_id)).get("definition", {}))


def defining(activity_id: str = ACTIVITY, **definition: Any) -> Json:
    return statement(id=new_id(), object={"id": activity_id, "definition": definition})


async def send(partner: Partner, *sent: Json, version: str = "1.0.3") -> None:
    """Each in a request of its own."""
    for item in sent:
        response = await partner.xapi(item, **{VERSION: version})
        assert response.status_code == 200, response.text


async def send_batch(partner: Partner, *sent: Json) -> None:
    response = await partner.xapi(list(sent))
    assert response.status_code == 200, response.text


RESOURCES = {
    "agents": {"agent": json.dumps(LEARNER)},
    "activities": {"activityId": ACTIVITY},
    "about": {},
    "statements": {},
    "activities/state": {"activityId": ACTIVITY, "agent": json.dumps(LEARNER)},
    "agents/profile": {"agent": json.dumps(LEARNER)},
    "activities/profile": {"activityId": ACTIVITY},
}


def merge(older: Json, newer: Json) -> Json:
    """The merge rule for definitions (xAPI 1.0.3 Communication 2.5), as an oracle."""
    merged = {**older, **newer}
    for name in ("name", "description", "extensions"):
        if name in older and name in newer:
            merged[name] = {**older[name], **newer[name]}
    return merged
