"""The callback of LTI tools: Canvas's checks in Canvas's order, and what we are stricter in."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec
import pytest
from canvas_support import BODY, SEED, VIEW_EVENT, Tool, authlib_signed, body, message, new_tool
from conftest import SECRET_KEY
from oauthlib.oauth1 import (
    SIGNATURE_HMAC_SHA1,
    SIGNATURE_HMAC_SHA256,
    SIGNATURE_HMAC_SHA512,
    SIGNATURE_PLAINTEXT,
)
from support import Partner, statement

from lrs.api.services import Services
from lrs.app import create_app
from lrs.auth import oauth1
from lrs.auth.secret_box import Vault
from lrs.errors import Unavailable
from lrs.ingest.pipeline import Ingest, Outcome
from lrs.settings import Settings
from lrs.store import nonces, page_views
from lrs.xapi import canvas_launches
from lrs.xapi.canvas_launches import Launch

EMPTY_HASH = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
INVALID_HEADER = "Invalid authorization header"
INVALID_TOKEN = "Invalid analytics service token"
TOO_OLD = "Timestamp too old or too far in the future, request has expired"
DUPLICATE = "Duplicate nonce detected"
NOT_FOUND = "The specified resource does not exist."


@pytest.fixture
async def tool(services: Services, partner: Partner) -> Tool:
    return await new_tool(services, partner)


@asynccontextmanager
async def instance(settings: Settings, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Another server of the same database."""
    application = create_app(msgspec.structs.replace(settings, **changed))
    async with application.lifespan():
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://lrs.test") as client:
            yield client


async def counted(services: Services, tool: Tool) -> dict[str, Any]:
    """All that the launch's user has left in the store."""
    where = "where partner_id = $1 and user_id = $2 and course_id = $3"
    row = await services.database.readers.fetchrow(
        f"""
        select
            (select count(*) from page_view {where}) as views,
            coalesce((select activity_seconds from course_activity {where}), 0) as seconds,
            coalesce((select page_views from course_activity {where}), 0) as summed,
            coalesce((select sum(accesses) from tool_access {where}), 0)::int as accesses,
            coalesce((select sum(page_views) from user_day {where}), 0)::int as days,
            (select count(*) from statement where partner_id = $1) as statements
        """,
        tool.partner.partner_id, tool.user, tool.course,
    )  # fmt: skip
    return dict(row)


NOTHING = {"views": 0, "seconds": 0, "summed": 0, "accesses": 0, "days": 0, "statements": 0}


