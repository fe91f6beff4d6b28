"""Statements and page views that a callback stores."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import page_views, tools
from tests.support.canvas import NOTHING, Tool, accepted, body, count_rows, instance, refused
from tests.support.statements import statement


async def test_actor_and_context_come_from_the_launch(tool: Tool) -> None:
    reported = body(actor={"mbox": "mailto:somebody.else@example.com"})
    accepted(await tool.send(reported))
    (stored,) = await tool.partner.all()
    home = tool.partner.home_page
    assert stored["actor"] == {
        "objectType": "Agent", "account": {"homePage": home, "name": "42"},
    }  # fmt: skip
    assert stored["authority"]["account"] == {"homePage": home, "name": "tools/player"}
    activities = stored["context"]["contextActivities"]
    assert [item["id"] for item in activities["parent"]] == [f"{home}/courses/9"]
    assert [item["id"] for item in activities["grouping"]] == [f"{home}/tools/player"]
    assert stored["context"]["extensions"] == {
        "urn:x-lrs:launch": {"tool": "player", "user": "42", "course": "9"},
        "urn:x-lrs:callback": reported,
    }
    agent = json.dumps({"account": {"homePage": home, "name": "42"}})
    assert len(await tool.partner.all(agent=agent)) == 1
    course = f"{home}/courses/9"
    assert len(await tool.partner.all(activity=course, related_activities="true")) == 1


async def test_valid_members_of_the_callback_are_kept(tool: Tool) -> None:
    reported = body(
        verb={"id": "http://example.com/verbs/watched", "display": {"en": "watched"}},
        object={
            "id": "http://example.com/film",
            "definition": {"name": {"en": "A film"}, "type": "http://example.com/film"},
        },
        result={"duration": "PT3M", "success": True, "score": {"scaled": 0.5}},
        context={
            "registration": str(uuid4()),
            "language": "en",
            "contextActivities": {"parent": {"id": "http://example.com/unit"}},
            "extensions": {"http://example.com/x": [1]},
        },
        timestamp="2026-01-02T03:04:05Z",
    )
    accepted(await tool.send(reported))
    (stored,) = await tool.partner.all()
    for name in ("id", "verb", "result", "timestamp"):
        assert stored[name] == reported[name]
    assert stored["object"]["definition"] == reported["object"]["definition"]
    assert stored["context"]["registration"] == reported["context"]["registration"]
    assert stored["context"]["extensions"]["http://example.com/x"] == [1]
    parents = stored["context"]["contextActivities"]["parent"]
    assert [item["id"] for item in parents][1:] == ["http://example.com/unit"]


async def test_repeated_callback_is_deduplicated(services: Services, tool: Tool) -> None:
    reported = body("PT1M")
    accepted(await tool.send(reported))
    once = await count_rows(services, tool)
    assert (once["views"], once["seconds"], once["accesses"]) == (1, 60, 1)
    for _ in range(3):
        accepted(await tool.send(reported))
    assert await count_rows(services, tool) == once
    assert len(await tool.partner.all()) == 1


async def test_id_used_by_another_statement_is_replaced(services: Services, tool: Tool) -> None:
    """Tools copy the id of the vendor's example; each learner still counts."""
    (taken,) = [statement(id=str(uuid4()))]
    assert (await tool.partner.send(taken)).status_code == 200
    other = await tool.launch("43")
    reported = body("PT1M", id=taken["id"].upper())
    for item in (tool, other, tool, other):
        accepted(await item.send(reported))
    for item in (tool, other):
        result = await count_rows(services, item)
        assert (result["views"], result["seconds"], result["statements"]) == (1, 60, 3)
        (stored,) = await tool.partner.all(
            agent=json.dumps({"account": {"homePage": tool.partner.home_page, "name": item.user}})
        )
        assert stored["id"] != taken["id"]
        assert stored["context"]["extensions"]["urn:x-lrs:callback"]["id"] == reported["id"]


