"""Canvas callbacks that are accepted."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256

from lrs.api.services import Services
from lrs.settings import Settings
from tests.support.canvas import (
    BODY,
    SEED,
    Tool,
    accepted,
    authlib_signed,
    body,
    count_rows,
    instance,
    new_tool,
)
from tests.support.partners import Partner


@pytest.mark.parametrize("method", [SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256])
@pytest.mark.parametrize("signer", ["oauthlib", "authlib", "authlib with body hash"])
async def test_vendor_example_stores_page_view_summary_and_statement(
    services: Services, tool: Tool, method: str, signer: str
) -> None:
    content = SEED.read_bytes()
    if signer == "oauthlib":
        request = tool.signed(content, method=method)
    else:
        request = authlib_signed(tool, content, method, with_body_hash="hash" in signer)
    assert ("oauth_body_hash" in request.headers["authorization"]) == (signer != "authlib")
    accepted(await tool.http.send(request))
    (view,) = await tool.views()
    assert (view["url"], view["interaction_seconds"]) == ("http://example.com/", 180.0)
    assert view["links"] == {
        "user": 42, "context": 9, "asset": None, "real_user": None, "account": None,
    }  # fmt: skip
    (stored,) = await tool.partner.all()
    assert stored["id"] == view["id"] == BODY["id"]
    assert stored["result"] == {"duration": "PT3M0S"}
    assert await count_rows(services, tool) == {
        "views": 1, "seconds": 180, "summed": 1, "accesses": 1, "days": 1, "statements": 1,
    }  # fmt: skip


async def test_canvas_example_counts_full_time_and_capped_page_view(
    services: Services, tool: Tool
) -> None:
    """Ten minutes: the activity time counts in full, the page view is capped at five minutes."""
    accepted(await tool.send(body("PT10M0S")))
    result = await count_rows(services, tool)
    assert result["seconds"] == 600
    assert result["accesses"] == 1
    (view,) = await tool.views()
    assert view["interaction_seconds"] == 300.0
    assert view["context_type"] == "Course"


async def test_page_view_cap_is_a_setting(settings: Settings, tool: Tool) -> None:
    async with instance(settings, max_page_view_seconds=600) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT10M1S")).encode())))
    (view,) = await tool.views()
    assert view["interaction_seconds"] == 600.0


async def test_callback_without_result_counts_five_seconds(services: Services, tool: Tool) -> None:
    for reported in ({}, {"result": None}, {"result": "soon"}, {"result": {"duration": None}}):
        accepted(await tool.send({"object": {"id": "http://example.com/"}, **reported}))
    result = await count_rows(services, tool)
    assert (result["views"], result["seconds"], result["accesses"]) == (4, 0, 4)
    assert {view["interaction_seconds"] for view in await tool.views()} == {5.0}


@pytest.mark.parametrize(
    ("duration", "seconds", "displayed"),
    [
        ("PT10M0S", 600, 300), ("PT3M0S", 180, 180), ("PT5M", 300, 300), ("PT5M1S", 301, 300),
        ("PT10M1S", 601, 300), ("PT1H", 3600, 300), ("P1D", 86400, 300), ("P1W", 604800, 300),
        ("PT0S", 0, 0), ("PT0.4S", 0, 0), ("PT0.5S", 1, 1), ("PT1,5S", 2, 2), ("PT1.5M", 90, 90),
        ("P1M", 2628000, 300), ("P1Y", 31536000, 300), ("P10M", 26280000, 300),
    ],
)  # fmt: skip
async def test_callback_duration_is_added_and_capped(
    services: Services, tool: Tool, duration: str, seconds: int, displayed: int
) -> None:
    accepted(await tool.send(body(duration)))
    assert (await count_rows(services, tool))["seconds"] == seconds
    (view,) = await tool.views()
    assert view["interaction_seconds"] == displayed
    (stored,) = await tool.partner.all()
    assert stored["result"]["duration"] == duration


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"],
)
async def test_json_media_type_with_parameters_is_accepted(tool: Tool, content_type: str) -> None:
    accepted(await tool.send(content_type=content_type))


@pytest.mark.parametrize(
    "options",
    [
        {"method": "hmac-sha1"},
        {"resource_owner_key": ""},
        {"realm": "http://lms.example/"},
        {"nonce": "a nonce, with = and & and ü and % in it"},
        {"nonce": "x" * 2_000},
        {"in_query": True},
    ],
    ids=lambda options: next(iter(options)) + str(len(str(options))),
)
async def test_oauth_header_variants_are_accepted(tool: Tool, options: dict[str, Any]) -> None:
    if method := options.get("method"):
        from oauthlib.oauth1 import Client

        Client.register_signature_method(method, Client.SIGNATURE_METHODS[method.upper()])
    accepted(await tool.send(**options))


async def test_other_entries_of_the_header_are_ignored(tool: Tool) -> None:
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"].removeprefix("OAuth ")
    request.headers["authorization"] = f'OAuth realm="here", color="red, blue", {header}, empty='
    accepted(await tool.http.send(request))


async def test_unescaped_signature_is_accepted(tool: Tool) -> None:
    """Some clients do not escape = and + in the header."""
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"]
    request.headers["authorization"] = (
        header.replace("%3D", "=").replace("%2B", "+").replace("%2F", "/")
    )
    accepted(await tool.http.send(request))


async def test_keys_and_secrets_with_any_printable_character_are_accepted(
    services: Services, partner: Partner
) -> None:
    key, secret = "a%2Fb ü=&+", "s%e&c=r+e t ü"
    tool = await new_tool(services, partner, consumer_key=key, secret=secret)
    accepted(await tool.send())
    accepted(await tool.send(method=SIGNATURE_HMAC_SHA256))


@pytest.mark.parametrize(
    ("user", "course"), [("a/b", "c/../d"), ("ü €", "?x=1&y#z"), ("%2F", "9" * 255), ("42", " ")]
)
async def test_user_and_course_ids_with_any_text_are_accepted(
    tool: Tool, user: str, course: str
) -> None:
    launched = await tool.launch(user, course)
    accepted(await launched.send())
    user, course = quote(user, safe=""), quote(course, safe="")
    assert len((await tool.read(f"/api/v1/users/{user}/page_views")).json()) == 1
    response = await tool.read(f"/api/v1/courses/{course}/analytics/users/{user}/activity")
    assert list(response.json()["page_views"].values()) == [1]