def refused(answer: httpx.Response, status: int, told: str, **members: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json() == {"errors": [{"message": told, **members}]}
    assert answer.headers["content-type"] == "application/json"
    assert "www-authenticate" not in answer.headers


def accepted(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.content == b""
    assert "content-type" not in answer.headers


# Accepted


@pytest.mark.parametrize("method", [SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256])
@pytest.mark.parametrize("signer", ["oauthlib", "authlib", "authlib with body hash"])
async def test_the_vendors_example_is_seen_everywhere(
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
    assert await counted(services, tool) == {
        "views": 1, "seconds": 180, "summed": 1, "accesses": 1, "days": 1, "statements": 1,
    }  # fmt: skip


async def test_canvass_own_example(services: Services, tool: Tool) -> None:
    """Ten minutes: the time counts in full, the page view is capped at five."""
    accepted(await tool.send(body("PT10M0S")))
    found = await counted(services, tool)
    assert found["seconds"] == 600
    assert found["accesses"] == 1
    (view,) = await tool.views()
    assert view["interaction_seconds"] == 300.0
    assert view["context_type"] == "Course"


async def test_the_cap_is_a_setting(settings: Settings, tool: Tool) -> None:
    async with instance(settings, page_view_seconds=600) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT10M1S")).encode())))
    (view,) = await tool.views()
    assert view["interaction_seconds"] == 600.0


async def test_without_a_result_it_is_five_seconds(services: Services, tool: Tool) -> None:
    for told in ({}, {"result": None}, {"result": "soon"}, {"result": {"duration": None}}):
        accepted(await tool.send({"object": {"id": "http://example.com/"}, **told}))
    found = await counted(services, tool)
    assert (found["views"], found["seconds"], found["accesses"]) == (4, 0, 4)
    assert {view["interaction_seconds"] for view in await tool.views()} == {5.0}


@pytest.mark.parametrize(
    ("duration", "seconds", "shown"),
    [
        ("PT10M0S", 600, 300), ("PT3M0S", 180, 180), ("PT5M", 300, 300), ("PT5M1S", 301, 300),
        ("PT10M1S", 601, 300), ("PT1H", 3600, 300), ("P1D", 86400, 300), ("P1W", 604800, 300),
        ("PT0S", 0, 0), ("PT0.4S", 0, 0), ("PT0.5S", 1, 1), ("PT1,5S", 2, 2), ("PT1.5M", 90, 90),
        ("P1M", 2628000, 300), ("P1Y", 31536000, 300), ("P10M", 26280000, 300),
    ],
)  # fmt: skip
async def test_durations_are_counted(
    services: Services, tool: Tool, duration: str, seconds: int, shown: int
) -> None:
    accepted(await tool.send(body(duration)))
    assert (await counted(services, tool))["seconds"] == seconds
    (view,) = await tool.views()
    assert view["interaction_seconds"] == shown
    (stored,) = await tool.partner.all()
    assert stored["result"]["duration"] == duration


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"],
)
async def test_json_with_parameters_is_json(tool: Tool, content_type: str) -> None:
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
async def test_what_clients_may_do(tool: Tool, options: dict[str, Any]) -> None:
    if method := options.get("method"):
        from oauthlib.oauth1 import Client

        Client.register_signature_method(method, Client.SIGNATURE_METHODS[method.upper()])
    accepted(await tool.send(**options))


async def test_other_entries_of_the_header_are_not_looked_at(tool: Tool) -> None:
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"].removeprefix("OAuth ")
    request.headers["authorization"] = f'OAuth realm="here", color="red, blue", {header}, empty='
    accepted(await tool.http.send(request))


async def test_an_unescaped_signature_is_read(tool: Tool) -> None:
    """Some clients leave = and + in the header as they are."""
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"]
    request.headers["authorization"] = (
        header.replace("%3D", "=").replace("%2B", "+").replace("%2F", "/")
    )
    accepted(await tool.http.send(request))


async def test_keys_and_secrets_may_hold_anything_printable(
    services: Services, partner: Partner
) -> None:
    key, secret = "a%2Fb ü=&+", "s%e&c=r+e t ü"
    tool = await new_tool(services, partner, consumer_key=key, secret=secret)
    accepted(await tool.send())
    accepted(await tool.send(method=SIGNATURE_HMAC_SHA256))


@pytest.mark.parametrize(
    ("user", "course"), [("a/b", "c/../d"), ("ü €", "?x=1&y#z"), ("%2F", "9" * 255), ("42", " ")]
)
async def test_users_and_courses_may_be_any_text(tool: Tool, user: str, course: str) -> None:
    launched = await tool.launch(user, course)
    accepted(await launched.send())
    user, course = quote(user, safe=""), quote(course, safe="")
    assert len((await tool.read(f"/api/v1/users/{user}/page_views")).json()) == 1
    answer = await tool.read(f"/api/v1/courses/{course}/analytics/users/{user}/activity")
    assert list(answer.json()["page_views"].values()) == [1]


# Refused, in Canvas's order


async def test_malformed_json_comes_before_all_else(tool: Tool) -> None:
    for url in (tool.url, "http://lrs.test/api/lti/v1/xapi/abc"):
        answer = await tool.http.post(
            url, content=b'{"object', headers={"Content-Type": "application/json"}
        )
        refused(answer, 400, "An error occurred.", error_code="bad_request")


@pytest.mark.parametrize("kind", ["xapi", "caliper"])
@pytest.mark.parametrize("token", ["abc", "0-1-1-1-1-1", "a.b.c", "é", "3407-1-1-1734468244-4c-13"])
async def test_a_token_of_no_tool(tool: Tool, kind: str, token: str) -> None:
    answer = await tool.send(url=f"http://lrs.test/api/lti/v1/{kind}/{token}")
    refused(answer, 404, NOT_FOUND)


async def test_a_token_of_an_unknown_tool(tool: Tool) -> None:
    key = Vault(SECRET_KEY).derived("callback token")
    for partner, name in ((tool.partner.name, "other"), ("nobody", tool.name)):
        token = canvas_launches.sign_token(Launch(partner, name, "42", "9", 1, "salt"), key)
        refused(await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}"), 404, NOT_FOUND)


async def test_a_tampered_token(tool: Tool) -> None:
    head, payload, mac = tool.url.rpartition("/")[2].split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    said[2] = "43"
    forged = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    flipped = ("B" if mac[0] == "A" else "A") + mac[1:]
    launch = Launch(tool.partner.name, tool.name, "42", "9", 1, "salt")
    for token in (
        f"{head}.{forged}.{mac}",
        f"{head}.{payload}.{flipped}",
        f"{head}.{payload}.",
        f"{none}.{payload}.",
        f"{none}.{payload}.{mac}",
        canvas_launches.sign_token(launch, b"another key of thirty-two bytes."),
    ):
        answer = await tool.send(url=f"http://lrs.test/api/lti/v1/xapi/{token}")
        refused(answer, 401, INVALID_TOKEN)


async def test_a_token_may_expire(settings: Settings, tool: Tool) -> None:
    key = Vault(SECRET_KEY).derived("callback token")
    urls = []
    for age in (0, 100):
        launch = Launch(tool.partner.name, tool.name, "42", "9", int(time.time()) - age, "salt")
        urls.append(f"http://lrs.test/api/lti/v1/xapi/{canvas_launches.sign_token(launch, key)}")
    async with instance(settings, callback_seconds=60) as http:
        accepted(await http.send(tool.signed(json.dumps(body()).encode(), url=urls[0])))
        answer = await http.send(tool.signed(json.dumps(body()).encode(), url=urls[1]))
        refused(answer, 401, INVALID_TOKEN)
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
async def test_a_wrong_signature(services: Services, tool: Tool, options: dict[str, Any]) -> None:
    refused(await tool.send(**options), 401, INVALID_HEADER)
    assert await counted(services, tool) == NOTHING


@pytest.mark.parametrize(
    "header",
    [
        None, "", "OAuth", "OAuth ", "OAuth foo", "OAuth oauth_nonce=", "Basic eDp5", "Bearer x.y",
        'OAuth oauth_signature_method="BawkBawk256"', "OAuth =,=,,", 'OAuth oauth_nonce="\\"',
        'OAuth oauth_signature="%zz",oauth_signature_method="HMAC-SHA1"', "OAuth \xff\xfe=\xe9",
        'OAuth oauth_consumer_key="k", oauth_consumer_key="k"', "OAuth " + "a=b," * 1000,
    ],
)  # fmt: skip
async def test_a_malformed_header(tool: Tool, header: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    encoded = {name: value.encode() for name, value in headers.items()}
    if header is not None:
        encoded["Authorization"] = header.encode("latin-1")
    answer = await tool.http.post(tool.url, content=b"{}", headers=encoded)
    refused(answer, 401, INVALID_HEADER)


@pytest.mark.parametrize(
    "content", [b"a&" * 500_000, b"a=" + b"%41" * 340_000], ids=["many", "long"]
)
async def test_no_form_keeps_others_waiting(tool: Tool, content: bytes) -> None:
    """Who has the URL can send one, without the secret."""
    headers = {
        "Authorization": f'OAuth oauth_consumer_key="{tool.key}",oauth_nonce="n",'
        'oauth_signature="x",oauth_timestamp="1",oauth_signature_method="HMAC-SHA1"',
        "Content-Type": "application/x-www-form-urlencoded",
    }
    began = time.perf_counter()
    answer = await tool.http.post(tool.url, content=content, headers=headers)
    refused(answer, 401, INVALID_HEADER)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("member", ["nonce", "timestamp", "signature", "consumer_key", "version"])
async def test_tampered_parameters(tool: Tool, member: str) -> None:
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"]
    at = header.index(f'oauth_{member}="') + len(f'oauth_{member}="')
    swapped = "2" if header[at] != "2" else "3"
    request.headers["authorization"] = header[:at] + swapped + header[at + 1 :]
    refused(await tool.http.send(request), 401, INVALID_HEADER)


@pytest.mark.parametrize("name", ["oauth_nonce", "oauth_consumer_key", "oauth_signature"])
async def test_a_parameter_given_twice(tool: Tool, name: str) -> None:
    request = tool.signed(json.dumps(body()).encode())
    header = request.headers["authorization"]
    (pair,) = [each for each in header[6:].split(", ") if each.startswith(name + "=")]
    request.headers["authorization"] = f"{header}, {pair}"
    refused(await tool.http.send(request), 401, INVALID_HEADER)


async def test_a_signature_for_another_url(tool: Tool) -> None:
    other = await tool.launch("43")
    request = tool.signed(json.dumps(body()).encode(), url=other.url)
    request = httpx.Request("POST", tool.url, headers=request.headers, content=request.content)
    refused(await tool.http.send(request), 401, INVALID_HEADER)
    request = tool.signed(json.dumps(body()).encode(), url="http://evil.test" + tool.url[15:])
    request = httpx.Request("POST", tool.url, headers={
        **request.headers, "host": "lrs.test"}, content=request.content)  # fmt: skip
    refused(await tool.http.send(request), 401, INVALID_HEADER)


async def test_another_tools_signature(services: Services, tool: Tool) -> None:
    other = await new_tool(services, tool.partner, "other")
    answer = await tool.send(client_key=other.key, client_secret=other.secret)
    refused(answer, 401, INVALID_HEADER)
    refused(await tool.send(client_secret=other.secret), 401, INVALID_HEADER)


@pytest.mark.parametrize("age", [-7200, -5401, 5402, 86400, -(10**9)])
async def test_a_timestamp_out_of_the_window(tool: Tool, age: int) -> None:
    refused(await tool.send(timestamp=str(int(time.time()) + age)), 401, TOO_OLD)


@pytest.mark.parametrize("timestamp", ["0", "abc", "-5", "1.5", "9" * 30, "١٢٣"])
async def test_a_timestamp_that_is_none(tool: Tool, timestamp: str) -> None:
    refused(await tool.send(timestamp=timestamp), 401, TOO_OLD)


async def test_a_timestamp_a_little_ahead(tool: Tool) -> None:
    now = int(time.time())
    accepted(await tool.send(timestamp=str(now + 58)))
    refused(await tool.send(timestamp=str(now + 120)), 401, DUPLICATE)
    accepted(await tool.send(timestamp=str(now - 5390)))


@pytest.mark.parametrize(
    ("offset", "timely"), [(-5400, False), (-5399, True), (0, True), (60, True), (61, False)]
)
def test_the_window_of_a_nonce(offset: int, timely: bool) -> None:
    assert oauth1.is_timely(1_700_000_000 + offset, 1_700_000_000) is timely


async def test_a_nonce_is_good_once(services: Services, tool: Tool) -> None:
    accepted(await tool.send(nonce="once"))
    before = await counted(services, tool)
    refused(await tool.send(nonce="once"), 401, DUPLICATE)
    refused(await tool.send(nonce="once", content_type="text/plain"), 401, DUPLICATE)
    assert await counted(services, tool) == before
    other = await new_tool(services, tool.partner, "other")
    accepted(await other.send(nonce="once"))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml", "text/plain", "application/vnd.api+json", "application/jsonx", "",
        "application/x-www-form-urlencoded",
    ],
)  # fmt: skip
async def test_another_content_type_burns_the_nonce(
    services: Services, tool: Tool, content_type: str
) -> None:
    content = b"a=b" if "urlencoded" in content_type else b"<x/>"
    answer = await tool.send(content, nonce="burnt", content_type=content_type)
    assert answer.status_code == 415
    assert answer.content == b""
    refused(await tool.send(nonce="burnt"), 401, DUPLICATE)
    assert await counted(services, tool) == NOTHING


@pytest.mark.parametrize(
    "told",
    [
        b"", b"{}", b"[]", b"null", b"7", b'"x"', {"object": "http://example.com/"},
        {"object": {}}, {"object": {"id": None}}, {"object": {"id": 7}}, {"object": {"id": ""}},
        {"object": {"id": ["x"]}}, {"object": [{"id": "x"}]}, {"object": {"id": "a\0b"}},
        [BODY],
    ],
    ids=str,
)  # fmt: skip
async def test_a_page_is_required(services: Services, tool: Tool, told: Any) -> None:
    answer = await tool.send(told, nonce="burnt")
    refused(answer, 400, "object.id is required: the URL of the page that was viewed.")
    assert await counted(services, tool) == NOTHING
    refused(await tool.send(nonce="burnt"), 401, DUPLICATE)


@pytest.mark.parametrize(
    "duration",
    [
        "", "abc", "pt10m", "-PT10M", "600", 600, 600.9, -600, "P", "PT", "P1DT", "PT1.5H30M",
        "P0.5D", "P1W2D", "PT10M ", "PT10M\n", True, False, [], {}, ["PT1M"], "+PT1M",
        "P0003-06-04T12:30:05", "P٣D", "P" + "9" * 5000 + "Y", "PT" + "9" * 18 + "H",
    ],
)  # fmt: skip
async def test_a_duration_must_be_one(services: Services, tool: Tool, duration: Any) -> None:
    told = {"object": {"id": "http://example.com/"}, "result": {"duration": duration}}
    answer = await tool.send(told)
    assert answer.status_code == 422
    assert message(answer).startswith("result.duration must ")
    assert await counted(services, tool) == NOTHING


async def test_a_large_body(settings: Settings, services: Services, tool: Tool) -> None:
    async with instance(settings, xapi_statement_bytes=1024) as http:
        request = tool.signed(json.dumps(body(verb="x" * 2000)).encode())
        answer = await http.send(request)
    assert answer.status_code == 413
    assert "1024 bytes" in message(answer)


async def test_a_tool_has_a_rate(settings: Settings, tool: Tool) -> None:
    content = json.dumps(body()).encode()
    async with instance(settings, rate_limit="2/minute") as http:
        for status in (401, 401, 200, 200, 429):
            secret = "wrong_secret" if status == 401 else tool.secret
            answer = await http.send(tool.signed(content, client_secret=secret))
            assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    assert "2 per 1 minute" in message(answer)


async def test_without_a_database(
    services: Services, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise ConnectionRefusedError("gone")

    monkeypatch.setattr(nonces, "consume", gone)
    answer = await tool.send(nonce="mine")
    refused(answer, 503, "The database does not answer: gone.")
    assert answer.headers["retry-after"] == "1"
    monkeypatch.undo()
    accepted(await tool.send(nonce="mine"))


async def test_other_methods(tool: Tool) -> None:
    answer = await tool.http.get(tool.url)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


# The body hash


def hashed(content: bytes, name: str = "sha1") -> str:
    return base64.b64encode(hashlib.new(name, content).digest()).decode()


class Hashing:
    """Signs with a body hash of one's own."""

    @staticmethod
    def request(tool: Tool, content: bytes, given: str | None, method: str) -> httpx.Request:
        from oauthlib.oauth1 import Client

        class Own(Client):  # type: ignore[misc]
            def get_oauth_params(self, request: Any) -> list[tuple[str, str]]:
                params = super().get_oauth_params(request)
                kept = [each for each in params if each[0] != "oauth_body_hash"]
                return kept if given is None else [*kept, ("oauth_body_hash", given)]

        client = Own(tool.key, tool.secret, signature_method=method)
        headers = {"Content-Type": "application/json"}
        uri, headers, _ = client.sign(tool.url, "POST", body=content, headers=headers)
        return httpx.Request("POST", uri, headers=headers, content=content)


CONTENT = json.dumps(BODY).encode()


@pytest.mark.parametrize(
    ("method", "given", "good"),
    [
        (SIGNATURE_HMAC_SHA1, hashed(CONTENT), True),
        (SIGNATURE_HMAC_SHA1, hashed(CONTENT, "sha256"), False),
        (SIGNATURE_HMAC_SHA256, hashed(CONTENT), True),
        (SIGNATURE_HMAC_SHA256, hashed(CONTENT, "sha256"), True),
        (SIGNATURE_HMAC_SHA256, hashed(b"other"), False),
        (SIGNATURE_HMAC_SHA1, hashed(b"other"), False),
        (SIGNATURE_HMAC_SHA1, "nonsense", False),
        (SIGNATURE_HMAC_SHA1, "ü", False),
    ],
)
@pytest.mark.parametrize("required", [False, True])
async def test_the_body_hash(
    settings: Settings, tool: Tool, method: str, given: str, good: bool, required: bool
) -> None:
    async with instance(settings, callback_body_hash=required) as http:
        answer = await http.send(Hashing.request(tool, CONTENT, given, method))
    if good:
        accepted(answer)
    else:
        refused(answer, 401, INVALID_HEADER)


@pytest.mark.parametrize("given", [None, "", EMPTY_HASH])
@pytest.mark.parametrize("required", [False, True])
async def test_no_body_hash(
    settings: Settings, tool: Tool, given: str | None, required: bool
) -> None:
    """Canvas's own test client sends the hash of an empty body."""
    async with instance(settings, callback_body_hash=required) as http:
        answer = await http.send(Hashing.request(tool, CONTENT, given, SIGNATURE_HMAC_SHA1))
    if required:
        refused(answer, 401, INVALID_HEADER)
    else:
        accepted(answer)


async def test_another_body_than_the_signed_one_burns_nothing(
    services: Services, tool: Tool
) -> None:
    request = tool.signed(json.dumps(body()).encode(), nonce="mine")
    forged = json.dumps(body("PT9H")).encode()
    headers = {**request.headers, "content-length": str(len(forged))}
    answer = await tool.http.send(httpx.Request("POST", tool.url, headers=headers, content=forged))
    refused(answer, 401, INVALID_HEADER)
    assert await counted(services, tool) == NOTHING
    accepted(await tool.http.send(request))


@pytest.mark.parametrize("wrong", [{"client_secret": "wrong_secret"}, {"client_key": "k"}])
async def test_a_forged_request_burns_no_nonce(tool: Tool, wrong: dict[str, str]) -> None:
    refused(await tool.send(nonce="mine", **wrong), 401, INVALID_HEADER)
    accepted(await tool.send(nonce="mine"))


async def test_a_failed_second_attempt_burns_no_nonce(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a tool that sends one id for everybody: what it sends again is taken, once."""
    told = json.dumps(body(id=str(uuid4()))).encode()
    accepted(await tool.send(told))
    request = (await tool.launch("another")).signed(told)
    record, attempts = Ingest.record, iter((False, True))

    async def failing(*given: Any) -> Outcome:
        if next(attempts, False):
            raise Unavailable("The database does not answer.")
        return await record(*given)

    monkeypatch.setattr(Ingest, "record", failing)
    assert (await tool.http.send(request)).status_code == 503
    accepted(await tool.http.send(request))
    refused(await tool.http.send(request), 401, DUPLICATE)
    assert len(await tool.partner.all()) == 2


async def test_a_retry_with_other_words_burns_its_nonce(tool: Tool) -> None:
    told = body(id=str(uuid4()))
    accepted(await tool.send(told))
    request = tool.signed(json.dumps({**told, "verb": {"id": "http://example.com/v"}}).encode())
    accepted(await tool.http.send(request))
    refused(await tool.http.send(request), 401, DUPLICATE)
    assert len(await tool.partner.all()) == 1


# The statement


async def test_the_actor_is_the_launchs_user(tool: Tool) -> None:
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


async def test_what_is_valid_is_kept(tool: Tool) -> None:
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


async def test_the_same_statement_again_counts_once(services: Services, tool: Tool) -> None:
    told = body("PT1M")
    accepted(await tool.send(told))
    once = await counted(services, tool)
    assert (once["views"], once["seconds"], once["accesses"]) == (1, 60, 1)
    for again in (told, told, {**told, "result": {"duration": "PT2M"}}):
        accepted(await tool.send(again))
    assert await counted(services, tool) == once
    assert len(await tool.partner.all()) == 1


async def test_an_id_that_others_use_as_well(services: Services, tool: Tool) -> None:
    """The vendor's example has one; whoever copies it still counts for each learner."""
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


async def test_without_an_id_every_request_counts(services: Services, tool: Tool) -> None:
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
async def test_whatever_else_is_in_the_body_does_no_harm(tool: Tool, told: dict[str, Any]) -> None:
    content = json.dumps({"object": {"id": "http://example.com/"}, **told}).encode()
    accepted(await tool.send(content))
    (stored,) = await tool.partner.all()
    answer = await tool.partner.send({**stored, "id": str(uuid4())})
    if len(content) < 5_000 and "stored" not in told:
        assert answer.status_code == 200, answer.text  # it is a valid statement
    kept = stored["context"]["extensions"]["urn:x-lrs:callback"]
    assert (json.loads(kept) if isinstance(kept, str) else kept) == json.loads(content)
    (view,) = await tool.views()
    assert view["url"] == json.loads(content)["object"]["id"]


# In one transaction


async def test_all_or_nothing(
    services: Services, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails at the last step leaves nothing, not even the nonce."""
    failing = page_views._RECORD.replace("max(moment)", "max(moment + interval '1 s' / (1 - 1))")
    monkeypatch.setattr(page_views, "_RECORD", failing)
    answer = await tool.send(nonce="mine")
    refused(answer, 500, "An error occurred.", error_code="internal_server_error")
    assert await counted(services, tool) == NOTHING
    monkeypatch.undo()
    accepted(await tool.send(nonce="mine"))


async def test_page_views_can_be_switched_off(
    services: Services, settings: Settings, tool: Tool
) -> None:
    await services.callbacks.tools.set_page_views(tool.partner.name, False)
    async with instance(settings) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    off = {"views": 0, "seconds": 60, "summed": 0, "accesses": 1, "days": 0, "statements": 1}
    assert await counted(services, tool) == off
    await services.callbacks.tools.set_page_views(tool.partner.name, None)
    async with instance(settings, page_views=False) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    assert (await counted(services, tool))["views"] == 0
    async with instance(settings) as http:
        accepted(await http.send(tool.signed(json.dumps(body("PT1M")).encode())))
    assert (await counted(services, tool))["views"] == 1


# The address


@pytest.mark.parametrize("public", ["https://lrs.example", "https://lrs.example:8443/below"])
async def test_the_public_url_is_what_is_signed(
    settings: Settings, tool: Tool, public: str
) -> None:
    async with instance(settings, public_url=public) as http:
        partner = replace(tool.partner, http=http)
        await partner.authenticate()
        launched = await replace(tool, partner=partner).launch()
        assert launched.url.startswith(f"{public}/api/lti/v1/xapi/")
        for url, good in ((launched.url, True), (launched.url.replace("https", "http"), False)):
            signed = tool.signed(json.dumps(body()).encode(), url=url)
            inside = "http://10.0.0.1/api" + launched.url.partition("/api")[2]
            headers = {**signed.headers, "host": "10.0.0.1"}
            request = httpx.Request("POST", inside, headers=headers, content=signed.content)
            assert (await http.send(request)).status_code == (200 if good else 401)


async def test_a_trusted_proxy_says_https(app: Any, tool: Tool) -> None:
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    for trusted, status in (("127.0.0.1", 200), ("10.1.2.3", 401)):
        behind = ProxyHeadersMiddleware(app, trusted_hosts=trusted)
        transport = httpx.ASGITransport(app=behind)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport) as http:
            url = tool.url.replace("http:", "https:")
            request = tool.signed(json.dumps(body()).encode(), url=url)
            headers = {**request.headers, "x-forwarded-proto": "https"}
            sent = httpx.Request("POST", tool.url, headers=headers, content=request.content)
            assert (await http.send(sent)).status_code == status


async def test_a_query_is_part_of_the_signature(tool: Tool) -> None:
    accepted(await tool.send(url=f"{tool.url}?b=2&a=%C3%BC"))
    refused(await tool.http.send(httpx.Request("POST", tool.url + "?a={%zz", headers=(
        tool.signed(b"{}").headers), content=b"{}")), 401, INVALID_HEADER)  # fmt: skip


# Caliper


def view_event(**members: Any) -> dict[str, Any]:
    return {
        "@context": "http://purl.imsglobal.org/ctx/caliper/v1/ViewEvent",
        "@type": VIEW_EVENT,
        "object": {"@id": "http://example.com/"},
        "duration": "PT10M0S",
        **members,
    }


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/ld+json"])
async def test_a_view_event(services: Services, tool: Tool, content_type: str) -> None:
    accepted(await tool.caliper(view_event(), content_type=content_type))
    found = await counted(services, tool)
    assert (found["seconds"], found["accesses"], found["views"]) == (600, 1, 1)
    (view,) = await tool.views()
    assert (view["url"], view["interaction_seconds"]) == ("http://example.com/", 300.0)
    (stored,) = await tool.partner.all()
    assert stored["verb"]["id"] == "http://adlnet.gov/expapi/verbs/interacted"
    assert stored["result"] == {"duration": "PT10M0S"}


async def test_a_view_event_without_a_duration(services: Services, tool: Tool) -> None:
    told = view_event(id=f"urn:uuid:{uuid4()}", eventTime="2026-01-02T03:04:05.000Z")
    del told["duration"]
    for _ in range(2):
        accepted(await tool.caliper(told))
    (view,) = await tool.views()
    assert view["interaction_seconds"] == 5.0
    (stored,) = await tool.partner.all()
    assert f"urn:uuid:{stored['id']}" == told["id"]
    assert stored["timestamp"] == told["eventTime"]


@pytest.mark.parametrize(
    "told", [view_event(**{"@type": "did_not_view"}), {}, [], b"", b"hello", [view_event()]]
)
async def test_other_events_change_nothing(services: Services, tool: Tool, told: Any) -> None:
    accepted(await tool.caliper(told, content_type="text/plain"))
    assert await counted(services, tool) == NOTHING


async def test_caliper_refusals(services: Services, tool: Tool) -> None:
    refused(await tool.caliper(view_event(), client_secret="wrong_one"), 401, INVALID_HEADER)
    answer = await tool.caliper(view_event(duration="soon"))
    assert answer.status_code == 422
    assert message(answer).startswith("duration must be")
    assert (await tool.caliper(view_event(object={}))).status_code == 400
    answer = await tool.caliper(b"{", nonce="mine")
    refused(answer, 400, "An error occurred.", error_code="bad_request")
    assert await counted(services, tool) == NOTHING
    accepted(await tool.caliper({}, nonce="mine"))
    refused(await tool.caliper(view_event(), nonce="mine"), 401, DUPLICATE)
