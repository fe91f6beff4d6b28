"""If-Match, If-None-Match and concurrent changes of documents."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx
import pytest

from lrs.store import documents
from tests.support.documents import BINARY, NONE_YET, Resource, code


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_if_match_allows_the_current_etag_only(resource: Resource, method: str) -> None:
    async def ask(etag: str) -> httpx.Response:
        content = None if method == "DELETE" else {"b": 2}
        return await resource.ask(method, "one", content, {"If-Match": etag})

    for wrong in ("*", '"1234"'):
        assert code(await ask(wrong)) == (412, "precondition-failed")
    assert await resource.ids() == []
    etag = await resource.store({"a": 1})
    for wrong in ('"1234"', '"' + "1" * 40 + '"', 'W/"1234"', '"1234", "5678"'):
        assert code(await ask(wrong)) == (412, "precondition-failed")
        assert json.loads(await resource.content()) == {"a": 1}
    response = await ask(f'"1234", W/{etag}')
    assert response.status_code == 204
    if method == "DELETE":
        assert await resource.ids() == []
    else:
        assert json.loads(await resource.content())["b"] == 2
        assert code(await ask(etag)) == (412, "precondition-failed")
        assert (await ask("*")).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_if_none_match_refuses_the_current_etag(resource: Resource, method: str) -> None:
    content = None if method == "DELETE" else {"b": 2}
    assert (await resource.ask(method, "one", content, NONE_YET)).status_code == 204
    await resource.ask("DELETE")
    etag = await resource.store({"a": 1})
    for listed in ("*", etag, f"W/{etag}", f'"1234", {etag}'):
        response = await resource.ask(method, "one", content, {"If-None-Match": listed})
        assert code(response) == (412, "precondition-failed")
        assert json.loads(await resource.content()) == {"a": 1}
    response = await resource.ask(method, "one", content, {"If-None-Match": '"1234"'})
    assert response.status_code == 204


async def test_get_with_matching_etag_returns_304(resource: Resource) -> None:
    etag = await resource.store({"a": 1})
    for listed in (etag, f"W/{etag}", "*"):
        response = await resource.ask("GET", headers={"If-None-Match": listed})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == etag
    assert (await resource.ask("GET", headers={"If-None-Match": '"1"'})).status_code == 200
    assert (await resource.ask("GET", headers={"If-Match": etag})).status_code == 200
    response = await resource.ask("GET", headers={"If-Match": '"1"'})
    assert code(response) == (412, "precondition-failed")


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_malformed_precondition_is_refused(resource: Resource, name: str) -> None:
    response = await resource.ask("PUT", "one", b"", {name: '"a" "b"'})
    assert code(response) == (400, "bad-request")
    assert name in response.json()["detail"]


async def test_put_of_a_new_profile_requires_a_precondition(resource: Resource) -> None:
    response = await resource.ask("PUT", "one", {"a": 1})
    if resource.version == "1.0.3" and not resource.is_state:
        assert code(response) == (400, "bad-request")
        assert "If-None-Match" in response.json()["detail"]
        assert await resource.ids() == []
    else:
        assert response.status_code == 204
        assert json.loads(await resource.content()) == {"a": 1}


async def test_put_of_an_existing_profile_without_precondition_returns_409(
    resource: Resource,
) -> None:
    await resource.store({"a": 1})
    response = await resource.ask("PUT", "one", {"b": 2})
    if resource.version == "1.0.3" and resource.is_state:
        assert response.status_code == 204
        assert json.loads(await resource.content()) == {"b": 2}
    else:
        assert code(response) == (409, "concurrency-conflict")
        assert "If-Match" in response.json()["detail"]
        assert json.loads(await resource.content()) == {"a": 1}


async def test_concurrent_merges_are_all_applied(resource: Resource) -> None:
    responses = await asyncio.gather(
        *(resource.ask("POST", "one", {f"k{n}": n}) for n in range(20)),
    )
    assert {response.status_code for response in responses} == {204}
    assert json.loads(await resource.content()) == {f"k{n}": n for n in range(20)}


async def test_one_of_concurrent_conditional_puts_succeeds(resource: Resource) -> None:
    for headers in (NONE_YET, {"If-Match": "etag"}):
        if "If-Match" in headers:
            headers["If-Match"] = (await resource.ask("GET")).headers["ETag"]
        responses = await asyncio.gather(
            *(resource.ask("PUT", "one", {f"{headers}": n}, headers) for n in range(20)),
        )
        statuses = [response.status_code for response in responses]
        assert Counter(statuses) == {204: 1, 412: 19}
        won = json.loads(await resource.content())
        assert won == {f"{headers}": statuses.index(204)}


async def test_one_of_concurrent_conditional_deletes_succeeds(resource: Resource) -> None:
    etag = await resource.store(BINARY)
    responses = await asyncio.gather(
        *(resource.ask("DELETE", headers={"If-Match": etag}) for _ in range(20)),
    )
    assert Counter(response.status_code for response in responses) == {204: 1, 412: 19}


async def test_concurrent_puts_and_deletes_terminate(resource: Resource) -> None:
    responses = await asyncio.gather(
        *(
            resource.ask(*requested)
            for n in range(15)
            for requested in (
                ("POST", "one", {f"k{n}": n}),
                ("DELETE", "one"),
                ("DELETE", "one", None, {"If-Match": "*"}),
                *([("DELETE", None)] if resource.is_state else []),
            )
        )
    )
    assert {response.status_code for response in responses} <= {204, 412}


async def test_document_swap_gives_up_after_its_retry_limit(
    resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> bool:
        return False

    await resource.store({"a": 1})
    monkeypatch.setattr(documents, "_swap", lost)
    response = await resource.ask("POST", "one", {"b": 2})
    assert code(response) == (409, "concurrency-conflict")
    assert response.headers["Retry-After"] == "1"
    assert json.loads(await resource.content()) == {"a": 1}
