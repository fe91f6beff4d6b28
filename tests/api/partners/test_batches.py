"""Batches with invalid items, and size limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from lrs.api.services import Services
from tests.support.partner_statements import BROKEN, of_size, outcomes, pointers
from tests.support.partners import Partner
from tests.support.statements import JSON, new_id, statement

# Refused items


async def test_invalid_statement_returns_every_violation(partner: Partner) -> None:
    response = await partner.send(BROKEN)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "invalid-statement"
    assert pointers(problem) == ["", "/actor/mbox", "/surplus", "/verb/id"]
    assert all(error["detail"] and error["requirement"] for error in problem["errors"])
    assert await partner.all() == []


async def test_batch_with_invalid_items_returns_207_and_stores_the_valid_ones(
    partner: Partner,
) -> None:
    good, existing = statement(id=new_id()), statement(id=new_id())
    await partner.send(existing)
    response = await partner.send(
        [good, BROKEN, existing, 7, {**existing, "actor": {"mbox": "mailto:a@b.c"}}]
    )
    assert response.status_code == 207
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["summary"] == {
        "received": 5,
        "conflict": 1,
        "duplicate": 1,
        "invalid": 2,
        "stored": 1,
    }
    results = body["results"]
    assert [result["index"] for result in results] == [0, 1, 2, 3, 4]
    assert [result["status"] for result in results] == [200, 400, 409, 400, 409]
    assert outcomes(response) == ["stored", "invalid", "duplicate", "invalid", "conflict"]
    assert [result["id"] for result in results] == [
        good["id"],
        None,
        existing["id"],
        None,
        existing["id"],
    ]
    assert not any(result["retryable"] for result in results)
    assert results[0]["problem"] is None
    assert pointers(results[1]["problem"]) == ["", "/actor/mbox", "/surplus", "/verb/id"]
    assert pointers(results[3]["problem"]) == [""]
    assert pointers(results[4]["problem"]) == ["/actor/mbox"]
    assert {item["id"] for item in await partner.all()} == {good["id"], existing["id"]}


async def test_batch_of_invalid_items_returns_400_with_each_outcome(partner: Partner) -> None:
    response = await partner.send([BROKEN, {}, None])
    assert response.status_code == 400
    assert outcomes(response) == ["invalid"] * 3
    assert response.json()["summary"] == {"received": 3, "invalid": 3}


async def test_batch_of_large_items_returns_413_with_each_outcome(partner: Partner) -> None:
    response = await partner.send(b"[" + of_size(16_385) + b"," + of_size(20_000) + b"]")
    assert response.status_code == 413
    assert outcomes(response) == ["too_large"] * 2


async def test_statement_of_16384_bytes_is_accepted_and_larger_refused(partner: Partner) -> None:
    assert (await partner.send(of_size(16_384))).status_code == 200
    response = await partner.send(of_size(16_385))
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    # White space around a statement is not part of it.
    assert (await partner.send(b"\n " + of_size(16_384) + b" \n")).status_code == 200
    assert len(await partner.all()) == 2


async def test_size_limit_applies_to_each_item_of_a_batch(partner: Partner) -> None:
    response = await partner.send(b"[" + of_size(16_384) + b" , " + of_size(16_385) + b"]")
    assert response.status_code == 207
    assert outcomes(response) == ["stored", "too_large"]
    assert response.json()["results"][1]["problem"]["code"] == "too-large"


async def test_size_limit_counts_encoded_bytes(partner: Partner) -> None:
    def named(characters: int) -> bytes:
        actor = {"mbox": "mailto:a@b.example", "name": "ä" * characters}
        return json.dumps(statement(actor=actor), ensure_ascii=False).encode()

    fitting = 8_192 - 100
    assert len(named(fitting)) <= 16_384
    assert (await partner.send(named(fitting))).status_code == 200
    assert (await partner.send(named(8_192))).status_code == 413


async def test_invalid_item_in_any_position_refuses_that_item_only(
    partner: Partner,
) -> None:
    for position in range(3):
        batch: list[Any] = [statement(), statement()]
        batch.insert(position, BROKEN)
        response = await partner.send(batch)
        assert [result["status"] for result in response.json()["results"]].index(400) == position
    assert len(await partner.all()) == 6


# Refused requests


async def test_batch_beyond_the_item_limit_returns_413(partner: Partner) -> None:
    response = await partner.send(b"[" + b",".join([b"{}"] * 1001) + b"]")
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert "1001" in response.json()["detail"]
    assert (await partner.send([{}] * 1000)).status_code == 400


async def test_body_with_large_content_length_is_not_read(
    partner: Partner, services: Services
) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x"

    limit = services.settings.max_body_bytes
    response = await partner.http.post(
        partner.url("statements"),
        content=body(),
        headers={**partner.headers, **JSON, "Content-Length": str(limit + 1)},
    )
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert read == []


async def test_chunked_body_is_read_up_to_the_limit(partner: Partner, services: Services) -> None:
    sent = 0
    chunk = b" " * 1_048_576

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(services.settings.max_body_bytes // len(chunk) + 100):
            sent += len(chunk)
            yield chunk

    response = await partner.http.post(
        partner.url("statements"), content=body(), headers={**partner.headers, **JSON}
    )
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert sent <= services.settings.max_body_bytes + 2 * len(chunk)


async def test_large_body_with_an_invalid_token_returns_401_on_a_real_connection(
    partner: Partner, server: str
) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        response = await client.post(
            partner.url("statements"),
            content=b" " * 20_000_000,
            headers={**partner.headers, **JSON},
        )
        # The token has another issuer: it is refused before the body is read.
        assert response.status_code == 401
        assert (await client.get("/healthz")).status_code == 200


async def test_other_media_type_than_json_is_refused(partner: Partner) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = await partner.send(statement(), headers={"Content-Type": content_type})
        assert (response.status_code, response.json()["code"]) == (400, "unsupported-media-type")
    for content_type in ("application/json; charset=utf-8", "Application/JSON"):
        response = await partner.send(statement(), headers={"Content-Type": content_type})
        assert response.status_code == 200
