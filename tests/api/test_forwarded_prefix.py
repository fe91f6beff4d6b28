"""X-Forwarded-Prefix: the path prefix that a trusted proxy removes is part of every URL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from lrs.api.application import Application
from lrs.api.services import Services
from lrs.auth import scopes
from lrs.server.proxy_headers import ProxyHeaders
from tests.support.canvas import Tool, body, new_tool
from tests.support.learning_history import project_all
from tests.support.partners import Partner, new_partner
from tests.support.statements import XAPI, statement

PREFIX = {"X-Forwarded-Prefix": "/learning/lrs"}


def client_of(app: Application, trusted: str, headers: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=ProxyHeaders(app, trusted))
    return httpx.AsyncClient(transport=transport, base_url="http://lrs.test", headers=headers)


@pytest.fixture
async def proxied(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, "127.0.0.1", PREFIX) as http:
        yield http


async def test_more_of_statements_has_the_prefix(
    proxied: httpx.AsyncClient, partner: Partner
) -> None:
    await partner.send([statement(), statement()])
    for url in ("/xapi/statements", partner.url("statements")):
        headers = {**XAPI, **partner.headers}
        response = await proxied.get(url, params={"limit": 1}, headers=headers)
        more = response.json()["more"]
        assert more.startswith(f"/learning/lrs{url}?")
        path = more.removeprefix("/learning/lrs")
        assert len((await proxied.get(path, headers=headers)).json()["statements"]) == 1


async def test_more_of_content_items_learners_and_records_has_the_prefix(
    services: Services, http: httpx.AsyncClient, proxied: httpx.AsyncClient
) -> None:
    operator = await new_partner(services, http, frozenset({scopes.ALL, scopes.ADMIN}))
    for name in ("a", "b"):
        await operator.send(statement(object={"id": f"http://example.com/{name}"}))
    await operator.send(statement(actor={"mbox": "mailto:another@example.com"}))
    await project_all(services, operator.partner_id)
    learner = "mailto:learner@example.com"
    for resource in ("contents", "learners", f"learners/{quote(learner, safe='')}/records"):
        response = await proxied.get(
            operator.url(resource), params={"limit": 1}, headers=operator.headers
        )
        assert response.json()["more"].startswith(f"/learning/lrs{operator.url('')}"), response.text


async def test_openapi_document_and_metadata_have_the_prefix(proxied: httpx.AsyncClient) -> None:
    document = (await proxied.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "/learning/lrs"}]
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"]
    assert flows["clientCredentials"]["tokenUrl"] == "/learning/lrs/oauth2/token"
    metadata = (await proxied.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["token_endpoint"] == "http://lrs.test/learning/lrs/oauth2/token"
    assert metadata["jwks_uri"] == "http://lrs.test/learning/lrs/.well-known/jwks.json"


async def test_hint_for_a_similar_path_has_the_prefix(proxied: httpx.AsyncClient) -> None:
    detail = (await proxied.get("/xAPI/statement")).json()["detail"]
    assert "/learning/lrs/xapi/statements" in detail


async def test_callback_urls_and_their_signatures_have_the_prefix(
    services: Services, proxied: httpx.AsyncClient, partner: Partner
) -> None:
    tool: Tool = await new_tool(services, partner)
    launched = await replace(tool, partner=replace(tool.partner, http=proxied)).launch()
    assert launched.url.startswith("http://lrs.test/learning/lrs/api/lti/v1/xapi/")
    content = json.dumps(body()).encode()
    inside = launched.url.replace("/learning/lrs", "")
    for url, status in ((launched.url, 200), (inside, 401)):
        signed = tool.signed(content, url=url)
        headers = {**signed.headers, **PREFIX}
        sent = await proxied.post(inside, content=content, headers=headers)
        assert sent.status_code == status


async def test_prefix_of_an_untrusted_client_is_ignored(app: Application, partner: Partner) -> None:
    await partner.send([statement(), statement()])
    async with client_of(app, "10.1.2.3", PREFIX) as http:
        response = await http.get(
            partner.url("statements"), params={"limit": 1}, headers=partner.headers
        )
        assert response.json()["more"].startswith(f"{partner.url('statements')}?")
        assert (await http.get("/openapi.json")).json()["servers"] == [{"url": "/"}]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (["/a/"], "/a"),
        (["/"], "/"),
        ([""], "/"),
        ([" /a , /b/ "], "/a/b"),
        (["/a", "/b"], "/a/b"),
        (["/%C3%BC"], "/%C3%BC"),
        (["//evil.example"], "/"),
        (["https://evil.example"], "/"),
        (["a"], "/"),
        (["/a/../b"], "/"),
        (["/a b"], "/"),
        (["/a?b"], "/"),
        (["/a\\b"], "/"),
        (['/"><script>'], "/"),
        (["/" + "a" * 300], "/"),
    ],
)
async def test_prefix_is_a_path(app: Application, sent: list[str], expected: str) -> None:
    headers = [("X-Forwarded-Prefix", value) for value in sent]
    async with client_of(app, "127.0.0.1", headers) as http:
        assert (await http.get("/openapi.json")).json()["servers"] == [{"url": expected}]
