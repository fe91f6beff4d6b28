"""Requests to the people import, and the rows that it takes."""

from __future__ import annotations

from typing import Any

import httpx

from lrs.api.services import Services
from tests.support.files import DOCS
from tests.support.learning_history import project_all
from tests.support.partners import Partner
from tests.support.statements import statement

Json = dict[str, Any]

DOCUMENT = (DOCS / "people.md").read_text(encoding="utf-8")
COURSE = "http://datacamp.com/course/123"
ADA = "ada@example.com"


async def post(
    operator: Partner, body: str | bytes | list[Json], **params: str | list[str]
) -> httpx.Response:
    headers: dict[str, str] = {}
    content: Json = {"json": body}
    if not isinstance(body, list):
        content = {"content": body.encode() if isinstance(body, str) else body}
        headers = {"Content-Type": "text/csv"}
    return await operator.http.post(
        operator.url("people/imports"),
        params=params,
        headers=operator.headers | headers,
        **content,
    )


async def import_rows(operator: Partner, *rows_sent: Any, **params: str) -> Json:
    """Imports rows, or a table."""
    response = await post(operator, _body(rows_sent), **params)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def preview(operator: Partner, *rows_sent: Any, **params: str) -> list[Json]:
    response = await post(operator, _body(rows_sent), preview="true", **params)
    assert response.status_code == 200, response.text
    return list(response.json()["results"])


async def refused(operator: Partner, *rows_sent: Any) -> list[tuple[int, str, str]]:
    """The refused rows with columns and details, checked to be those of the preview."""
    response = await post(operator, list(rows_sent))
    assert (response.status_code, response.json()["code"]) == (400, "invalid-import")
    results = response.json()["results"]
    expected = (await post(operator, list(rows_sent), preview="true")).json()["results"]
    assert results == [item for item in expected if item["outcome"] == "refused"]
    return [
        (item["index"], error["pointer"], error["detail"])
        for item in results
        for error in item["errors"]
    ]


def _body(rows_sent: tuple[Any, ...]) -> str | list[Json]:
    return rows_sent[0] if isinstance(rows_sent[0], str) else list(rows_sent)


def outcomes(response: Json) -> list[str]:
    return [item["outcome"] for item in response["results"]]


def user(name: str, **columns: Any) -> Json:
    return {"type": "user", "user": name, **columns}


def identifier(name: str, kind: str, value: str, **columns: Any) -> Json:
    return {"type": "identifier", "user": name, "kind": kind, "value": value, **columns}


def membership(name: str, first: str, last: str | None = None, **columns: Any) -> Json:
    return {"type": "membership", "user": name, "from": first, "to": last, **columns}


GROUP = {"type": "group", "organization": "north", "title": "Region North"}
TEAM = {"type": "team", "team": "analytics", "name": "Analytics"}


async def complete_content(services: Services, operator: Partner, **actors: Json) -> None:
    """Sends a completion of each actor, and projects it."""
    for name, actor in actors.items():
        sent = statement(actor=actor, object={"id": f"http://example.com/{name}"})
        assert (await operator.send(sent)).status_code == 200
    await project_all(services, operator.partner_id)
