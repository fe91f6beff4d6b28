"""oauth_body_hash, and when a nonce is consumed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256

from lrs.api.services import Services
from lrs.errors import Unavailable
from lrs.ingest.model import Outcome
from lrs.ingest.pipeline import IngestPipeline
from lrs.settings import Settings
from tests.support.canvas import (
    BODY,
    DUPLICATE,
    EMPTY_HASH,
    INVALID_HEADER,
    NOTHING,
    Tool,
    accepted,
    body,
    count_rows,
    enable_strict_idempotency,
    instance,
    refused,
)


def hashed(content: bytes, name: str = "sha1") -> str:
    return base64.b64encode(hashlib.new(name, content).digest()).decode()


class Hashing:
    """Signs with a given body hash."""

    @staticmethod
    def request(tool: Tool, content: bytes, value: str | None, method: str) -> httpx.Request:
        from oauthlib.oauth1 import Client

        class Own(Client):  # type: ignore[misc]
            def get_oauth_params(self, request: Any) -> list[tuple[str, str]]:
                params = super().get_oauth_params(request)
                remaining = [item for item in params if item[0] != "oauth_body_hash"]
                return remaining if value is None else [*remaining, ("oauth_body_hash", value)]

        client = Own(tool.key, tool.secret, signature_method=method)
        headers = {"Content-Type": "application/json"}
        uri, headers, _ = client.sign(tool.url, "POST", body=content, headers=headers)
        return httpx.Request("POST", uri, headers=headers, content=content)


CONTENT = json.dumps(BODY).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "value", "good"),
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
async def test_body_hash_is_checked(
    settings: Settings, tool: Tool, method: str, value: str, good: bool, required: bool
) -> None:
    async with instance(settings, require_callback_body_hash=required) as http:
        response = await http.send(Hashing.request(tool, CONTENT, value, method))
    if good:
        accepted(response)
    else:
        refused(response, 401, INVALID_HEADER)


@pytest.mark.parametrize("value", [None, "", EMPTY_HASH])
@pytest.mark.parametrize("required", [False, True])
async def test_absent_or_empty_body_hash_is_accepted_unless_required(
    settings: Settings, tool: Tool, value: str | None, required: bool
) -> None:
    """Canvas's test client sends the hash of an empty body."""
    async with instance(settings, require_callback_body_hash=required) as http:
        response = await http.send(Hashing.request(tool, CONTENT, value, SIGNATURE_HMAC_SHA1))
    if required:
        refused(response, 401, INVALID_HEADER)
    else:
        accepted(response)


async def test_changed_body_consumes_no_nonce(services: Services, tool: Tool) -> None:
    request = tool.signed(json.dumps(body()).encode(), nonce="mine")
    forged = json.dumps(body("PT9H")).encode()
    headers = {**request.headers, "content-length": str(len(forged))}
    response = await tool.http.send(
        httpx.Request("POST", tool.url, headers=headers, content=forged)
    )
    refused(response, 401, INVALID_HEADER)
    assert await count_rows(services, tool) == NOTHING
    accepted(await tool.http.send(request))


@pytest.mark.parametrize("wrong", [{"client_secret": "wrong_secret"}, {"client_key": "k"}])
async def test_forged_request_consumes_no_nonce(tool: Tool, wrong: dict[str, str]) -> None:
    refused(await tool.send(nonce="mine", **wrong), 401, INVALID_HEADER)
    accepted(await tool.send(nonce="mine"))


@pytest.mark.parametrize("strict", [False, True])
async def test_failed_report_consumes_no_nonce(
    services: Services, tool: Tool, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    """With a tool that uses one id for all learners: its retry is accepted once."""
    if strict:
        await enable_strict_idempotency(services, tool)
    reported = json.dumps(body(id=str(uuid4()))).encode()
    accepted(await tool.send(reported))
    request = (await tool.launch("another")).signed(reported)
    submit, attempts = IngestPipeline.submit, iter((False, True) if strict else (True,))

    async def failing(*arguments: Any, **options: Any) -> list[Outcome]:
        if next(attempts, False):
            raise Unavailable("The database does not answer.")
        return await submit(*arguments, **options)

    monkeypatch.setattr(IngestPipeline, "submit", failing)
    assert (await tool.http.send(request)).status_code == 503
    accepted(await tool.http.send(request))
    refused(await tool.http.send(request), 401, DUPLICATE)
    assert len(await tool.partner.all()) == 2


async def test_report_that_is_not_counted_consumes_its_nonce(
    services: Services, tool: Tool
) -> None:
    await enable_strict_idempotency(services, tool)
    reported = body(id=str(uuid4()))
    accepted(await tool.send(reported))
    request = tool.signed(json.dumps({**reported, "verb": {"id": "http://example.com/v"}}).encode())
    accepted(await tool.http.send(request))
    refused(await tool.http.send(request), 401, DUPLICATE)
    assert len(await tool.partner.all()) == 1
