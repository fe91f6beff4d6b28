"""The URL that a callback signs, behind proxies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from lrs.settings import Settings
from tests.support.canvas import INVALID_HEADER, Tool, accepted, body, instance, refused


@pytest.mark.parametrize("public", ["https://lrs.example", "https://lrs.example:8443/below"])
async def test_callback_signature_covers_the_public_url(
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


async def test_scheme_of_a_trusted_proxy_is_signed(app: Any, tool: Tool) -> None:
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


async def test_query_is_part_of_the_signature(tool: Tool) -> None:
    accepted(await tool.send(url=f"{tool.url}?b=2&a=%C3%BC"))
    refused(await tool.http.send(httpx.Request("POST", tool.url + "?a={%zz", headers=(
        tool.signed(b"{}").headers), content=b"{}")), 401, INVALID_HEADER)  # fmt: skip
