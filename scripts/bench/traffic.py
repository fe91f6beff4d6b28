"""One of each: requests that between them execute the server's queries, on a store that is full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
from oauthlib.oauth1 import Client

from scripts.bench.measures import reads
from scripts.bench.samples import BUSY_COURSE, BUSY_LEARNER, Samples
from scripts.bench.servers import JSON, PARTNER, Target

_AGENT = orjson.dumps(BUSY_LEARNER).decode()
_STATE = {"activityId": BUSY_COURSE, "agent": _AGENT, "stateId": "bookmark"}
_HERE = f"/v1/partners/{PARTNER}"


def everything(target: Target) -> None:
    """Twice, so that what is remembered the second time is seen as well."""
    with target.client() as client:
        for _ in range(2):
            for part in (_lists, _statements, _documents, _known, _tools, _reports):
                for answer in part(client, target):
                    if answer.status_code >= 500:
                        raise SystemExit(f"{answer.request.url}: {answer.status_code}")


def _lists(client: httpx.Client, target: Target) -> Iterator[httpx.Response]:
    asked = {**reads.LISTS, **reads.INTERSECTIONS, "since": {"since": "2026-01-01T00:00:00Z"}}
    for paths in reads.lists(target, asked).values():
        answer = client.get(paths[0])
        yield answer
        yield client.get(answer.json()["more"] or paths[0])
    yield client.get(f"{_HERE}/organizations/acme/statements")
    yield client.get(target.statements, params={"format": "canonical"})


def _statements(client: httpx.Client, target: Target) -> Iterator[httpx.Response]:
    samples = Samples(uuid4().int)
    batch = [samples.statement() for _ in range(50)]
    first = batch[0]["id"]
    reference: dict[str, Any] = {
        **samples.statement(),
        "object": {"objectType": "StatementRef", "id": first},
    }
    voiding = {
        **reference,
        "id": samples.fresh_id(),
        "verb": {"id": "http://adlnet.gov/expapi/verbs/voided"},
    }
    changed = {**batch[1], "verb": {"id": "http://example.com/changed"}}
    for body in (batch, batch, changed, reference, voiding):
        yield client.post(target.statements, json=body)
    yield client.post(f"{_HERE}/organizations/acme/statements", json=samples.statement())
    yield client.post(target.statements, json=samples.statement(), params={"validate": "true"})
    for parameter in ("statementId", "voidedStatementId"):
        yield client.get(target.statements, params={parameter: first})
    event = {"content_id": "c1", "user": "learner0@example.com", "status": "completed"}
    event["event_date"] = f"2024-05-13T14:25:{samples.random.random() * 59:09.6f}Z"
    yield client.post(f"{_HERE}/track", json=event)


def _documents(client: httpx.Client, _: Target) -> Iterator[httpx.Response]:
    state, profile = "/xapi/activities/state", "/xapi/activities/profile"
    for part in ("a", "b"):
        yield client.post(state, params=_STATE, json={part: 1})
    yield client.put(state, params=_STATE, json={"c": 1})
    found = client.get(state, params=_STATE)
    yield found
    etag = {"If-Match": found.headers.get("ETag", "*")}
    yield client.put(state, params=_STATE, json={"d": 1}, headers=etag)
    every = {"activityId": BUSY_COURSE, "agent": _AGENT}
    yield client.get(state, params=every)
    yield client.delete(state, params=_STATE)
    yield client.delete(state, params=every)
    named = {"activityId": BUSY_COURSE, "profileId": "p"}
    yield client.post(profile, params=named, json={"a": 1})
    yield client.get(profile, params=named)
    yield client.delete(profile, params=named)


def _known(client: httpx.Client, _: Target) -> Iterator[httpx.Response]:
    yield client.get("/xapi/agents", params={"agent": _AGENT})
    yield client.get("/xapi/activities", params={"activityId": BUSY_COURSE})
    yield client.get(f"{_HERE}/learners/learner0@example.com/records")
    yield client.get(f"{_HERE}/contents/{BUSY_COURSE.replace('/', '%2F')}/records")


def _tools(client: httpx.Client, target: Target) -> Iterator[httpx.Response]:
    name = f"tool-{uuid4().hex[:8]}"
    made = client.post(f"{_HERE}/tools", json={"name": name})
    yield made
    urls = f"{_HERE}/tools/{name}/callback-urls"
    launch = client.post(urls, json={"user": "42", "course": "9"})
    yield launch
    if launch.is_success:
        issued = made.json()
        signer = Client(issued["consumer_key"], client_secret=issued["secret"])
        body = orjson.dumps({"object": {"id": BUSY_COURSE}}).decode()
        url = launch.json()["url"]
        address, headers, _ = signer.sign(url, "POST", body=body, headers=dict(JSON))
        yield httpx.post(address, content=body, headers=headers)
    for path in (
        "users/42/page_views",
        "courses/9/analytics/activity",
        "courses/9/analytics/student_summaries",
        "courses/9/analytics/users/42/activity",
    ):
        yield client.get(f"/api/v1/{path}")
    yield client.get(f"{_HERE}/tools")
    yield client.post(f"{_HERE}/tools/{name}/rotate", json={})
    yield client.delete(f"{_HERE}/tools/{name}")


def _reports(client: httpx.Client, _: Target) -> Iterator[httpx.Response]:
    """All tables but the statements themselves, which are as large as the store."""
    listed = client.get(f"{_HERE}/reports")
    yield listed
    for table in listed.json()["tables"]:
        if table["name"] != "statements":
            yield client.get(f"{_HERE}/reports/{table['name']}")
    yield client.get(f"{_HERE}/contents")
