"""Reports with the id of an earlier report: which are retries, and which count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result

from lrs.api.services import Services
from lrs.settings import Settings
from lrs.store import tools
from tests.support.canvas import (
    BODY,
    DUPLICATE,
    Tool,
    accepted,
    body,
    count_rows,
    enable_strict_idempotency,
    instance,
    refused,
)
from tests.support.statements import statement


async def counted(services: Services, tool: Tool) -> tuple[int, int, int]:
    """Page views, seconds and accesses of the launch's user."""
    rows = await count_rows(services, tool)
    return rows["views"], rows["seconds"], rows["accesses"]


async def reused_ids(services: Services, tool: Tool) -> int:
    (listed,) = await tools.list_tools(services.database, tool.partner.name)
    return listed.reused_ids


async def let_retry_window_pass(services: Services, tool: Tool) -> None:
    await services.database.writers.execute(
        "update callback_nonce set expires_at = now() - interval '1 s'"
        " where partner_id = $1 and expires_at < now() + interval '10 min'",
        tool.partner.partner_id,
    )


async def test_report_with_a_reused_id_and_other_content_counts(
    services: Services, tool: Tool
) -> None:
    for minutes in range(1, 5):
        reported = {**BODY, "result": {"duration": f"PT{minutes}M"}}
        for _ in range(2):  # the second one is a retry
            accepted(await tool.send(reported))
    assert await counted(services, tool) == (4, 600, 4)
    stored = await tool.partner.all()
    assert len({item["id"] for item in stored}) == 4
    assert BODY["id"] in {item["id"] for item in stored}
    callbacks = [item["context"]["extensions"]["urn:x-lrs:callback"] for item in stored]
    assert {item["id"] for item in callbacks} == {BODY["id"]}


async def test_equal_report_counts_again_after_ten_minutes(services: Services, tool: Tool) -> None:
    for expected in (1, 2, 3):
        for _ in range(2):
            accepted(await tool.send(BODY))
        assert await counted(services, tool) == (expected, expected * 180, expected)
        await let_retry_window_pass(services, tool)


async def test_retry_with_another_order_of_members_counts_once(
    services: Services, tool: Tool
) -> None:
    reported = body("PT1M")
    accepted(await tool.send(reported))
    accepted(await tool.send(json.dumps(dict(reversed(reported.items())), indent=1).encode()))
    assert await counted(services, tool) == (1, 60, 1)


@pytest.mark.parametrize("reported_id", ["session 7", 7, {"a": 1}], ids=str)
async def test_retry_with_an_id_that_is_no_uuid_counts_once(
    services: Services, tool: Tool, reported_id: Any
) -> None:
    for duration in ("PT1M", "PT1M", "PT2M"):
        accepted(await tool.send(body(duration, id=reported_id)))
    assert await counted(services, tool) == (2, 180, 2)


@pytest.mark.parametrize("members", [{}, {"id": None}, {"id": ""}], ids=str)
async def test_equal_reports_without_an_id_count_each(
    services: Services, tool: Tool, members: dict[str, Any]
) -> None:
    """A heartbeat with the start of its session as timestamp."""
    reported = {
        **members,
        "timestamp": "2026-01-02T03:04:05Z",
        "verb": BODY["verb"],
        "object": {"id": "http://example.com/lesson"},
        "result": {"duration": "PT1M"},
    }
    for _ in range(10):
        accepted(await tool.send(reported))
    assert await counted(services, tool) == (10, 600, 10)
    assert len(await tool.partner.all()) == 10


async def test_replayed_nonce_with_a_reused_id_is_refused(services: Services, tool: Tool) -> None:
    accepted(await tool.send(BODY, nonce="once"))
    for reported in (BODY, {**BODY, "result": {"duration": "PT1M"}}):
        refused(await tool.send(reported, nonce="once"), 401, DUPLICATE)
    await let_retry_window_pass(services, tool)
    refused(await tool.send(BODY, nonce="once"), 401, DUPLICATE)
    assert await counted(services, tool) == (1, 180, 1)
    accepted(await tool.send(BODY))
    assert await counted(services, tool) == (2, 360, 2)


