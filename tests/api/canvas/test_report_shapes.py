"""Reports without a page, and bodies of other shapes that Canvas counts at the xAPI URL."""

from __future__ import annotations

from typing import Any

import pytest

from lrs.api.services import Services
from tests.support.canvas import BODY, VIEW_EVENT, Tool, accepted, body, count_rows, message

VIEW: dict[str, Any] = {
    "@context": "http://purl.imsglobal.org/ctx/caliper/v1/ViewEvent",
    "@type": VIEW_EVENT,
    "actor": {"@id": "http://example.com/users/1"},
    "action": "viewed",
    "eventTime": "2026-01-02T03:04:05.000Z",
    "duration": "PT2M",
    "object": {"@id": "http://example.com/page", "name": "A page"},
}
VIEW_1_1: dict[str, Any] = {
    "@context": "http://purl.imsglobal.org/ctx/caliper/v1p1",
    "type": "ViewEvent",
    "id": "urn:uuid:cd088ca7-c044-405c-bb41-0b2a8506f907",
    "action": "Viewed",
    "object": {"id": "http://example.com/page", "type": "WebPage"},
}
ENVELOPE = {"sensor": "http://example.com/s", "sendTime": "2026-01-02T03:04:05.000Z"}


async def counted(services: Services, tool: Tool) -> tuple[int, int, int]:
    rows = await count_rows(services, tool)
    return rows["views"], rows["seconds"], rows["accesses"]


@pytest.mark.parametrize(
    "page",
    [{}, {"object": {}}, {"object": {"id": ""}}, {"object": {"id": " "}}, {"object": {"id": None}},
     {"object": {"id": 7}}, {"object": {"id": "a\0b"}}, {"object": "x"}, {"object": ["x"]}],
    ids=str,
)  # fmt: skip
async def test_report_without_a_page_counts_as_activity_time(
    services: Services, tool: Tool, page: dict[str, Any]
) -> None:
    accepted(await tool.send({**page, "result": {"duration": "PT1M"}}))
    assert await counted(services, tool) == (1, 60, 1)
    (view,) = await tool.views()
    assert (view["url"], view["interaction_seconds"]) == (None, 60.0)
    (stored,) = await tool.partner.all()
    assert stored["object"]["id"] == f"{tool.partner.home_page}/tools/{tool.name}"
    assert stored["result"] == {"duration": "PT1M"}
    csv = (await tool.read("/api/v1/users/42/page_views.csv")).text
    assert csv.splitlines()[1].split(",")[2] == ""


async def test_caliper_event_without_a_page_counts_as_activity_time(
    services: Services, tool: Tool
) -> None:
    accepted(await tool.caliper({**VIEW, "object": {}}))
    assert await counted(services, tool) == (1, 120, 1)
    response = await tool.caliper({"@type": VIEW_EVENT})
    assert response.status_code == 400
    assert message(response).startswith("object.@id or duration is required")


@pytest.mark.parametrize(
    ("payload", "seconds"),
    [
        (VIEW, 120),
        ({**VIEW, "@type": "http://purl.imsglobal.org/caliper/v1/SessionEvent"}, 120),
        ({**ENVELOPE, "data": [VIEW]}, 120),
        (VIEW_1_1, 0),
        ({**VIEW_1_1, "object": "http://example.com/page", "duration": "PT2M"}, 120),
        ({**ENVELOPE, "dataVersion": "http://purl.imsglobal.org/ctx/caliper/v1p1",
          "data": [VIEW_1_1]}, 0),
    ],
    ids=["1.0", "other type", "envelope", "1.1", "object is an id", "envelope of 1.1"],
)  # fmt: skip
async def test_caliper_event_at_the_xapi_url_counts(
    services: Services, tool: Tool, payload: dict[str, Any], seconds: int
) -> None:
    accepted(await tool.send(payload))
    assert await counted(services, tool) == (1, seconds, 1)
    (view,) = await tool.views()
    assert (view["url"], view["interaction_seconds"]) == (
        "http://example.com/page", float(seconds or 5),
    )  # fmt: skip
    (stored,) = await tool.partner.all()
    assert stored["object"]["id"] == "http://example.com/page"
    assert stored["context"]["extensions"]["urn:x-lrs:callback"] == payload


async def test_list_of_one_statement_counts_like_the_statement(
    services: Services, tool: Tool
) -> None:
    accepted(await tool.send([BODY]))
    assert await counted(services, tool) == (1, 180, 1)
    (stored,) = await tool.partner.all()
    assert stored["id"] == BODY["id"]


async def test_list_counts_as_one_view_with_the_sum_of_the_durations(
    services: Services, tool: Tool
) -> None:
    accepted(await tool.send([body("PT1M"), {"object": {"id": "x:y"}}, body("PT2M"), 7]))
    assert await counted(services, tool) == (1, 180, 1)
    accepted(await tool.send({**ENVELOPE, "data": [VIEW, {**VIEW, "duration": None}]}))
    assert await counted(services, tool) == (2, 300, 2)


async def test_malformed_duration_in_a_list_returns_422(services: Services, tool: Tool) -> None:
    for payload in (
        [body("PT1M"), body("soon")],
        [body(f"PT{10**12}S")] * 2,
        {**VIEW, "duration": 7},
    ):
        assert (await tool.send(payload)).status_code == 422
    assert await counted(services, tool) == (0, 0, 0)
