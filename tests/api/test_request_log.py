"""Request ids and log lines."""

from __future__ import annotations

import asyncio
import json
import logging
import logging.config
import re
from io import StringIO
from typing import Any

import httpx
import pytest

from lrs.observability import logs
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.partners import Partner
from tests.support.statements import XAPI, statement


@pytest.mark.parametrize("value", ["abc", "0af7651916cd43dd/8448:eb=+._-", "x" * 128])
async def test_valid_request_id_is_kept(http: httpx.AsyncClient, value: str) -> None:
    response = await http.get("/healthz", headers={"X-Request-ID": value})
    assert response.headers["x-request-id"] == value


@pytest.mark.parametrize("value", [None, "", "a b", "x" * 129, "ü", "a\tb", '{"x":1}', "abc\xff"])
async def test_missing_or_invalid_request_id_is_generated(
    http: httpx.AsyncClient, value: str | None
) -> None:
    headers: Any = {} if value is None else {"X-Request-ID": value.encode("latin-1")}
    responses = [await http.get("/nothing", headers=headers) for _ in range(2)]
    ids = [response.headers["x-request-id"] for response in responses]
    assert all(re.fullmatch("[0-9a-f]{32}", item) for item in ids)
    assert ids[0] != ids[1]


async def test_request_is_logged_as_one_json_line_with_its_id(settings: Settings) -> None:
    stream = StringIO()
    configuration = logs.configuration("info")
    handler = logging.StreamHandler(stream)
    formatter = logging.config.DictConfigurator(configuration)
    handler.setFormatter(formatter.configure_formatter(configuration["formatters"]["json"]))
    handler.addFilter(logs.RequestIdFilter())
    logger = logging.getLogger("lrs.requests")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        async with serving(settings) as http:
            responses = await asyncio.gather(
                *(http.get(f"/x%0A/{n}", headers={"X-Request-ID": f"id-{n}"}) for n in range(5))
            )
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sorted(line["request_id"] for line in lines) == [f"id-{n}" for n in range(5)]
    assert [response.headers["x-request-id"] for response in responses] == [
        f"id-{n}" for n in range(5)
    ]
    for line in lines:
        assert (line["level"], line["logger"], line["message"]) == (
            "INFO",
            "lrs.requests",
            "request",
        )
        assert (line["method"], line["status"]) == ("GET", 404)
        assert line["ms"] >= 0
        assert line["time"]


async def test_secrets_are_not_logged(
    settings: Settings, partner: Partner, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "lrs"):
        await partner.authenticate()
        await partner.xapi(statement())
        await partner.http.get(
            "/xapi/statements", headers=XAPI, params={"x": "y"}, auth=("x", partner.secret)
        )
    text = "\n".join(f"{record.__dict__}" for record in caplog.records)
    assert "/xapi/statements" in text
    assert partner.secret not in text
    assert partner.token not in text
