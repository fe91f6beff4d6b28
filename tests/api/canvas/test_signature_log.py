"""What the log says about a signature that is not valid."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from typing import Any

import pytest
from oauthlib.oauth1.rfc5849 import signature

from tests.support.canvas import INVALID_HEADER, Tool, accepted, body, refused


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "lrs.auth")
    return caplog


def records(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in log.records if record.name == "lrs.auth"]


@pytest.mark.parametrize("wrong", [{"client_secret": "wrong_secret"}, {"client_key": "k&ü"}])
async def test_base_string_of_an_invalid_signature_is_logged(
    tool: Tool, log: pytest.LogCaptureFixture, wrong: dict[str, str]
) -> None:
    reported = json.dumps(body()).encode()
    refused(
        await tool.send(reported, url=f"{tool.url}?x=1", nonce="n 1", **wrong), 401, INVALID_HEADER
    )
    (record,) = records(log)
    assert record["message"] == "invalid callback signature"
    assert record["is_consumer_key_right"] == ("client_key" not in wrong)
    method, url, parameters = record["base_string"].split("&")
    assert (method, url) == ("POST", signature.utils.escape(tool.url))
    assert parameters.startswith("oauth_body_hash%3D")
    assert "oauth_nonce%3Dn%25201" in parameters
    assert parameters.endswith("%26x%3D1")
    assert "interacted" not in record["base_string"]  # a JSON body is not in it
    assert tool.secret not in str(record)


async def test_logged_base_string_has_the_signature_of_the_tool(
    tool: Tool, log: pytest.LogCaptureFixture
) -> None:
    """A tool that signs the logged text is accepted."""
    options = {"nonce": "n", "timestamp": str(int(time.time()))}
    await tool.send(b"{}", client_secret="wrong_secret", **options)
    (record,) = records(log)
    digest = hmac.digest(f"{tool.secret}&".encode(), record["base_string"].encode(), "sha1")
    signed = base64.b64encode(digest).decode()
    request = tool.signed(b"{}", **options)
    assert signature.utils.escape(signed) in request.headers["authorization"]


async def test_wrong_body_hash_and_unreadable_header_are_logged(
    tool: Tool, log: pytest.LogCaptureFixture
) -> None:
    request = tool.signed(b"{}")
    headers = {"Content-Type": "application/json"}
    response = await tool.http.post(
        tool.url,
        content=b"[]",
        headers={**headers, "Authorization": request.headers["authorization"]},
    )
    refused(response, 401, INVALID_HEADER)
    refused(await tool.http.post(tool.url, content=b"{}", headers=headers), 401, INVALID_HEADER)
    assert [record["message"] for record in records(log)] == [
        "invalid callback: oauth_body_hash is missing, or not that of the body",
        "invalid callback signature: unreadable OAuth parameters",
    ]


async def test_accepted_callback_is_not_logged(tool: Tool, log: pytest.LogCaptureFixture) -> None:
    accepted(await tool.send())
    assert records(log) == []
