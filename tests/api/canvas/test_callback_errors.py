"""Canvas callbacks that are refused, in the order of Canvas's checks."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA512, SIGNATURE_PLAINTEXT

from lrs.api.services import Services
from lrs.auth import oauth1
from lrs.auth.secret_box import SecretBox
from lrs.settings import Settings
from lrs.store import nonces, tools
from lrs.xapi.canvas_launches import Launch
from tests.support.app import SECRET_KEY
from tests.support.canvas import (
    DUPLICATE,
    INVALID_HEADER,
    INVALID_TOKEN,
    NOT_FOUND,
    NOTHING,
    TOO_OLD,
    Tool,
    accepted,
    body,
    count_rows,
    instance,
    message,
    new_tool,
    refused,
    sign_token,
)


async def test_malformed_json_is_reported_before_other_errors(tool: Tool) -> None:
    for url in (tool.url, "http://lrs.test/api/lti/v1/xapi/abc"):
        response = await tool.http.post(
            url, content=b'{"object', headers={"Content-Type": "application/json"}
        )
        refused(response, 400, "An error occurred.", error_code="bad_request")


@pytest.mark.parametrize("kind", ["xapi", "caliper"])
@pytest.mark.parametrize("token", ["abc", "0-1-1-1-1-1", "a.b.c", "é", "3407-1-1-1734468244-4c-13"])
async def test_malformed_token_returns_404(tool: Tool, kind: str, token: str) -> None:
    response = await tool.send(url=f"http://lrs.test/api/lti/v1/{kind}/{token}")
    refused(response, 404, NOT_FOUND)


async def test_token_of_an_unknown_tool_returns_404(tool: Tool) -> None:
    key = SecretBox(SECRET_KEY).derive_keys("callback token")[0]
    for partner, name in ((tool.partner.name, "other"), ("nobody", tool.name)):
        token = sign_token(Launch(partner, name, "42", "9", 1, "salt"), key)
        refused(await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}"), 404, NOT_FOUND)


async def test_forged_token_does_not_tell_whether_its_tool_exists(
    services: Services, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_tool(*_: object) -> None:
        raise AssertionError("the tool was looked up before the token was verified")

    monkeypatch.setattr(tools, "find_tool", find_tool)
    services.callback_tokens._tool_cache.clear()
    for partner, name in ((tool.partner.name, tool.name), (tool.partner.name, "x"), ("x", "x")):
        launch = Launch(partner, name, "42", "9", 1, "salt")
        forged = sign_token(launch, b"another key of thirty-two bytes.")
        for token in (forged, forged[:-1], forged.rpartition(".")[0] + "."):
            response = await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}")
            refused(response, 401, INVALID_TOKEN)


async def test_callback_url_of_the_accepted_secret_key_is_valid(
    settings: Settings, tool: Tool
) -> None:
    changes = {"secret_key": "the new secret key of these tests, 2026"}
    async with instance(settings, **changes, accepted_secret_key=SECRET_KEY) as http:
        accepted(await http.send(tool.signed(json.dumps(body()).encode())))
        response = await http.post(
            tool.partner.url(f"tools/{tool.name}/callback-urls"),
            json={"user": "42", "course": "9"},
            headers=tool.partner.headers,
        )
        url = response.json()["url"]
        accepted(await http.send(tool.signed(json.dumps(body()).encode(), url=url)))
    refused(await tool.send(url=url), 401, INVALID_TOKEN)
    async with instance(settings, accepted_secret_key=changes["secret_key"]) as http:
        accepted(await http.send(tool.signed(json.dumps(body()).encode(), url=url)))


async def test_tampered_token_returns_401(tool: Tool) -> None:
    launch = Launch(tool.partner.name, tool.name, "42", "9", 1, "salt")
    key = SecretBox(SECRET_KEY).derive_keys("callback token")[0]
    head, payload, mac = sign_token(launch, key).split(".")
    output = json.loads(base64.urlsafe_b64decode(payload + "=="))
    output[2] = "43"
    forged = base64.urlsafe_b64encode(json.dumps(output).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    flipped = ("B" if mac[0] == "A" else "A") + mac[1:]
    for token in (
        f"{head}.{forged}.{mac}",
        f"{head}.{payload}.{flipped}",
        f"{head}.{payload}.",
        f"{none}.{payload}.",
        f"{none}.{payload}.{mac}",
        sign_token(launch, b"another key of thirty-two bytes."),
    ):
        response = await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}")
        refused(response, 401, INVALID_TOKEN)


async def test_expired_token_returns_401(settings: Settings, tool: Tool) -> None:
    key = SecretBox(SECRET_KEY).derive_keys("callback token")[0]
    urls = []
    for age in (0, 100):
        launch = Launch(tool.partner.name, tool.name, "42", "9", int(time.time()) - age, "salt")
        urls.append(f"http://lrs.test/api/lti/v1/xapi/{sign_token(launch, key)}")
    async with instance(settings, callback_url_ttl_seconds=60) as http:
        accepted(await http.send(tool.signed(json.dumps(body()).encode(), url=urls[0])))
        response = await http.send(tool.signed(json.dumps(body()).encode(), url=urls[1]))
        refused(response, 401, INVALID_TOKEN)
    accepted(await tool.send(url=urls[1]))


@pytest.mark.parametrize(
    "options",
    [
        {"client_secret": "wrong_secret"},
        {"client_key": "another key"},
        {"method": SIGNATURE_PLAINTEXT},
        {"method": SIGNATURE_HMAC_SHA512},
        {"resource_owner_secret": "x"},
        {"nonce": ""},
    ],
    ids=str,
)
async def test_wrong_signature_returns_401(
    services: Services, tool: Tool, options: dict[str, Any]
) -> None:
    refused(await tool.send(**options), 401, INVALID_HEADER)
    assert await count_rows(services, tool) == NOTHING


@pytest.mark.parametrize(
    "header",
    [
        None, "", "OAuth", "OAuth ", "OAuth foo", "OAuth oauth_nonce=", "Basic eDp5", "Bearer x.y",
        'OAuth oauth_signature_method="BawkBawk256"', "OAuth =,=,,", 'OAuth oauth_nonce="\\"',
        'OAuth oauth_signature="%zz",oauth_signature_method="HMAC-SHA1"', "OAuth \xff\xfe=\xe9",
        'OAuth oauth_consumer_key="k", oauth_consumer_key="k"', "OAuth " + "a=b," * 1000,
    ],
)  # fmt: skip
async def test_malformed_authorization_header_returns_401(tool: Tool, header: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    encoded = {name: value.encode() for name, value in headers.items()}
    if header is not None:
        encoded["Authorization"] = header.encode("latin-1")
    response = await tool.http.post(tool.url, content=b"{}", headers=encoded)
    refused(response, 401, INVALID_HEADER)


@pytest.mark.parametrize(
    "content", [b"a&" * 500_000, b"a=" + b"%41" * 340_000], ids=["many", "long"]
)
async def test_large_form_is_refused_within_half_a_second(tool: Tool, content: bytes) -> None:
    """Anyone with the URL can send one, without the secret."""
    headers = {
        "Authorization": f'OAuth oauth_consumer_key="{tool.key}",oauth_nonce="n",'
        'oauth_signature="x",oauth_timestamp="1",oauth_signature_method="HMAC-SHA1"',
        "Content-Type": "application/x-www-form-urlencoded",
    }
    began = time.process_time()
    response = await tool.http.post(tool.url, content=content, headers=headers)
    refused(response, 401, INVALID_HEADER)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("member", ["nonce", "timestamp", "signature", "consumer_key", "version"])
async def test_tampered_parameter_returns_401(tool: Tool, member: str) -> None:
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"]
    at = header.index(f'oauth_{member}="') + len(f'oauth_{member}="')
    swapped = "2" if header[at] != "2" else "3"
    request.headers["authorization"] = header[:at] + swapped + header[at + 1 :]
    refused(await tool.http.send(request), 401, INVALID_HEADER)


@pytest.mark.parametrize("name", ["oauth_nonce", "oauth_consumer_key", "oauth_signature"])
async def test_repeated_parameter_returns_401(tool: Tool, name: str) -> None:
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"]
    (pair,) = [item for item in header[6:].split(", ") if item.startswith(name + "=")]
    request.headers["authorization"] = f"{header}, {pair}"
    refused(await tool.http.send(request), 401, INVALID_HEADER)


async def test_signature_for_another_url_returns_401(tool: Tool) -> None:
    other = await tool.launch("43")
    request = tool.signed(json.dumps(body()).encode(), url=other.url)
    request = httpx.Request("POST", tool.url, headers=request.headers, content=request.content)
    refused(await tool.http.send(request), 401, INVALID_HEADER)
    request = tool.signed(json.dumps(body()).encode(), url="http://evil.test" + tool.url[15:])
    request = httpx.Request("POST", tool.url, headers={
        **request.headers, "host": "lrs.test"}, content=request.content)  # fmt: skip
    refused(await tool.http.send(request), 401, INVALID_HEADER)


async def test_signature_of_another_tool_returns_401(services: Services, tool: Tool) -> None:
    other = await new_tool(services, tool.partner, "other")
    response = await tool.send(client_key=other.key, client_secret=other.secret)
    refused(response, 401, INVALID_HEADER)
    refused(await tool.send(client_secret=other.secret), 401, INVALID_HEADER)


@pytest.mark.parametrize("age", [-7200, -5401, 5402, 86400, -(10**9)])
async def test_timestamp_out_of_the_window_returns_401(tool: Tool, age: int) -> None:
    refused(await tool.send(timestamp=str(int(time.time()) + age)), 401, TOO_OLD)


@pytest.mark.parametrize("timestamp", ["0", "abc", "-5", "1.5", "9" * 30, "١٢٣"])
async def test_malformed_timestamp_returns_401(tool: Tool, timestamp: str) -> None:
    refused(await tool.send(timestamp=timestamp), 401, TOO_OLD)


async def test_timestamp_slightly_ahead_is_accepted_once(tool: Tool) -> None:
    now = int(time.time())
    accepted(await tool.send(timestamp=str(now + 58)))
    refused(await tool.send(timestamp=str(now + 120)), 401, DUPLICATE)
    accepted(await tool.send(timestamp=str(now - 5390)))


@pytest.mark.parametrize(
    ("offset", "timely"), [(-5400, False), (-5399, True), (0, True), (60, True), (61, False)]
)
def test_nonce_window(offset: int, timely: bool) -> None:
    assert oauth1.is_nonce_retained(1_700_000_000 + offset, 1_700_000_000) is timely


async def test_repeated_nonce_returns_401(services: Services, tool: Tool) -> None:
    accepted(await tool.send(nonce="once"))
    before = await count_rows(services, tool)
    refused(await tool.send(nonce="once"), 401, DUPLICATE)
    refused(await tool.send(nonce="once", content_type="text/plain"), 401, DUPLICATE)
    assert await count_rows(services, tool) == before
    other = await new_tool(services, tool.partner, "other")
    accepted(await other.send(nonce="once"))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml", "text/plain", "application/vnd.api+json", "application/jsonx", "",
        "application/x-www-form-urlencoded",
    ],
)  # fmt: skip
async def test_other_content_type_returns_415_and_consumes_the_nonce(
    services: Services, tool: Tool, content_type: str
) -> None:
    content = b"a=b" if "urlencoded" in content_type else b"<x/>"
    response = await tool.send(content, nonce="burnt", content_type=content_type)
    assert response.status_code == 415
    assert response.content == b""
    refused(await tool.send(nonce="burnt"), 401, DUPLICATE)
    assert await count_rows(services, tool) == NOTHING


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{}", b"[]", b"null", b"7", b'"x"', {"object": "http://example.com/"},
        {"object": {}}, {"object": {"id": None}}, {"object": {"id": 7}}, {"object": {"id": ""}},
        {"object": {"id": ["x"]}}, {"object": [{"id": "x"}]}, {"object": {"id": "a\0b"}},
        {"object": {"id": " "}}, [1, "x"], {"sensor": "x", "data": []},
    ],
    ids=str,
)  # fmt: skip
async def test_report_with_nothing_to_count_returns_400_and_consumes_the_nonce(
    services: Services, tool: Tool, payload: Any
) -> None:
    response = await tool.send(payload, nonce="burnt")
    detail = "object.id or result.duration is required: the URL of the page, or the time spent."
    refused(response, 400, detail)
    assert await count_rows(services, tool) == NOTHING
    refused(await tool.send(nonce="burnt"), 401, DUPLICATE)


@pytest.mark.parametrize(
    "duration",
    [
        "", "abc", "pt10m", "-PT10M", "600", 600, 600.9, -600, "P", "PT", "P1DT", "PT1.5H30M",
        "P0.5DT1H", "P1W2D", "PT10M ", "PT10M\n", True, False, [], {}, ["PT1M"], "+PT1M",
        "P0003-06-04T12:30:05", "P٣D", "P" + "9" * 5000 + "Y", "PT" + "9" * 18 + "H",
    ],
)  # fmt: skip
async def test_malformed_duration_returns_422(
    services: Services, tool: Tool, duration: Any
) -> None:
    reported = {"object": {"id": "http://example.com/"}, "result": {"duration": duration}}
    response = await tool.send(reported)
    assert response.status_code == 422
    assert message(response).startswith("result.duration must ")
    assert await count_rows(services, tool) == NOTHING


async def test_large_callback_returns_413(
    settings: Settings, services: Services, tool: Tool
) -> None:
    async with instance(settings, max_xapi_statement_bytes=1024) as http:
        request = tool.signed(json.dumps(body(verb="x" * 2000)).encode())
        response = await http.send(request)
    assert response.status_code == 413
    assert "1024 bytes" in message(response)


async def test_rate_limit_of_a_tool_returns_429(settings: Settings, tool: Tool) -> None:
    content = json.dumps(body()).encode()
    async with instance(settings, rate_limit="2/minute") as http:
        for status in (401, 401, 200, 200, 429):
            secret = "wrong_secret" if status == 401 else tool.secret
            response = await http.send(tool.signed(content, client_secret=secret))
            assert response.status_code == status
    assert int(response.headers["retry-after"]) > 0
    assert "2/minute" in message(response)


async def test_unavailable_database_returns_503(
    services: Services, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise ConnectionRefusedError("gone")

    monkeypatch.setattr(nonces, "consume", gone)
    response = await tool.send(nonce="mine")
    refused(response, 503, "The database does not answer.")
    assert response.headers["retry-after"] == "1"
    monkeypatch.undo()
    accepted(await tool.send(nonce="mine"))


async def test_other_methods_return_405(tool: Tool) -> None:
    response = await tool.http.get(tool.url)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


async def test_callback_with_content_encoding_returns_415(tool: Tool) -> None:
    signed = tool.signed(b"{}")
    headers = {**signed.headers, "Content-Encoding": "gzip"}
    response = await tool.http.post(str(signed.url), content=signed.content, headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in response.json()["errors"][0]["message"]
