"""The tokens of callback URLs: their length, lifetime and rows."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import opaque_tokens
from lrs.auth.secret_box import SecretBox
from lrs.settings import Settings
from lrs.store import callback_tokens, tools
from lrs.xapi.canvas_launches import Launch
from tests.support.app import SECRET_KEY
from tests.support.canvas import (
    INVALID_TOKEN,
    NOT_FOUND,
    Tool,
    accepted,
    body,
    count_rows,
    instance,
    new_tool,
    refused,
    sign_token,
)
from tests.support.partners import Partner


async def count_tokens(services: Services, partner: Partner) -> int:
    number: int = await services.database.readers.fetchval(
        "select count(*) from callback_token where partner_id = $1", partner.partner_id
    )
    return number


async def age_tokens(services: Services, partner: Partner, age: str) -> None:
    await services.database.writers.execute(
        f"update callback_token set issued_at = now() - interval '{age}' where partner_id = $1",
        partner.partner_id,
    )


async def issue(http: httpx.AsyncClient, tool: Tool) -> dict[str, Any]:
    response = await http.post(
        tool.partner.url(f"tools/{tool.name}/callback-urls"),
        json={"user": tool.user, "course": tool.course},
        headers=tool.partner.headers,
    )
    assert response.status_code == 200, response.text
    urls: dict[str, Any] = response.json()
    return urls


@pytest.mark.parametrize("letter", ["x", "ü", "€", "\U0001f600"])
@pytest.mark.parametrize("length", [40, 255])
async def test_url_is_short_whatever_the_ids(
    services: Services, partner: Partner, letter: str, length: int
) -> None:
    tool = await new_tool(services, partner, "t" * 40)
    launched = await tool.launch(letter * length, letter * length)
    for url in (launched.url, launched.caliper_url):
        assert len(url.removeprefix("http://lrs.test")) <= 80  # 160 with a base URL of 80
    accepted(await launched.send())
    rows = await count_rows(services, launched)
    assert (rows["views"], rows["seconds"]) == (1, 180)


async def test_equal_launches_share_a_row_and_others_do_not(services: Services, tool: Tool) -> None:
    other = await new_tool(services, tool.partner, "other")
    launches = [
        await item.launch(user, course)
        for item in (tool, other)
        for user, course in (("42", "9"), ("9", "42"), ("4", "29"), ("42", "9"))
    ]
    assert len({launch.url for launch in launches}) == 6
    assert await count_tokens(services, tool.partner) == 6
    for launch in launches:
        accepted(await launch.send())
    for launch in launches[1:3]:
        assert (await count_rows(services, launch))["accesses"] == 2  # of both tools


async def test_concurrent_equal_launches_get_one_url(services: Services, tool: Tool) -> None:
    launched = await asyncio.gather(*(tool.launch("new", "9") for _ in range(10)))
    assert len({launch.url for launch in launched}) == 1
    assert await count_tokens(services, tool.partner) == 2


async def test_url_derived_as_tsugi_does_is_the_caliper_url(tool: Tool) -> None:
    assert tool.url.replace("xapi", "caliper") == tool.caliper_url


async def test_tokens_of_partners_differ(services: Services, tool: Tool, stranger: Partner) -> None:
    other = await new_tool(services, stranger)
    assert other.url != tool.url
    accepted(await other.send())
    assert (await count_rows(services, tool))["views"] == 0


async def test_token_is_valid_on_every_server(settings: Settings, tool: Tool) -> None:
    async with instance(settings) as http:
        urls = await issue(http, await tool.launch("43"))
        for item in (http, tool.http):
            accepted(await item.send(tool.signed(json.dumps(body()).encode(), url=urls["url"])))


async def test_signed_token_of_an_earlier_version_is_valid(tool: Tool) -> None:
    key = SecretBox(SECRET_KEY).derive_keys("callback token")[0]
    launch = Launch(tool.partner.name, tool.name, "42", "9", int(time.time()), "salt")
    token = sign_token(launch, key)
    accepted(await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}"))
    assert len(await tool.views()) == 1


# Refusals


async def test_changed_token_is_refused_without_a_query(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(*_: object) -> None:
        raise AssertionError("the launch was looked up before the signature was verified")

    monkeypatch.setattr(callback_tokens.LaunchLoader, "load", load)
    base, _, token = tool.url.rpartition("/")
    for at in (0, 7, 8, 30, 55):
        changed = token[:at] + ("0" if token[at] != "0" else "1") + token[at + 1 :]
        refused(await tool.send(url=f"{base}/{changed}"), 401, INVALID_TOKEN)
    for malformed in (token[:-2], f"{token}00", token.upper(), f"{token[:-1]}g"):
        refused(await tool.send(url=f"{base}/{malformed}"), 404, NOT_FOUND)


async def test_token_without_a_row_returns_404(tool: Tool) -> None:
    key = opaque_tokens.token_key(tool.partner.partner_id, tool.name, "nobody", "9")
    secret = SecretBox(SECRET_KEY).derive_keys("opaque callback token")[0]
    token = opaque_tokens.encode(key, secret)
    refused(await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}"), 404, NOT_FOUND)


async def test_token_expires_and_is_valid_again_when_issued_again(
    settings: Settings, services: Services, tool: Tool
) -> None:
    content = json.dumps(body()).encode()
    async with instance(settings, callback_url_ttl_seconds=60) as http:
        accepted(await http.send(tool.signed(content)))
        await age_tokens(services, tool.partner, "61 s")
        services.callback_tokens._launches._cache.clear()
    async with instance(settings, callback_url_ttl_seconds=60) as http:
        refused(await http.send(tool.signed(content)), 401, INVALID_TOKEN)
        urls = await issue(tool.http, tool)  # another server
        assert urls["url"] == tool.url
        accepted(await http.send(tool.signed(content)))


async def test_expiry_is_in_the_response(settings: Settings, tool: Tool) -> None:
    async with instance(settings, callback_url_ttl_seconds=3600) as http:
        urls = await issue(http, tool)
    left = time.mktime(time.strptime(urls["expires_at"][:19], "%Y-%m-%dT%H:%M:%S"))
    assert 3500 < left - time.mktime(time.gmtime()) <= 3600


async def test_revoked_tool_refuses_its_tokens(services: Services, tool: Tool) -> None:
    await tools.revoke_tool(services.database, tool.partner.partner_id, tool.name)
    await asyncio.sleep(0.06)  # the tool is cached
    for _ in range(2):
        refused(await tool.send(), 404, NOT_FOUND)
        await callback_tokens.delete_unused(services.database, 0)


# Deletion


async def test_tokens_of_revoked_tools_are_deleted(services: Services, tool: Tool) -> None:
    other = await new_tool(services, tool.partner, "other")
    await callback_tokens.delete_unused(services.database, 0)
    assert await count_tokens(services, tool.partner) == 2
    await tools.revoke_tool(services.database, tool.partner.partner_id, tool.name)
    assert await callback_tokens.delete_unused(services.database, 0) == 1
    assert await count_tokens(services, tool.partner) == 1
    accepted(await other.send())


async def test_expired_tokens_are_deleted_after_a_day(services: Services, tool: Tool) -> None:
    await age_tokens(services, tool.partner, "25 hours")
    for ttl_seconds, left in ((0, 1), (7200, 1), (1800, 0)):
        await callback_tokens.delete_unused(services.database, ttl_seconds)
        assert await count_tokens(services, tool.partner) == left


# Cache


async def test_launch_is_looked_up_once(
    settings: Settings, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, batches = callback_tokens.LaunchLoader._fetch, []

    async def counted(loader: Any, keys: Any) -> Any:
        batches.append(len(keys))
        return await fetch(loader, keys)

    monkeypatch.setattr(callback_tokens.LaunchLoader, "_fetch", counted)
    launches = [tool, await tool.launch("43"), await tool.launch("44")]
    async with instance(settings) as http:
        for _ in range(2):
            for response in await asyncio.gather(
                *(http.send(item.signed(json.dumps(body()).encode())) for item in launches)
            ):
                accepted(response)
    assert sum(batches) == 3


async def test_cache_of_launches_is_bounded(services: Services, tool: Tool) -> None:
    loader = callback_tokens.LaunchLoader(services.database, max_entries=2)
    partner_id = tool.partner.partner_id
    for user in ("1", "2", "3"):
        await tool.launch(user, "9")
        key = opaque_tokens.token_key(partner_id, tool.name, user, "9")
        launch = await loader.load(key, 0)
        assert launch
        assert (launch.partner, launch.user) == (tool.partner.name, user)
    assert len(loader._cache) == 2
