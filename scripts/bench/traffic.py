"""Requests of every kind, so that the server executes all of its queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
from oauthlib.oauth1 import Client

from scripts.bench import parts
from scripts.bench.samples import BUSY_COURSE, BUSY_LEARNER, Samples
from scripts.bench.servers import JSON, PARTNER, Server

_AGENT = orjson.dumps(BUSY_LEARNER).decode()
_STATE = {"activityId": BUSY_COURSE, "agent": _AGENT, "stateId": "bookmark"}
_PREFIX = f"/v1/partners/{PARTNER}"


def send(server: Server) -> None:
    """Every request twice: caches are filled the second time."""
    with server.client() as client:
        for _ in range(2):
            for group in (_lists, _statements, _documents, _entities, _tools, _reports):
                for response in group(client, server):
                    if response.status_code >= 500:
                        raise SystemExit(f"{response.request.url}: {response.status_code}")


def _lists(client: httpx.Client, server: Server) -> Iterator[httpx.Response]:
    for paths in parts.pages(server).values():
        response = client.get(paths[0])
        yield response
        yield client.get(response.json()["more"] or paths[0])
    yield client.get(server.path, params={"since": "2026-01-01T00:00:00Z"})
    yield client.get(server.path, params={"format": "canonical"})
    yield client.get(f"{_PREFIX}/organizations/acme/statements")


def _statements(client: httpx.Client, server: Server) -> Iterator[httpx.Response]:
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
    conflict = {**batch[1], "verb": {"id": "http://example.com/changed"}}
    for body in (batch, batch, conflict, reference, voiding):
        yield client.post(server.path, json=body)
    yield client.post(f"{_PREFIX}/organizations/acme/statements", json=samples.statement())
    yield client.post(server.path, json=samples.statement(), params={"validate": "true"})
    for parameter in ("statementId", "voidedStatementId"):
        yield client.get(server.path, params={parameter: first})
    event = {"content_id": "c1", "user": "learner0@example.com", "status": "completed"}
    event["event_date"] = f"2024-05-13T14:25:{samples.random.random() * 59:09.6f}Z"
    yield client.post(f"{_PREFIX}/track", json=event)


def _documents(client: httpx.Client, _: Server) -> Iterator[httpx.Response]:
    state, profile = "/xapi/activities/state", "/xapi/activities/profile"
    for part in ("a", "b"):
        yield client.post(state, params=_STATE, json={part: 1})
    yield client.put(state, params=_STATE, json={"c": 1})
    response = client.get(state, params=_STATE)
    yield response
    etag = {"If-Match": response.headers.get("ETag", "*")}
    yield client.put(state, params=_STATE, json={"d": 1}, headers=etag)
    yield client.get(state, params={"activityId": BUSY_COURSE, "agent": _AGENT})
    yield client.delete(state, params=_STATE)
    yield client.delete(state, params={"activityId": BUSY_COURSE, "agent": _AGENT})
    document = {"activityId": BUSY_COURSE, "profileId": "p"}
    yield client.post(profile, params=document, json={"a": 1})
    yield client.get(profile, params=document)
    yield client.delete(profile, params=document)


def _entities(client: httpx.Client, _: Server) -> Iterator[httpx.Response]:
    yield client.get("/xapi/agents", params={"agent": _AGENT})
    yield client.get("/xapi/activities", params={"activityId": BUSY_COURSE})
    yield client.get(f"{_PREFIX}/learners/learner0@example.com/records")
    yield client.get(f"{_PREFIX}/contents/{BUSY_COURSE.replace('/', '%2F')}/records")


def _tools(client: httpx.Client, server: Server) -> Iterator[httpx.Response]:
    name = f"tool-{uuid4().hex[:8]}"
    created = client.post(f"{_PREFIX}/tools", json={"name": name})
    yield created
    urls = f"{_PREFIX}/tools/{name}/callback-urls"
    launch = client.post(urls, json={"user": "42", "course": "9"})
    yield launch
    if launch.is_success:
        credential = created.json()
        signer = Client(credential["consumer_key"], client_secret=credential["secret"])
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
    yield client.get(f"{_PREFIX}/tools")
    yield client.post(f"{_PREFIX}/tools/{name}/rotate", json={})
    yield client.delete(f"{_PREFIX}/tools/{name}")


def _reports(client: httpx.Client, _: Server) -> Iterator[httpx.Response]:
    """All tables but `statements`, which is as large as the store."""
    tables = client.get(f"{_PREFIX}/reports")
    yield tables
    for table in tables.json()["tables"]:
        if table["name"] != "statements":
            yield client.get(f"{_PREFIX}/reports/{table['name']}")
    yield client.get(f"{_PREFIX}/contents")
