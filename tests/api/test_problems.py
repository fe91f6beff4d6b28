"""Problem responses of each interface: status, code and members."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from lrs.observability import metrics
from tests.support.partners import Partner
from tests.support.statements import JSON, XAPI, new_id, statement


async def refused(response: httpx.Response, code: str, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert body["status"] == status
    return body


async def test_unknown_resource_returns_not_found(http: httpx.AsyncClient) -> None:
    await refused(await http.get("/no/such/resource"), "not-found", 404)


async def test_unsupported_method_returns_method_not_allowed(http: httpx.AsyncClient) -> None:
    response = await http.delete("/healthz")
    await refused(response, "method-not-allowed", 405)
    assert "GET" in response.headers["allow"]


async def test_missing_credentials_return_unauthorized(
    http: httpx.AsyncClient, partner: Partner
) -> None:
    response = await http.post(partner.url("statements"), json=statement())
    await refused(response, "unauthorized", 401)
    assert response.headers["www-authenticate"]


async def test_token_of_another_partner_returns_forbidden(
    partner: Partner, stranger: Partner
) -> None:
    response = await partner.http.get(stranger.url("statements"), headers=partner.headers)
    await refused(response, "forbidden", 403)


async def test_token_without_scope_returns_missing_scope(partner: Partner) -> None:
    await partner.authenticate(scope="statements/read")
    response = await partner.send(statement())
    await refused(response, "missing-scope", 403)
    assert 'scope="statements/write"' in response.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed-json"),
        (b'{"id": 1, "id": 1}', "malformed-json"),
        (b"{}", "invalid-statement"),
    ],
)
async def test_invalid_body_returns_malformed_json_or_invalid_statement(
    partner: Partner, body: bytes, code: str
) -> None:
    assert (await refused(await partner.send(body), code, 400))["id"] is None


async def test_invalid_statement_with_valid_id_returns_the_id(partner: Partner) -> None:
    statement_id = new_id()
    single = await partner.send({"id": statement_id.upper()})
    assert (await refused(single, "invalid-statement", 400))["id"] == statement_id.upper()
    batch = await partner.send([{"id": statement_id}, {"id": "x"}])
    assert [item["id"] for item in batch.json()["results"]] == [statement_id, None]


async def test_other_media_type_returns_unsupported_media_type(partner: Partner) -> None:
    response = await partner.send(statement(), headers={"Content-Type": "text/plain"})
    await refused(response, "unsupported-media-type", 400)


async def test_unknown_parameter_returns_invalid_parameter(partner: Partner) -> None:
    body = await refused(await partner.get(Verb="http://example.com/v"), "invalid-parameter", 400)
    assert [error["pointer"] for error in body["errors"]] == ["Verb"]


async def test_unknown_version_returns_unsupported_version(
    http: httpx.AsyncClient, partner: Partner
) -> None:
    for headers in ({}, {"X-Experience-API-Version": "0.9"}):
        response = await http.get("/xapi/statements", headers={**partner.headers, **headers})
        await refused(response, "unsupported-version", 400)


async def test_stored_statement_returns_duplicate_or_conflict(partner: Partner) -> None:
    first = statement(id=new_id())
    assert (await partner.send(first)).status_code == 200
    assert (await refused(await partner.send(first), "duplicate", 409))["id"] == first["id"]
    other = statement(id=first["id"], result={"completion": True})
    body = await refused(await partner.send(other), "statement-conflict", 409)
    assert [error["pointer"] for error in body["errors"]] == ["/result"]


async def test_large_item_returns_too_large(partner: Partner) -> None:
    large = statement(result={"response": "x" * 16_384})
    await refused(await partner.send(large), "too-large", 413)


async def test_batch_with_different_outcomes_returns_207(partner: Partner) -> None:
    fine = statement(id=new_id())
    response = await partner.send([fine, {}, fine])
    assert response.status_code == 207
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    reported = [
        (result["index"], result["status"], result["outcome"]) for result in body["results"]
    ]
    assert reported == [(0, 200, "stored"), (1, 400, "invalid"), (2, 409, "duplicate")]
    assert [result["id"] for result in body["results"]] == [fine["id"], None, fine["id"]]
    assert body["results"][0]["problem"] is None
    assert body["results"][1]["problem"]["code"] == "invalid-statement"
    assert body["summary"] == {"received": 3, "stored": 1, "invalid": 1, "duplicate": 1}


async def test_refused_atomic_batch_lists_refused_items_only(partner: Partner) -> None:
    stored, fine = statement(id=new_id()), statement(id=new_id())
    assert (await partner.xapi(stored)).status_code == 200
    large = statement(result={"response": "x" * 1_048_576})
    response = await partner.xapi([stored, large, fine, {}])
    body = await refused(response, "invalid-statement", 400)
    assert "summary" not in body
    reported = [(item["index"], item["status"], item["outcome"]) for item in body["results"]]
    assert reported == [(1, 413, "too_large"), (3, 400, "invalid")]
    assert body["results"][1]["problem"] == {name: body[name] for name in body if name != "results"}
    response = await partner.xapi([stored, fine, stored | {"result": {"completion": True}}])
    body = await refused(response, "invalid-statement", 400)
    assert [item["index"] for item in body["results"]] == [2]


async def test_aborted_items_are_not_listed(partner: Partner) -> None:
    def counted() -> list[float]:
        label = metrics.partner_label(partner.name)
        kinds = ("stored", "conflict", "aborted")
        return [metrics.OUTCOMES.labels(label, kind)._value.get() for kind in kinds]

    before = counted()
    existing = statement(id=new_id())
    assert (await partner.xapi(existing)).status_code == 200
    other = existing | {"result": {"completion": True}}
    response = await partner.xapi([statement(), other])
    body = await refused(response, "statement-conflict", 409)
    assert [(result["index"], result["id"]) for result in body["results"]] == [(1, existing["id"])]
    assert "aborted" not in response.text
    assert [now - start for now, start in zip(counted(), before, strict=True)] == [1, 1, 1]


async def test_problem_of_a_request_or_put_has_no_results(partner: Partner) -> None:
    headers = {**XAPI, **JSON, **partner.headers}
    response = await partner.http.post("/xapi/statements", content=b"[{}, {", headers=headers)
    assert "results" not in await refused(response, "malformed-json", 400)
    url = f"/xapi/statements?statementId={new_id()}"
    response = await partner.http.put(url, json={}, headers=headers)
    assert "results" not in await refused(response, "invalid-statement", 400)


# Documents


async def document(partner: Partner, method: str, content: bytes, kind: str) -> httpx.Response:
    return await partner.http.request(
        method,
        "/xapi/agents/profile",
        params={"agent": '{"mbox": "mailto:learner@example.com"}', "profileId": "p"},
        content=content,
        headers={**XAPI, "Content-Type": kind},
        auth=(partner.key, partner.secret),
    )


async def test_put_of_a_new_profile_without_precondition_returns_bad_request(
    partner: Partner,
) -> None:
    await refused(await document(partner, "PUT", b"{}", "application/json"), "bad-request", 400)


async def test_invalid_merge_returns_the_problem_of_its_cause(partner: Partner) -> None:
    assert (await document(partner, "POST", b"{}", "application/json")).status_code == 204
    response = await document(partner, "POST", b"[]", "application/json")
    await refused(response, "malformed-json", 400)
    response = await document(partner, "POST", b"{}", "text/plain")
    await refused(response, "unsupported-media-type", 400)
    response = await document(partner, "PUT", b"{}", "application/json")
    await refused(response, "concurrency-conflict", 409)
    assert "retry-after" not in response.headers


async def test_token_endpoint_returns_oauth_errors(http: httpx.AsyncClient) -> None:
    for content, status, error in [
        ({"grant_type": "client_credentials", "client_id": "x"}, 401, "invalid_client"),
        (["x"], 400, "invalid_request"),
    ]:
        response = await http.post("/oauth2/token", json=content, headers=JSON)
        assert response.status_code == status
        assert response.json()["error"] == error
        assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("scope", ["é", '"', "\\"])
async def test_scope_with_forbidden_characters_returns_invalid_scope(
    partner: Partner, scope: str
) -> None:
    response = await partner.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", "scope": scope},
        auth=(partner.key, partner.secret),
    )
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_scope"
