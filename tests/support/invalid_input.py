"""Requests with invalid input, and the checks on every refusal."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.support.partners import Partner
from tests.support.statements import JSON, XAPI, statement

EVENT = {
    "content_id": "1",
    "user": "u",
    "status": "started",
    "event_date": "2026-01-01T00:00:00Z",
}
INTERFACES = ["statements", "track", "xapi"]


def url(partner: Partner, interface: str) -> str:
    return "/xapi/statements" if interface == "xapi" else partner.url(interface)


async def post(
    partner: Partner, interface: str, body: bytes, headers: dict[str, str] | None = None
) -> httpx.Response:
    return await partner.http.post(
        url(partner, interface),
        content=body,
        headers={**JSON, **XAPI, **partner.headers, **(headers or {})},
    )


async def get(partner: Partner, query: str, interface: str = "statements") -> httpx.Response:
    return await partner.http.get(
        f"{url(partner, interface)}?{query}", headers={**XAPI, **partner.headers}
    )


def check(response: httpx.Response) -> None:
    """Asserts that the status is below 500, and that an error is a problem, or one per item."""
    assert response.status_code < 500, response.text
    if response.status_code < 400:
        return
    body = response.json()
    if response.headers["content-type"] == "application/json":
        assert [result["index"] for result in body["results"]] == [*range(len(body["results"]))]
        problems = [result["problem"] for result in body["results"] if result["problem"]]
    else:
        assert response.headers["content-type"] == "application/problem+json"
        assert body["status"] == response.status_code
        problems = [body]
    for problem in problems:
        assert problem["type"] == f"urn:lrs:problem:{problem['code']}"
        assert problem["title"]
        assert problem["detail"]
        for error in problem.get("errors", ()):
            assert error["detail"]
            assert error["requirement"]


async def refused(
    partner: Partner, interface: str, body: bytes, code: str, status: int = 400
) -> dict[str, Any]:
    """Asserts that the body is refused; returns the problem."""
    response = await post(partner, interface, body)
    check(response)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert await partner.all() == []
    return dict(response.json())


def text(**members: Any) -> str:
    return json.dumps(statement(**members))
