"""Dry run with ?validate=true."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.partner_statements import BROKEN, outcomes, pointers
from tests.support.partners import Partner
from tests.support.statements import new_id, statement


async def test_dry_run_returns_outcomes_and_stores_nothing(partner: Partner) -> None:
    existing = statement(id=new_id())
    await partner.send(existing)
    new = statement(id=new_id())
    batch = [
        new,
        existing,
        {**existing, "verb": {"id": "http://example.com/verb"}},
        BROKEN,
        new,
        {**new, "verb": {"id": "http://example.com/verb"}},
    ]
    response = await partner.send(batch, params={"validate": "true"})
    assert response.status_code == 207
    assert outcomes(response) == [
        "stored",
        "duplicate",
        "conflict",
        "invalid",
        "duplicate",
        "conflict",
    ]
    assert response.json()["dry_run"] is True
    assert pointers(response.json()["results"][5]["problem"]) == ["/verb/id"]
    assert [item["id"] for item in await partner.all()] == [existing["id"]]
    real = await partner.send(batch, params={"validate": "false"})
    assert outcomes(real) == outcomes(response)
    assert "dry_run" not in real.json()


@pytest.mark.parametrize(("body", "status"), [(statement(), 200), (BROKEN, 400)])
async def test_dry_run_of_one_statement_returns_its_status(
    partner: Partner, body: Any, status: int
) -> None:
    response = await partner.send(body, params={"validate": "true"})
    assert response.status_code == status
    assert response.json()["summary"]["received"] == 1
    assert await partner.all() == []


@pytest.mark.parametrize(
    "query", ["validate=yes", "validate=", "dry=true", "validate=true&validate=false"]
)
async def test_invalid_or_unknown_parameter_is_refused(partner: Partner, query: str) -> None:
    response = await partner.http.post(
        f"{partner.url('statements')}?{query}", json=statement(), headers=partner.headers
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid-parameter")
    assert await partner.all() == []
