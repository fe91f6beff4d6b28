"""Errors of the alternate request syntax."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest

from lrs.settings import Settings
from tests.support.alternate_syntax import ask, authorization, credentials, stored
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

STATEMENTS = "/xapi/statements"

VERSION = "X-Experience-API-Version"


async def test_second_query_parameter_is_refused(partner: Partner) -> None:
    for query in ("method=GET&limit=1", "limit=1&method=GET", "method=GET&method=PUT"):
        answer = await partner.http.post(f"{STATEMENTS}?{query}", data=credentials(partner))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "get", "", "CONNECT", "G\u00cbT"])
async def test_unknown_method_parameter_is_refused(partner: Partner, method: str) -> None:
    answer = await ask(partner, method)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_method_parameter_without_post_is_refused(partner: Partner, method: str) -> None:
    answer = await partner.http.request(
        method, STATEMENTS, params={"method": "POST"}, headers=XAPI | partner.headers
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


async def test_unsupported_method_parameter_returns_405(partner: Partner) -> None:
    answer = await ask(partner, "DELETE")
    assert (answer.status_code, answer.headers[VERSION]) == (405, "1.0.3")
    assert "GET" in answer.headers["allow"]
    assert (await ask(partner, "GET", "/xapi/nothing")).status_code == 404


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", None]
)
async def test_other_media_type_than_form_is_refused(
    partner: Partner, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "GET"},
        content=urlencode(credentials(partner)).encode(),
        headers={**headers, **XAPI, **partner.headers},
    )
    assert (answer.status_code, answer.headers[VERSION]) == (400, "1.0.3")


@pytest.mark.parametrize(
    "body",
    [
        b"limit=%ff", b"\xff=1", b"limit", b"limit=1&limit=2", b"&&", b"a=&" * 1_000_000 + b"b=",
        b"limit=1&limit=2&content=x", b"content=x&content=x", b"content=x&c%6Fntent=x",
        b"verb=" + b"%41" * 30_000,
    ],
    ids=[
        "escape", "bytes", "no value", "twice", "no name", "a million", "twice beside content",
        "contents", "contents of several names", "long",
    ],
)  # fmt: skip
async def test_malformed_form_is_refused(partner: Partner, body: bytes) -> None:
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "GET"},
        content=body,
        headers={
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            **XAPI,
            **partner.headers,
        },
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("content", [b"%ff", b"\xff"], ids=["escape", "bytes"])
async def test_content_that_is_not_utf_8_is_refused(partner: Partner, content: bytes) -> None:
    form = urlencode(credentials(partner)).encode() + b"&content=" + content
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "POST"},
        content=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json")


async def test_escaped_content_field_name_is_accepted(partner: Partner) -> None:
    text = json.dumps(statement(id=new_id(), result={"response": "a+b & ü = 100 %"}))
    form = urlencode({**credentials(partner), "content": text}).replace("content=", "c%6Fntent=")
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "POST"},
        content=form.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()) == (200, [json.loads(text)["id"]])


async def test_unauthenticated_large_form_returns_401_within_half_a_second(
    partner: Partner,
) -> None:
    """Long content is parsed after authentication only."""
    form = {VERSION: "1.0.3", "Authorization": "Basic eDp5"}
    began = time.process_time()
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "POST"},
        content=urlencode(form).encode() + b"&content=" + b"%41" * 5_000_000,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 401
    assert time.process_time() - began < 0.5


async def test_empty_form_uses_the_headers(partner: Partner) -> None:
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "GET"},
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            **XAPI,
            **partner.headers,
        },
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("version", ["2.0.0", "2.0"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
async def test_alternate_syntax_with_xapi_2_is_refused(
    partner: Partner, version: str, method: str
) -> None:
    fields = {"statementId": new_id()} if method == "PUT" else {}
    content = {"content": json.dumps(statement())} if method in ("PUT", "POST") else {}
    for headers, form in (
        ({VERSION: version}, {}),
        ({}, {VERSION: version}),
        ({VERSION: "1.0.3"}, {VERSION: version}),
    ):
        answer = await partner.http.post(
            STATEMENTS,
            params={"method": method},
            data={"Authorization": authorization(partner), **form, **fields, **content},
            headers=headers,
        )
        assert (answer.status_code, answer.headers[VERSION]) == (400, "2.0.0")
    assert await stored(partner) == []


async def test_missing_version_is_refused(partner: Partner) -> None:
    answer = await partner.http.post(
        STATEMENTS,
        params={"method": "GET"},
        data={"Authorization": authorization(partner)},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-version")


async def test_large_form_returns_413(settings: Settings, partner: Partner) -> None:
    large = {**credentials(partner), "content": json.dumps(statement(id="x" * 5000))}

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"a" * 1000

    async with serving(replace(settings, max_body_bytes=5000)) as http:
        answer = await http.post(STATEMENTS, params={"method": "POST"}, data=large)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
        assert VERSION in answer.headers
        answer = await http.post(
            STATEMENTS,
            params={"method": "POST"},
            content=pieces(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 413


async def test_method_parameter_on_the_partner_interface_is_refused(partner: Partner) -> None:
    answer = await partner.http.post(
        partner.url("statements"),
        params={"method": "GET"},
        data=credentials(partner),
        headers=partner.headers,
    )
    assert answer.status_code == 400


LARGE_CONTENT = "x" * 200_000


async def _post_form(server: str, fields: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server) as http:
        return await http.post("/xapi/statements?method=POST", data=fields)


async def test_large_form_without_credentials_returns_401(server: str) -> None:
    answer = await _post_form(server, {VERSION: "1.0.3", "content": LARGE_CONTENT})
    assert answer.status_code == 401
    assert "field Authorization within the first 65536 bytes" in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"]


async def test_large_form_with_credentials_after_the_content_returns_401(
    server: str, partner: Partner
) -> None:
    answer = await _post_form(server, {"content": LARGE_CONTENT, **credentials(partner)})
    assert answer.status_code == 401


async def test_large_form_with_wrong_credentials_returns_401(server: str, partner: Partner) -> None:
    wrong = {**credentials(partner), "Authorization": "Basic eDp5"}
    answer = await _post_form(server, {**wrong, "content": LARGE_CONTENT})
    assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid credentials.")


async def test_large_form_with_credentials_is_read(server: str, partner: Partner) -> None:
    answer = await _post_form(server, {**credentials(partner), "content": LARGE_CONTENT})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json"), answer.text
