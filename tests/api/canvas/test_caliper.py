"""Caliper events as callbacks."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from lrs.api.services import Services
from tests.support.canvas import (
    DUPLICATE,
    INVALID_HEADER,
    NOTHING,
    VIEW_EVENT,
    Tool,
    accepted,
    count_rows,
    message,
    refused,
)


def view_event(**members: Any) -> dict[str, Any]:
    return {
        "@context": "http://purl.imsglobal.org/ctx/caliper/v1/ViewEvent",
        "@type": VIEW_EVENT,
        "object": {"@id": "http://example.com/"},
        "duration": "PT10M0S",
        **members,
    }


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/ld+json"])
async def test_view_event_stores_page_view_and_statement(
    services: Services, tool: Tool, content_type: str
) -> None:
    accepted(await tool.caliper(view_event(), content_type=content_type))
    result = await count_rows(services, tool)
    assert (result["seconds"], result["accesses"], result["views"]) == (600, 1, 1)
    (view,) = await tool.views()
    assert (view["url"], view["interaction_seconds"]) == ("http://example.com/", 300.0)
    (stored,) = await tool.partner.all()
    assert stored["verb"]["id"] == "http://adlnet.gov/expapi/verbs/interacted"
    assert stored["result"] == {"duration": "PT10M0S"}


async def test_view_event_without_duration_counts_five_seconds(
    services: Services, tool: Tool
) -> None:
    reported = view_event(id=f"urn:uuid:{uuid4()}", eventTime="2026-01-02T03:04:05.000Z")
    del reported["duration"]
    for _ in range(2):
        accepted(await tool.caliper(reported))
    (view,) = await tool.views()
    assert view["interaction_seconds"] == 5.0
    (stored,) = await tool.partner.all()
    assert f"urn:uuid:{stored['id']}" == reported["id"]
    assert stored["timestamp"] == reported["eventTime"]


@pytest.mark.parametrize(
    "payload", [view_event(**{"@type": "did_not_view"}), {}, [], b"", b"hello", [view_event()]]
)
async def test_other_caliper_events_store_nothing(
    services: Services, tool: Tool, payload: Any
) -> None:
    accepted(await tool.caliper(payload, content_type="text/plain"))
    assert await count_rows(services, tool) == NOTHING


async def test_invalid_caliper_event_is_refused(services: Services, tool: Tool) -> None:
    refused(await tool.caliper(view_event(), client_secret="wrong_one"), 401, INVALID_HEADER)
    response = await tool.caliper(view_event(duration="soon"))
    assert response.status_code == 422
    assert message(response).startswith("duration must be")
    assert (await tool.caliper(view_event(object={}, duration=None))).status_code == 400
    response = await tool.caliper(b"{", nonce="mine")
    refused(response, 400, "An error occurred.", error_code="bad_request")
    assert await count_rows(services, tool) == NOTHING
    accepted(await tool.caliper({}, nonce="mine"))
    refused(await tool.caliper(view_event(), nonce="mine"), 401, DUPLICATE)
