"""Credentials and tools over the admin API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from lrs.store import tools as stored_tools
from tests.api.operators.conftest import Admin
from tests.support.partners import Partner, new_partner
from tests.support.statements import statement


def url(partner: Partner, path: str = "credentials") -> str:
    return f"/v1/admin/partners/{partner.name}/{path}"


async def sent_with(partner: Partner, key: str, secret: str) -> int:
    response = await partner.http.post(
        "/xapi/statements",
        json=statement(),
        auth=(key, secret),
        headers={"X-Experience-API-Version": "1.0.3"},
    )
    return response.status_code


async def test_issued_credential_works_until_it_is_revoked(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"label": "LMS", "scopes": ["statements/write"], "expires_at": expires_at}
    issued = (await owner.post(url(partner), json=body)).json()
    assert await sent_with(partner, issued["key"], issued["secret"]) == 200
    mine = f"{url(partner)}/{issued['key']}"
    view = (await owner.get(mine)).json()
    assert (view["label"], view["scopes"], view["kind"]) == ("LMS", ["statements/write"], "client")
    assert view["created_at"] < view["expires_at"]
    assert not {"secret", "secret_hash"} & view.keys()
    rotated = (await owner.post(f"{mine}/rotate", json={"overlap_hours": 0})).json()
    await asyncio.sleep(0.1)
    assert await sent_with(partner, issued["key"], issued["secret"]) == 401
    assert await sent_with(partner, issued["key"], rotated["secret"]) == 200
    assert (await owner.post(f"{mine}/revoke")).json()["revoked_at"]
    await asyncio.sleep(0.1)
    assert await sent_with(partner, issued["key"], rotated["secret"]) == 401
    assert (await owner.post(f"{mine}/revoke")).status_code == 404
    assert (await owner.post(f"{mine}/rotate")).status_code == 404
    entries = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    actions = ["credential.revoke", "credential.rotate", "credential.add"]
    assert [entry["action"] for entry in entries["entries"]] == actions
    assert issued["secret"] not in str(entries)


async def test_changed_scopes_label_and_expiry_hold_within_seconds(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    mine = f"{url(partner)}/{partner.key}"
    assert await sent_with(partner, partner.key, partner.secret) == 200
    changes: dict[str, Any] = {"label": "Reader", "scopes": ["statements/read"]}
    changes["limits"] = {"rate_limit": "1000/second"}
    response = await owner.patch(mine, json=changes)
    assert response.status_code == 200, response.text
    assert (response.json()["label"], response.json()["limits"]) == ("Reader", changes["limits"])
    await asyncio.sleep(0.1)
    assert await sent_with(partner, partner.key, partner.secret) == 403
    stale = await owner.patch(mine, json={"label": "x"}, headers={"If-Match": '"stale"'})
    assert stale.status_code == 412
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    response = await owner.patch(mine, json={"scopes": ["all"], "expires_at": soon})
    assert response.status_code == 200, response.text
    for _ in range(200):
        if await sent_with(partner, partner.key, partner.secret) == 401:
            break
        await asyncio.sleep(0.05)
    assert await sent_with(partner, partner.key, partner.secret) == 401
    assert (await owner.patch(mine, json={"expires_at": None})).json()["expires_at"] is None
    assert await sent_with(partner, partner.key, partner.secret) == 200


async def test_secret_is_replayed_for_a_repeated_key(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    first, second = [await owner.post(url(partner), json={}, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    rows = await services.database.readers.fetch("select response_jwe from idempotency_key")
    assert not any(first.json()["secret"] in row["response_jwe"] for row in rows)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "basic"}, "kind"),
        ({"scopes": ["everything"]}, "Unknown scope"),
        ({"scopes": []}, "scopes"),
        ({"label": "\0"}, "label"),
        ({"label": "x" * 300}, "label"),
        ({"key": "a b"}, "key"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2090-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_invalid_credential_names_the_member(
    owner: httpx.AsyncClient, partner: Partner, body: dict[str, Any], words: str
) -> None:
    response = await owner.post(url(partner), json=body)
    assert (response.status_code, words in response.json()["detail"]) == (400, True), response.text


async def test_list_of_all_partners_is_paged(
    admin: Admin, partner: Partner, stranger: Partner
) -> None:
    viewer = await admin("viewer", [partner.name, stranger.name])
    await (await admin()).post(url(partner), json={})
    credentials, page = [], "/v1/admin/credentials?limit=2"
    while page:
        response = (await viewer.get(page)).json()
        credentials += [(item["partner"], item["key"]) for item in response["credentials"]]
        page = response["more"]
    assert len(credentials) == 3
    assert {(partner.name, partner.key), (stranger.name, stranger.key)} < set(credentials)
    one = await viewer.get("/v1/admin/credentials", params={"partner": stranger.name})
    assert [item["key"] for item in one.json()["credentials"]] == [stranger.key]


async def test_tool_is_added_rotated_and_revoked(
    owner: httpx.AsyncClient, services: Services, partner: Partner
) -> None:
    tools = url(partner, "tools")
    issued = (await owner.post(tools, json={"name": "quiz"})).json()
    assert (await owner.post(tools, json={"name": "quiz"})).status_code == 409
    rotated = (await owner.post(f"{tools}/quiz/rotate", json={"overlap_hours": 1})).json()
    assert rotated["secret"] != issued["secret"]
    (row,) = (await owner.get(tools)).json()["tools"]
    assert (row["consumer_key"], row["revoked_at"]) == (issued["consumer_key"], None)
    disable = f"/v1/admin/partners/{partner.name}/disable"
    await owner.post(disable, json={"reason": "Ended"})
    stored = await stored_tools.find_tool(services.database, partner.name, "quiz")
    assert stored is not None
    assert stored.partner_disabled_reason == "Ended"
    assert (await owner.post(f"{tools}/quiz/revoke")).json() == {"name": "quiz"}
    assert (await owner.post(f"{tools}/quiz/revoke")).status_code == 404


async def test_changes_by_a_credential_with_scope_admin_are_audited(
    owner: httpx.AsyncClient, services: Services, http: httpx.AsyncClient
) -> None:
    partner = await new_partner(services, http, frozenset({scopes.ADMIN}))
    tools = partner.url("tools")
    for path, body in ((tools, {"name": "quiz"}), (f"{tools}/quiz/rotate", {}), (tools, {})):
        await http.post(path, json=body, headers=partner.headers)
    people = partner.url("people/imports")
    user = [{"type": "user", "user": "emp_1"}]
    for params in ({"preview": "true"}, {}):
        response = await http.post(people, json=user, params=params, headers=partner.headers)
        assert response.status_code == 200, response.text
    entries = (await owner.get("/v1/admin/audit", params={"partner": partner.name})).json()
    assert [(entry["action"], entry["object"]) for entry in entries["entries"]] == [
        ("people.import", "people/imports"),
        ("tool.rotate", "tools/quiz/rotate"),
        ("tool.add", "tools"),
    ]
    assert {entry["operator"] for entry in entries["entries"]} == {f"credential {partner.key}"}