async def test_callback_without_id_counts_every_request(services: Services, tool: Tool) -> None:
    for number in range(3):
        reported = {"object": {"id": f"page {number}"}, "id": "not a UUID"}
        accepted(await tool.send(reported))
    assert (await count_rows(services, tool))["views"] == 3
    assert {view["url"] for view in await tool.views()} == {"page 0", "page 1", "page 2"}


def nested(depth: int) -> Any:
    result: Any = "deep"
    for _ in range(depth):
        result = {"x": result}
    return result


@pytest.mark.parametrize(
    "payload",
    [
        {"verb": "did"}, {"verb": {"id": "not an iri"}}, {"verb": {"id": 7, "display": "x"}},
        {"verb": {"id": "http://adlnet.gov/expapi/verbs/voided"}},
        {"context": "here"}, {"context": {"registration": "no", "platform": 7}},
        {"context": {"contextActivities": {"parent": "x", "none": []}}},
        {"context": {"contextActivities": [1]}}, {"context": {"extensions": {"no iri": 1}}},
        {"context": {"statement": {"objectType": "StatementRef", "id": "x"}}},
        {"timestamp": "yesterday"}, {"timestamp": 7}, {"version": "9"}, {"authority": {}},
        {"stored": "never"}, {"attachments": [{"x": 1}]}, {"id": 7}, {"id": ["x"]},
        {"object": {"id": "http://example.com/", "objectType": "StatementRef"}},
        {"object": {"id": "http://example.com/", "definition": {"name": "x"}}},
        {"object": {"id": "no iri at all: \u00fc <>"}}, {"object": {"id": "x" * 100_000}},
        {"result": {"score": {"scaled": 7}, "success": "yes", "duration": "PT1M"}},
        {"result": [1]}, {"x": "\0"}, {"\0": 1}, {"x": nested(100)}, {"x": nested(260)},
        {"x": nested(900)}, {"x": 1e300}, {"x": "y" * 900_000}, {"x": ["\U0001f600"] * 100},
        {"context": {"extensions": {f"no iri {number}": number for number in range(3000)}}},
        {"actor": None}, {"actor": "\0"},
    ],
    ids=lambda payload: str(payload)[:60],
)  # fmt: skip
async def test_invalid_members_are_kept_in_an_extension(
    tool: Tool, payload: dict[str, Any]
) -> None:
    content = json.dumps({"object": {"id": "http://example.com/"}, **payload}).encode()
    accepted(await tool.send(content))
    (stored,) = await tool.partner.all()
    response = await tool.partner.send({**stored, "id": str(uuid4())})
    if len(content) < 5_000 and "stored" not in payload:
        assert response.status_code == 200, response.text  # the stored statement is valid
    remaining = stored["context"]["extensions"]["urn:x-lrs:callback"]
    assert (json.loads(remaining) if isinstance(remaining, str) else remaining) == json.loads(
        content
    )
    (view,) = await tool.views()
    assert view["url"] == json.loads(content)["object"]["id"]


# Transaction


async def test_failed_callback_stores_nothing(
    services: Services, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure in the last step rolls back everything, including the nonce."""
    failing = page_views._RECORD.replace(
        "max(received_at)", "max(received_at + interval '1 s' / (1 - 1))"
    )
    monkeypatch.setattr(page_views, "_RECORD", failing)
    response = await tool.send(nonce="mine")
    refused(response, 500, "An error occurred.", error_code="internal_server_error")
    assert await count_rows(services, tool) == NOTHING
    monkeypatch.undo()
    accepted(await tool.send(nonce="mine"))


@pytest.mark.slow
async def test_page_views_are_not_stored_when_disabled(
    services: Services, settings: Settings, tool: Tool
) -> None:
    await tools.set_page_views(services.database, tool.partner.name, False)
    async with instance(settings) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    off = {"views": 0, "seconds": 60, "summed": 0, "accesses": 1, "days": 0, "statements": 1}
    assert await count_rows(services, tool) == off
    await tools.set_page_views(services.database, tool.partner.name, None)
    async with instance(settings, page_views_enabled=False) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    assert (await count_rows(services, tool))["views"] == 0
    async with instance(settings) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    assert (await count_rows(services, tool))["views"] == 1
