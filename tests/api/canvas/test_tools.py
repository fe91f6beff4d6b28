"""Tools: administration, callback URLs, launches."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from lrs.api.services import Services
from lrs.auth import tools
from lrs.auth.secret_box import SecretBox, WrongSecretKey
from lrs.cli import main
from lrs.settings import Settings
from tests.support.app import SECRET_KEY
from tests.support.canvas import Tool, body, message, new_tool
from tests.support.partners import Partner, new_partner


@pytest.fixture
async def operator(services: Services, http: httpx.AsyncClient) -> Partner:
    return await new_partner(services, http, frozenset({"admin"}))


# API


async def test_tool_lifecycle(services: Services, operator: Partner) -> None:
    response = await operator.send({"name": "player"}, resource="tools")
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    added = response.json()
    assert set(added) == {"name", "consumer_key", "secret"}
    tool = await Tool(operator, "player", added["consumer_key"], added["secret"]).launch()
    assert (await tool.send()).status_code == 200

    response = await operator.send({"overlap_hours": 1}, resource="tools/player/rotate")
    rotated = response.json()
    assert response.status_code == 200
    assert rotated["consumer_key"] == added["consumer_key"]
    assert rotated["secret"] != added["secret"]
    await asyncio.sleep(0.06)  # the lifetime of a cached tool
    for secret in (added["secret"], rotated["secret"]):
        assert (await tool.send(client_secret=secret)).status_code == 200
    response = await operator.send({"overlap_hours": 0}, resource="tools/player/rotate")
    newest = response.json()["secret"]
    await asyncio.sleep(0.06)
    assert (await tool.send(client_secret=newest)).status_code == 200
    assert (await tool.send(client_secret=rotated["secret"])).status_code == 401

    path = operator.url("tools/player")
    assert (await operator.http.delete(path, headers=operator.headers)).status_code == 204
    assert (await operator.http.delete(path, headers=operator.headers)).status_code == 404
    await asyncio.sleep(0.06)
    response = await tool.send(client_secret=newest)
    assert response.status_code == 404
    assert message(response) == "The specified resource does not exist."
    assert (await operator.send({}, resource="tools/player/rotate")).status_code == 404
    response = await operator.send(
        {"user": "1", "course": "2"}, resource="tools/player/callback-urls"
    )
    assert response.status_code == 404


async def test_tools_are_listed_without_secrets(services: Services, operator: Partner) -> None:
    assert (await operator.send({"name": "b"}, resource="tools")).status_code == 201
    value = {"name": "a", "consumer_key": "test_key", "secret": "test_secret"}
    assert (await operator.send(value, resource="tools")).json() == value
    response = await operator.http.get(operator.url("tools"), headers=operator.headers)
    listed = response.json()["tools"]
    assert [item["name"] for item in listed] == ["a", "b"]
    assert listed[0]["consumer_key"] == "test_key"
    assert "secret" not in response.text
    rows = await services.database.readers.fetch("select * from tool")
    assert "test_secret" not in str(rows)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({}, 400), ({"name": ""}, 400), ({"name": "a b"}, 400), ({"name": "x" * 64}, 400),
        ({"name": 7}, 400), ({"name": "a", "color": "red"}, 400), ([], 400), (b"{", 400),
        ({"name": "a", "consumer_key": ""}, 400), ({"name": "a", "consumer_key": "a\0"}, 400),
        ({"name": "a", "secret": "short"}, 400), ({"name": "a", "secret": "\ud83d" * 9}, 400),
        ({"name": "taken"}, 409), ({"name": "a", "consumer_key": "taken"}, 409),
    ],
    ids=str,
)  # fmt: skip
async def test_invalid_or_existing_tool_is_refused(
    operator: Partner, value: Any, status: int
) -> None:
    taken = {"name": "taken", "consumer_key": "taken"}
    assert (await operator.send(taken, resource="tools")).status_code == 201
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    response = await operator.send(content, resource="tools")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_refused_secret_is_named_with_its_length(operator: Partner) -> None:
    for secret, length in (
        ("sec", "3 characters"),
        ("x" * 256, "256 characters"),
        ("\0" * 9, "one"),
    ):
        response = await operator.send({"name": "a", "secret": secret}, resource="tools")
        assert response.status_code == 400
        (error,) = response.json()["errors"]
        assert error["pointer"] == "/secret"
        assert f"must be 8 to 255 printable characters, found {length}" in error["detail"]


async def test_another_partner_can_use_the_same_name_and_key(
    operator: Partner, services: Services, http: httpx.AsyncClient
) -> None:
    other = await new_partner(services, http, frozenset({"admin"}))
    for item in (operator, other):
        value = {"name": "player", "consumer_key": "test_key"}
        assert (await item.send(value, resource="tools")).status_code == 201


async def test_tools_without_admin_scope_return_403(
    services: Services, http: httpx.AsyncClient
) -> None:
    everything = await new_partner(services, http)
    lms = await new_partner(services, http, frozenset({"callbacks/write"}))
    nobody = await new_partner(services, http, frozenset({"reports/read"}))
    for item in (everything, lms, nobody):
        assert (await item.send({"name": "a"}, resource="tools")).status_code == 403
        response = await http.get(item.url("tools"), headers=item.headers)
        assert response.status_code == 403
        response = await http.delete(item.url("tools/a"), headers=item.headers)
        assert response.status_code == 403
        assert (await item.send({}, resource="tools/a/rotate")).status_code == 403
        await tools.add_tool(services.database, services.secret_box, item.partner_id, "a")
    launched = {"user": "1", "course": "2"}
    for item, status in ((everything, 200), (lms, 200), (nobody, 403)):
        response = await item.send(launched, resource="tools/a/callback-urls")
        assert response.status_code == status
    path = everything.url("tools/a/callback-urls")
    assert (await http.post(path, json=launched, headers=lms.headers)).status_code == 403
    assert (await http.post(path, json=launched)).status_code == 401


# Callback URLs


@pytest.fixture
async def tool(services: Services, partner: Partner) -> Tool:
    return await new_tool(services, partner)


async def test_callback_url_is_without_expiry(tool: Tool) -> None:
    response = await tool.partner.send(
        {"user": "42", "course": "9", "role": "student"}, resource="tools/player/callback-urls"
    )
    urls = response.json()
    assert set(urls) == {"url", "caliper_url", "expires_at"}
    assert urls["expires_at"] is None
    assert re.fullmatch(r"http://lrs\.test/api/lti/v1/xapi/[a-f0-9]{56}", urls["url"])
    assert urls["caliper_url"] == urls["url"].replace("xapi", "caliper")
    assert response.headers["cache-control"] == "no-store"
    assert urls["url"] == tool.url  # an equal launch


async def test_missing_launch_members_are_reported(tool: Tool) -> None:
    for reported, missing in (
        ({}, ["/user", "/course"]),
        ({"user": "42", "course": ""}, ["/course"]),
    ):
        response = await tool.partner.send(reported, resource="tools/player/callback-urls")
        errors = response.json()["errors"]
        assert [error["pointer"] for error in errors] == missing
        assert {error["detail"] for error in errors} == {"is missing"}


async def test_numeric_ids_are_accepted(tool: Tool) -> None:
    response = await tool.partner.send(
        {"user": 42, "course": 9}, resource="tools/player/callback-urls"
    )
    assert (await tool.send(body(), url=response.json()["url"])).status_code == 200
    assert len(await tool.views()) == 1


LAUNCH = {
    "user_id": "u 1",
    "context_id": "c/1",
    "lti_version": "LTI-1p0",
    "custom_canvas_xapi_url": "$Canvas.xapi.url",
    "custom_caliper_url": "$Caliper.url",
    "custom_other": "$Canvas.user.id",
}


@pytest.mark.parametrize(
    "payload",
    [
        {"parameters": LAUNCH},
        {"user": "u 1", "course": "c/1", "parameters": {**LAUNCH, "user_id": "7"}},
        {"user": "u 1", "parameters": LAUNCH},
    ],
)
async def test_launch_parameters_are_substituted(tool: Tool, payload: dict[str, Any]) -> None:
    response = await tool.partner.send(payload, resource="tools/player/callback-urls")
    result = response.json()["parameters"]
    urls = ("custom_canvas_xapi_url", "custom_caliper_url")
    for name, value in payload["parameters"].items():
        assert name in urls or result[name] == value
    assert (await tool.send(url=result["custom_canvas_xapi_url"])).status_code == 200
    assert result["custom_caliper_url"].startswith("http://lrs.test/api/lti/v1/caliper/")
    result = await tool.read("/api/v1/users/u%201/page_views")
    assert result.json()[0]["links"]["context"] == "c/1"


@pytest.mark.parametrize("missing", ["user_id", "context_id"])
async def test_variables_without_user_or_course_are_not_substituted(
    tool: Tool, missing: str
) -> None:
    parameters = {name: value for name, value in LAUNCH.items() if name != missing}
    for argument in (parameters, {**parameters, missing: ""}, {**parameters, missing: None}):
        response = await tool.partner.send(
            {"parameters": argument}, resource="tools/player/callback-urls"
        )
        assert response.status_code == 200
        assert response.json() == {"parameters": argument}


@pytest.mark.parametrize(
    "payload",
    [
        {}, {"user": "42"}, {"course": "9"}, {"user": "", "course": "9"},
        {"user": 1.5, "course": 9}, {"user": "42", "parameters": {"context_id": True}},
        {"user": "x" * 256, "course": "9"}, {"user": "a\0b", "course": "9"}, [], b"{", "x",
        {"user": True, "course": "9"}, {"user": ["a"], "course": "9"}, {"parameters": [1]},
        {"user": "42", "parameters": {"context_id": {"a": 1}}},
    ],
    ids=str,
)  # fmt: skip
async def test_invalid_launch_is_refused(tool: Tool, payload: Any) -> None:
    response = await tool.partner.send(payload, resource="tools/player/callback-urls")
    assert response.status_code == 400
    assert response.json()["code"] in ("invalid-parameter", "malformed-json")


@pytest.mark.parametrize("name", ["other", "%00", "a b", "x" * 100])
async def test_unknown_tool_returns_404(operator: Partner, name: str) -> None:
    reported = {"user": "1", "course": "2"}
    for resource, value in (("callback-urls", reported), ("rotate", {})):
        response = await operator.send(value, resource=f"tools/{name}/{resource}")
        assert response.status_code == 404, response.text
    path = operator.url(f"tools/{name}")
    assert (await operator.http.delete(path, headers=operator.headers)).status_code == 404


# Encryption


def test_encrypted_secret_is_decrypted_with_its_key_only() -> None:
    secret_box = SecretBox("a" * 32)
    encrypted = secret_box.encrypt(b"secret")
    assert secret_box.decrypt(encrypted) == b"secret"
    assert secret_box.encrypt(b"secret") != encrypted
    for wrong in (encrypted[:-2], "", "x.y.z", "é"):
        with pytest.raises(WrongSecretKey):
            secret_box.decrypt(wrong)
    with pytest.raises(WrongSecretKey):
        SecretBox("b" * 32).decrypt(encrypted)
    assert (
        secret_box.derive_keys("a")
        != secret_box.derive_keys("b")
        != SecretBox("b" * 32).derive_keys("b")
    )


# Command


@pytest.fixture
def run(settings: Settings) -> Callable[..., Any]:
    environment = {
        name: "" for name in os.environ if name.startswith("LRS_") and "TEST" not in name
    } | {"LRS_DATABASE_URL": settings.database_url, "LRS_SECRET_KEY": SECRET_KEY}

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(main.main, ["tool", *arguments], env=environment)

    return invoke


async def test_tool_command_adds_lists_rotates_and_revokes(
    partner: Partner, run: Callable[..., Any]
) -> None:
    async def tool(*arguments: str) -> str:
        result = await asyncio.to_thread(run, *arguments)
        assert result.exit_code == 0, result.output
        actual: str = result.stdout
        return actual

    added = await tool("add", partner.name, "player", "--consumer-key", "test_key")
    assert "key     test_key" in added
    secret = added.split()[-1]
    used = await Tool(partner, "player", "test_key", secret).launch()
    assert (await used.send()).status_code == 200
    assert f"{partner.name}\tplayer\ttest_key\tactive" in await tool("list", partner.name)
    assert f"{partner.name}\tplayer" in await tool("list")
    rotated = (await tool("rotate", partner.name, "player", "--overlap-hours", "0")).split()[-1]
    await asyncio.sleep(0.06)
    assert (await used.send(client_secret=rotated)).status_code == 200
    assert (await used.send()).status_code == 401
    assert "off" in await tool("page-views", partner.name, "off")
    await asyncio.sleep(0.06)
    assert (await used.send(client_secret=rotated)).status_code == 200
    assert len(await used.views()) == 2
    await tool("page-views", partner.name, "default")
    assert await tool("revoke", partner.name, "player") == "revoked player\n"
    assert "revoked" in await tool("list", partner.name)


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        (("add", "nobody", "player"), "Partner 'nobody' not found."),
        (("add", "PARTNER", "a b"), "is not a valid tool name"),
        (("add", "PARTNER", "a", "--secret-file", "/dev/null"), "8 to 255 printable"),
        (("rotate", "PARTNER", "player"), "Tool 'player' not found"),
        (("revoke", "PARTNER", "player"), "Tool 'player' not found"),
        (("page-views", "nobody", "on"), "Partner 'nobody' not found."),
    ],
)
async def test_invalid_tool_command_is_refused(
    partner: Partner, run: Callable[..., Any], arguments: tuple[str, ...], payload: str
) -> None:
    value = [partner.name if item == "PARTNER" else item for item in arguments]
    result = await asyncio.to_thread(run, *value)
    assert result.exit_code == 1
    assert result.stderr.startswith("lrs: ")
    assert payload in result.stderr
