"""Partners over the admin API."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.operators.conftest import Admin
from tests.support.partners import Partner
from tests.support.statements import statement

PARTNERS = "/v1/admin/partners"


def new_name() -> str:
    return f"p-{uuid4().hex[:12]}"


async def audited(owner: httpx.AsyncClient, partner: str, **params: Any) -> list[dict[str, Any]]:
    response = await owner.get("/v1/admin/audit", params={"partner": partner, **params})
    assert response.status_code == 200, response.text
    entries: list[dict[str, Any]] = response.json()["entries"]
    return entries


async def test_added_partner_is_listed_and_audited(owner: httpx.AsyncClient) -> None:
    name = new_name()
    response = await owner.post(PARTNERS, json={"name": name, "title": "A title"})
    assert response.status_code == 201, response.text
    assert response.json()["home_page"] == f"https://lrs.test/partners/{name}"
    found = (await owner.get(PARTNERS, params={"search": name[2:]})).json()["partners"]
    assert [item["title"] for item in found] == ["A title"]
    (entry,) = await audited(owner, name)
    assert (entry["action"], entry["via"], entry["before"]) == ("partner.add", "api", None)
    assert entry["object"] == f"partner/{name}"
    assert entry["after"]["title"] == "A title"
    assert entry["request_id"] == response.headers["x-request-id"]
    assert (await owner.post(PARTNERS, json={"name": name})).status_code == 409


async def test_list_is_paged_by_name(owner: httpx.AsyncClient) -> None:
    names = sorted(f"page-{uuid4().hex[:8]}" for _ in range(5))
    for name in names:
        await owner.post(PARTNERS, json={"name": name})
    found, url = [], f"{PARTNERS}?limit=2&search=page-"
    while url:
        page = (await owner.get(url)).json()
        assert len(page["partners"]) <= 2
        found += [item["name"] for item in page["partners"]]
        url = page["more"]
    assert [name for name in found if name in names] == names


async def test_audit_entries_have_the_changed_members(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    url = f"{PARTNERS}/{partner.name}"
    changes = {
        "title": "New",
        "limits": {"rate_limit": "100/second", "max_stored_bytes": 0},
        "settings": {"duplicate_track_event_status": 200},
    }
    response = await owner.patch(url, json=changes)
    assert response.status_code == 200, response.text
    assert response.json()["limits"] == {"rate_limit": "100/second", "max_stored_bytes": 0}
    assert (await owner.patch(url, json=changes)).json() == response.json()
    (entry,) = await audited(owner, partner.name, action="partner.set")
    assert entry["before"] == {"title": "", "limits": {}, "settings": {}}
    assert entry["after"]["settings"] == {"duplicate_track_event_status": 200}
    limits = (await owner.get(f"{url}/limits")).json()
    assert limits["effective"]["rate_limit"] == "100/second"
    reset = {"limits": {"rate_limit": None, "max_stored_bytes": None}}
    assert (await owner.patch(url, json=reset)).json()["limits"] == {}


async def test_stale_entity_tag_is_refused(owner: httpx.AsyncClient, partner: Partner) -> None:
    url = f"{PARTNERS}/{partner.name}"
    tag = (await owner.get(url)).headers["etag"]
    responses = await asyncio.gather(
        *(
            owner.patch(url, json={"title": title}, headers={"If-Match": tag})
            for title in ("one", "two", "three")
        )
    )
    assert sorted(response.status_code for response in responses) == [200, 412, 412]
    tag = next(response.headers["etag"] for response in responses if response.status_code == 200)
    headers = {"If-Match": f'"other", {tag}'}
    assert (await owner.patch(url, json={"title": "x"}, headers=headers)).status_code == 200
    assert (
        await owner.patch(url, json={"title": "y"}, headers={"If-Match": "*"})
    ).status_code == 200


async def test_home_page_changes_until_the_first_statement(
    owner: httpx.AsyncClient, partner: Partner
) -> None:
    url = f"{PARTNERS}/{partner.name}"
    changes = {"home_page": "https://right.example/"}
    response = await owner.patch(url, json=changes)
    assert response.json()["home_page"] == "https://right.example"
    assert (await partner.send(statement())).status_code == 200
    response = await owner.patch(url, json={"home_page": "https://late.example"})
    assert (response.status_code, "has statements" in response.json()["detail"]) == (409, True)
    assert (await owner.patch(url, json=changes | {"title": "same"})).status_code == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"home_page": "nowhere"}, "home page"),
        ({"title": "x" * 256}, "title"),
        ({"title": "\0"}, "cannot be stored"),
        ({"limits": {"rate_limit": "often"}}, "rate_limit"),
        ({"limits": {"rate_limit": 5}}, "rate_limit"),
        ({"limits": {"max_stored_bytes": -1}}, "max_stored_bytes"),
        ({"limits": {"max_stored_bytes": True}}, "max_stored_bytes"),
        ({"limits": {"unknown": 1}}, "unknown"),
        ({"limits": 1}, "/limits"),
        ({"settings": {"unknown": 1}}, "unknown"),
        ({"settings": {"duplicate_track_event_status": 7}}, "duplicate_track_event_status"),
        ({"name": "other"}, "name"),
        ([], "object"),
    ],
)
async def test_invalid_change_names_the_member(
    owner: httpx.AsyncClient, partner: Partner, changes: Any, words: str
) -> None:
    response = await owner.patch(f"{PARTNERS}/{partner.name}", json=changes)
    assert response.status_code == 400
    assert words in response.json()["detail"]


async def test_disabled_partner_is_refused_with_the_reason_until_enabled(
    owner: httpx.AsyncClient, partner: Partner, second_http: httpx.AsyncClient
) -> None:
    """On another server too, by access tokens, Basic credentials and at the token endpoint."""
    url = f"{PARTNERS}/{partner.name}"
    auth = (partner.key, partner.secret)
    assert (await partner.send(statement())).status_code == 200
    assert (await second_http.get("/xapi/about")).status_code == 200
    await owner.post(f"{url}/disable", json={"reason": "The contract has ended."})
    await asyncio.sleep(0.1)  # twice the lifetime of cached credentials
    version = {"X-Experience-API-Version": "1.0.3"}
    for response in (
        await partner.send(statement()),
        await partner.get(),
        await partner.xapi(statement()),
        await second_http.get("/xapi/statements", auth=auth, headers=version),
    ):
        assert response.status_code == 403, response.text
        assert response.json()["code"] == "partner-disabled"
        assert "The contract has ended." in response.json()["detail"]
    token = await second_http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=auth
    )
    assert (token.status_code, token.json()["error"]) == (400, "unauthorized_client")
    assert "contract" in token.json()["error_description"]
    wrong = await second_http.get("/xapi/statements", auth=(partner.key, "x"), headers=version)
    assert wrong.status_code == 401
    assert (await owner.get(url)).json()["disabled_reason"] == "The contract has ended."
    assert (await owner.post(f"{url}/enable")).status_code == 200
    assert (await partner.send(statement())).status_code == 200
    actions = [entry["action"] for entry in await audited(owner, partner.name)]
    assert actions == ["partner.enable", "partner.disable"]


async def test_repeated_key_returns_the_first_response(owner: httpx.AsyncClient) -> None:
    name, headers = new_name(), {"Idempotency-Key": uuid4().hex}
    responses = await asyncio.gather(
        *(owner.post(PARTNERS, json={"name": name}, headers=headers) for _ in range(4))
    )
    assert [response.status_code for response in responses] == [201] * 4
    assert len({response.text for response in responses}) == 1
    assert [response.headers.get("idempotency-replayed") for response in responses].count(
        "true"
    ) == 3
    other = await owner.post(PARTNERS, json={"name": new_name()}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(await audited(owner, name)) == 1


async def test_failed_request_may_be_repeated_with_the_same_key(owner: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    bad = await owner.post(PARTNERS, json={"name": "no spaces"}, headers=headers)
    assert bad.status_code == 400
    good = await owner.post(PARTNERS, json={"name": new_name()}, headers=headers)
    assert good.status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_invalid_idempotency_key_is_refused(owner: httpx.AsyncClient, key: str) -> None:
    response = await owner.post(PARTNERS, json={"name": "x"}, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "Idempotency-Key"


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=x", "cursor=x", "cursor=WyJhIl0x", "cursor=WzFd", "unknown=1"]
)
async def test_invalid_parameter_of_a_list_is_refused(owner: httpx.AsyncClient, query: str) -> None:
    response = await owner.get(f"{PARTNERS}?{query}")
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == query.partition("=")[0]


async def test_viewer_changes_nothing(admin: Admin, partner: Partner) -> None:
    viewer = await admin("viewer")
    url = f"{PARTNERS}/{partner.name}"
    assert (await viewer.get(url)).status_code == 200
    for response in (
        await viewer.post(PARTNERS, json={"name": new_name()}),
        await viewer.patch(url, json={"title": "x"}),
        await viewer.post(f"{url}/disable", json={"reason": "x"}),
        await viewer.post(f"{url}/credentials", json={}),
        await viewer.post(f"{url}/credentials/{partner.key}/rotate"),
        await viewer.post(f"{url}/credentials/{partner.key}/revoke"),
        await viewer.patch(f"{url}/credentials/{partner.key}", json={"label": "x"}),
        await viewer.post(f"{url}/tools", json={"name": "tool"}),
        await viewer.post(f"{url}/contents/x/delete"),
        await viewer.get("/v1/admin/audit"),
        await viewer.get("/v1/admin/operators"),
    ):
        assert response.status_code == 403, response.request.url
    assert (await viewer.get(url)).json()["title"] == ""
