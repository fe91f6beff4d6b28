"""Invalid Content-Type, Authorization and Content-Length."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.invalid_input import INTERFACES, check, post, text, url
from tests.support.partners import Partner
from tests.support.statements import JSON, XAPI


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(
    "value", ["", "text/json", "application/xml", "json", "application/json5", "é", ";", "*/*"]
)
async def test_unsupported_content_type_is_refused(
    partner: Partner, interface: str, value: str
) -> None:
    headers: Any = {**XAPI, **partner.headers, "Content-Type": value.encode()}
    response = await partner.http.post(
        url(partner, interface), content=text().encode(), headers=headers
    )
    check(response)
    assert (response.status_code, response.json()["code"]) == (400, "unsupported-media-type")
    assert await partner.all() == []


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"\xff",
        b"B\xe4sic eDp5",
        b"Bearer \xff\xfe",
        b"Bearer " + "токен".encode(),
        b"Bearer \xe4.\xe4",
        b"Bearer a b c",
        b"Bearer a,b",
        b"Bearer .",
        b"Bearer ..",
        b"Bearer " + b"a" * 20_000,
        b"Basic",
        b"Basic ",
        b"Basic =",
        b"Basic e",
        b"Basic \xff",
        b"Basic YQ",
        b"Basic YQ==",
        b"Basic Og==",
        b"Basic YTpi\n",
        b"Basic YTpi YTpi",
        b"Basic YQA6Yg==",
        b"Basic /////w==",
        b"Basic " + b"YTpi" * 5_000,
        b"basic",
        b"Negotiate YTpi",
        b"AWS4-HMAC-SHA256 x=y",
        b'OAuth oauth_consumer_key="x"',
    ],
)
@pytest.mark.parametrize("interface", INTERFACES)
async def test_malformed_authorization_returns_401(
    partner: Partner, interface: str, value: bytes
) -> None:
    headers: Any = {**JSON, **XAPI, "Authorization": value}
    response = await partner.http.post(
        url(partner, interface), content=text().encode(), headers=headers
    )
    check(response)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"].isascii()


async def test_wrong_secret_with_a_colon_returns_401(partner: Partner) -> None:
    for secret in (f"{partner.secret}:", f":{partner.secret}", "a:b:c"):
        response = await partner.http.get(
            "/xapi/statements", headers=XAPI, auth=(partner.key, secret)
        )
        assert response.status_code == 401


@pytest.mark.parametrize(
    "declared", ["x", "-1", "²", "1e3", "9" * 30, "9" * 5000, "0x10", "", " 5", "5, 5"]
)
async def test_malformed_content_length_gets_a_proper_response(
    partner: Partner, declared: str
) -> None:
    # A real server refuses most of these before we see them.
    response = await post(
        partner,
        "statements",
        text().encode(),
        {"Content-Length": declared.encode("latin-1")},  # type: ignore[dict-item]
    )
    check(response)
