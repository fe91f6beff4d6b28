"""Statements and page views that a callback stores."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import page_views, tools
from tests.support.canvas import NOTHING, Tool, accepted, body, counted, instance, refused
from tests.support.statements import statement


async def test_actor_and_context_come_from_the_launch(tool: Tool) -> None:
    told = body(actor={"mbox": "mailto:somebody.else@example.com"})
    accepted(await tool.send(told))
    (stored,) = await tool.partner.all()
    home = tool.partner.home_page
    assert stored["actor"] == {
        "objectType": "Agent", "account": {"homePage": home, "name": "42"},
    }  # fmt: skip
    assert stored["authority"]["account"] == {"homePage": home, "name": "tools/player"}
    activities = stored["context"]["contextActivities"]
    assert [each["id"] for each in activities["parent"]] == [f"{home}/courses/9"]
    assert [each["id"] for each in activities["grouping"]] == [f"{home}/tools/player"]
    assert stored["context"]["extensions"] == {
        "urn:x-lrs:launch": {"tool": "player", "user": "42", "course": "9"},
        "urn:x-lrs:callback": told,
    }
    agent = json.dumps({"account": {"homePage": home, "name": "42"}})
    assert len(await tool.partner.all(agent=agent)) == 1
    course = f"{home}/courses/9"
    assert len(await tool.partner.all(activity=course, related_activities="true")) == 1


async def test_valid_members_of_the_callback_are_kept(tool: Tool) -> None:
    told = body(
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
    accepted(await tool.send(told))
    (stored,) = await tool.partner.all()
    for name in ("id", "verb", "result", "timestamp"):
        assert stored[name] == told[name]
    assert stored["object"]["definition"] == told["object"]["definition"]
    assert stored["context"]["registration"] == told["context"]["registration"]
    assert stored["context"]["extensions"]["http://example.com/x"] == [1]
    parents = stored["context"]["contextActivities"]["parent"]
    assert [each["id"] for each in parents][1:] == ["http://example.com/unit"]


async def test_repeated_callback_is_deduplicated(services: Services, tool: Tool) -> None:
    told = body("PT1M")
    accepted(await tool.send(told))
    once = await counted(services, tool)
    assert (once["views"], once["seconds"], once["accesses"]) == (1, 60, 1)
    for again in (told, told, {**told, "result": {"duration": "PT2M"}}):
        accepted(await tool.send(again))
    assert await counted(services, tool) == once
    assert len(await tool.partner.all()) == 1


async def test_id_used_by_another_statement_is_replaced(services: Services, tool: Tool) -> None:
    """Tools copy the id of the vendor's example; each learner still counts."""
    (taken,) = [statement(id=str(uuid4()))]
    assert (await tool.partner.send(taken)).status_code == 200
    other = await tool.launch("43")
    told = body("PT1M", id=taken["id"].upper())
    for each in (tool, other, tool, other):
        accepted(await each.send(told))
    for each in (tool, other):
        found = await counted(services, each)
        assert (found["views"], found["seconds"], found["statements"]) == (1, 60, 3)
        (stored,) = await tool.partner.all(
            agent=json.dumps({"account": {"homePage": tool.partner.home_page, "name": each.user}})
        )
        assert stored["id"] != taken["id"]
        assert stored["context"]["extensions"]["urn:x-lrs:callback"]["id"] == told["id"]


async def test_callback_without_id_counts_every_request(services: Services, tool: Tool) -> None:
    for number in range(3):
        told = {"object": {"id": f"page {number}"}, "id": "not a UUID"}
        accepted(await tool.send(told))
    assert (await counted(services, tool))["views"] == 3
    assert {view["url"] for view in await tool.views()} == {"page 0", "page 1", "page 2"}


def nested(depth: int) -> Any:
    found: Any = "deep"
    for _ in range(depth):
        found = {"x": found}
    return found


@pytest.mark.parametrize(
    "told",
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
    ids=lambda told: str(told)[:60],
)  # fmt: skip
async def test_invalid_members_are_kept_in_an_extension(tool: Tool, told: dict[str, Any]) -> None:
    content = json.dumps({"object": {"id": "http://example.com/"}, **told}).encode()
    accepted(await tool.send(content))
    (stored,) = await tool.partner.all()
    answer = await tool.partner.send({**stored, "id": str(uuid4())})
    if len(content) < 5_000 and "stored" not in told:
        assert answer.status_code == 200, answer.text  # the stored statement is valid
    kept = stored["context"]["extensions"]["urn:x-lrs:callback"]
    assert (json.loads(kept) if isinstance(kept, str) else kept) == json.loads(content)
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
    answer = await tool.send(nonce="mine")
    refused(answer, 500, "An error occurred.", error_code="internal_server_error")
    assert await counted(services, tool) == NOTHING
    monkeypatch.undo()
    accepted(await tool.send(nonce="mine"))


async def test_page_views_are_not_stored_when_disabled(
    services: Services, settings: Settings, tool: Tool
) -> None:
    await tools.set_page_views(services.database, tool.partner.name, False)
    async with instance(settings) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    off = {"views": 0, "seconds": 60, "summed": 0, "accesses": 1, "days": 0, "statements": 1}
    assert await counted(services, tool) == off
    await tools.set_page_views(services.database, tool.partner.name, None)
    async with instance(settings, page_views_enabled=False) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    assert (await counted(services, tool))["views"] == 0
    async with instance(settings) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    assert (await counted(services, tool))["views"] == 1