async def test_constant_id_of_all_learners_counts_for_each(services: Services, tool: Tool) -> None:
    learners = [await tool.launch(f"user {number}") for number in range(6)]
    requests = [learner.send(BODY) for learner in learners for _ in range(3)]
    for response in await asyncio.gather(*requests):
        accepted(response)
    for learner in learners:
        assert await counted(services, learner) == (1, 180, 1)


async def test_concurrent_reports_with_one_id_count_each(
    settings: Settings, services: Services, tool: Tool
) -> None:
    async with instance(settings) as other:
        contents = [
            json.dumps({**BODY, "result": {"duration": f"PT{seconds}S"}}).encode()
            for seconds in range(1, 9)
        ]
        responses = await asyncio.gather(
            *(http.send(tool.signed(text)) for text in contents for http in (tool.http, other))
        )
    assert {response.status_code for response in responses} == {200}
    assert await counted(services, tool) == (8, 36, 8)


async def test_id_of_a_statement_of_the_partner_does_not_hide_reports(
    services: Services, tool: Tool
) -> None:
    taken = statement(id=str(uuid4()))
    assert (await tool.partner.send(taken)).status_code == 200
    for _ in range(2):
        accepted(await tool.send(body("PT1M", id=taken["id"].upper())))
    assert await counted(services, tool) == (1, 60, 1)


async def test_page_view_has_the_id_of_its_statement(tool: Tool) -> None:
    for seconds in (1, 2):
        accepted(await tool.send({**BODY, "result": {"duration": f"PT{seconds}S"}}))
    views = {item["id"] for item in await tool.views()}
    assert views == {item["id"] for item in await tool.partner.all()}
    for view in views:
        response = await tool.partner.get(statementId=view)
        assert response.json()["id"] == view


# Counter


async def test_reused_ids_are_counted_and_listed(
    services: Services, tool: Tool, run: Callable[..., Result]
) -> None:
    assert await reused_ids(services, tool) == 0
    for seconds in (1, 2, 3):
        accepted(await tool.send({**BODY, "result": {"duration": f"PT{seconds}S"}}))
        accepted(await tool.send({**BODY, "result": {"duration": f"PT{seconds}S"}}))
        accepted(await tool.send({"object": {"id": "http://example.com/"}}))
    assert await reused_ids(services, tool) == 2
    listed = await asyncio.to_thread(run, "tool", "list", tool.partner.name)
    assert listed.stdout.rstrip().endswith("\t2")


# Strict idempotency by id


async def test_strict_idempotency_counts_an_id_once(services: Services, tool: Tool) -> None:
    await enable_strict_idempotency(services, tool)
    other = await tool.launch("43")
    for item in (tool, other):
        for duration in ("PT1M", "PT1M", "PT2M"):
            accepted(await item.send(body(duration, id=BODY["id"])))
        await let_retry_window_pass(services, tool)
        accepted(await item.send(body("PT1M", id=BODY["id"])))
        assert await counted(services, item) == (1, 60, 1)
    assert await reused_ids(services, tool) == 1
    for _ in range(2):
        accepted(await tool.send({"object": {"id": "http://example.com/"}}))
        accepted(await tool.send({"object": {"id": "http://example.com/"}, "id": "session 7"}))
    assert await counted(services, tool) == (4, 60, 4)


async def test_strict_idempotency_holds_for_concurrent_reports(
    services: Services, tool: Tool
) -> None:
    await enable_strict_idempotency(services, tool)
    requests = [tool.send(body(f"PT{seconds}S", id=BODY["id"])) for seconds in (7,) * 8]
    for response in await asyncio.gather(*requests):
        accepted(response)
    assert await counted(services, tool) == (1, 7, 1)
