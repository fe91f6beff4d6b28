"""Forwarding in other forms: attachments, one version of xAPI, track events, webhooks, filters."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from lrs.api.services import Services
from lrs.pipes.options import Signed
from tests.support.attachments import attachment_of, sha2_of, statement_with, stored
from tests.support.forward_target import Reply, serving
from tests.support.forwarding import (
    add_pipe,
    forwarding,
    letters,
    run_until_settled,
    store_many,
    store_statements,
)
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

CONTENT = b"content of an attachment"
TYPE = "http://example.com/types/video"


async def test_attachments_are_sent_as_multipart(services: Services, partner: Partner) -> None:
    sha2 = sha2_of(CONTENT)
    attached = statement_with(attachment_of(CONTENT, contentType="text/plain"))
    await stored(partner, attached, CONTENT)
    await store_many(partner, 1)
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url)
        await run_until_settled(forwarding(services), pipe)
    (request,) = target.posts
    assert len(request.statements) == 2
    assert request.parts[1].content == CONTENT
    assert request.parts[1].headers["x-experience-api-hash"] == sha2
    assert request.parts[1].headers["content-type"] == "text/plain"


@pytest.mark.parametrize("strip", [False, True])
async def test_target_of_version_1_gets_no_statement_that_needs_2(
    services: Services, partner: Partner, strip: bool
) -> None:
    agents = [{"objectType": "contextAgent", "agent": {"mbox": "mailto:a@example.com"}}]
    needs = statement(id=new_id(), version="2.0.0", context={"contextAgents": agents})
    plain = statement(id=new_id(), version="2.0.0")
    await store_statements(partner, [needs, plain])
    async with serving() as target:
        target.about = ("1.0.0", "1.0.3")
        pipe = await add_pipe(services, partner, target.url, version="auto", strip=strip)
        pipe = await run_until_settled(forwarding(services), pipe)
    dead = await letters(services, pipe)
    assert set(dead) == (set() if strip else {needs["id"]})
    assert set(target.stored) == {needs["id"], plain["id"]} - set(dead)
    assert {item["version"] for item in target.stored.values()} == {"1.0.3"}
    assert all("contextAgents" not in item.get("context", {}) for item in target.stored.values())


async def test_track_events_are_sent_one_by_one(services: Services, partner: Partner) -> None:
    await store_many(partner, 2)
    await store_many(partner, 1, verb={"id": "http://example.com/liked"})
    replies = iter([Reply(409), Reply(201)])
    async with serving(lambda request: next(replies)) as target:
        url = target.url.replace("/xapi", "/v1/partners/p/track")
        pipe = await add_pipe(services, partner, url, target="track")
        pipe = await run_until_settled(forwarding(services), pipe)
    assert [post.path for post in target.posts] == ["/v1/partners/p/track"] * 2
    assert orjson.loads(target.posts[0].body)["status"] == "completed"
    assert pipe.counts == {"delivered": 2, "skipped": 1}
    assert not target.reads


async def test_webhook_is_signed_and_halved(services: Services, partner: Partner) -> None:
    ids = await store_many(partner, 4)
    secret = "whsec_" + base64.b64encode(b"a secret of the receiver").decode()
    async with serving(
        lambda request: Reply(409 if ids[2] in {s["id"] for s in request.statements} else 204)
    ) as target:
        pipe = await add_pipe(
            services, partner, target.url, target="webhook", credentials=Signed(secret)
        )
        pipe = await run_until_settled(forwarding(services), pipe)
    assert set(await letters(services, pipe)) == {ids[2]}
    assert pipe.counts == {"delivered": 3, "dead_letter": 1}
    assert {post.path for post in target.posts} == {"/xapi"}
    for post in target.posts:
        head = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}."
        digest = hmac.new(b"a secret of the receiver", head.encode() + post.body, hashlib.sha256)
        expected = base64.b64encode(digest.digest()).decode()
        assert post.headers["webhook-signature"] == f"v1,{expected}"
        assert "authorization" not in post.headers


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"activity": ["http://example.com/a"]}, {"a"}),
        ({"activity": ["http://example.com/a"], "related_activities": True}, {"a", "child"}),
        ({"type": [TYPE]}, {"a", "defined before"}),
        ({"actor_home_page": ["http://example.com/accounts"]}, {"account"}),
        ({"registration": ["0b7f0f2e-6a9c-4d3e-8d2b-0c8a7c6b5a49"]}, {"registered"}),
        ({"organization": ["acme"]}, {"acme"}),
        ({"organization": ["acme", "other"]}, {"acme"}),
        ({"verb": ["http://example.com/liked"]}, {"liked"}),
        ({"verb": ["http://example.com/liked"], "type": [TYPE]}, set()),
    ],
)
async def test_filter_selects_forwarded_statements(
    services: Services, partner: Partner, chosen: dict[str, Any], expected: set[str]
) -> None:
    a = {"id": "http://example.com/a"}
    statements = {
        "a": statement(object={**a, "definition": {"type": TYPE}}),
        "child": statement(
            object={"id": "http://example.com/child"},
            context={"contextActivities": {"parent": [a]}},
        ),
        "account": statement(
            actor={"account": {"homePage": "http://example.com/accounts", "name": "7"}}
        ),
        "registered": statement(context={"registration": "0B7F0F2E-6A9C-4D3E-8D2B-0C8A7C6B5A49"}),
        "liked": statement(verb={"id": "http://example.com/liked"}),
        "defined before": statement(
            object={"id": "http://example.com/b", "definition": {"type": TYPE}}
        ),
    }
    ids = {name: new_id() for name in [*statements, "acme"]}
    sent = [{**item, "id": ids[name]} for name, item in statements.items()]
    await store_statements(partner, sent)
    response = await partner.http.post(
        partner.url("statements", "acme"), json=statement(id=ids["acme"]), headers=partner.headers
    )
    assert response.status_code == 200
    async with serving() as target:
        pipe = await add_pipe(services, partner, target.url, filter=chosen)
        await run_until_settled(forwarding(services), pipe)
        assert set(target.stored) == {ids[name] for name in expected}
