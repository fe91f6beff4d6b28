"""Requests that scripts of another origin write themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Page

from tests.support.browser import static_site
from tests.support.clients import configuration
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with static_site({"/page.html": b"<!doctype html><title>Page</title>"}) as url:
        yield url


async def stored(server: str, partner: Partner, statement_id: str) -> httpx.Response:
    """The response with the statement, at most 10 seconds after it was sent."""
    async with httpx.AsyncClient(
        base_url=server, headers=XAPI, auth=(partner.key, partner.secret), timeout=30
    ) as client:
        for _ in range(100):
            response = await client.get("/xapi/statements", params={"statementId": statement_id})
            if response.status_code == 200:
                break
            await asyncio.sleep(0.1)
        return response


async def test_beacon_stores_a_statement(
    page: Page, origin: str, server: str, partner: Partner
) -> None:
    """A page that closes sends the alternate request syntax as text/plain, without a preflight."""
    sent = statement(id=new_id())
    await page.goto(f"{origin}/page.html")
    accepted = await page.evaluate(
        """([{ endpoint, key, secret }, statement]) => {
            const form = new URLSearchParams({
                Authorization: `Basic ${btoa(`${key}:${secret}`)}`,
                "X-Experience-API-Version": "1.0.3",
                "Content-Type": "application/json",
                content: JSON.stringify(statement),
            });
            return navigator.sendBeacon(`${endpoint}statements?method=POST`, form.toString());
        }""",
        [configuration(server, partner), sent],
    )
    assert accepted
    assert (await stored(server, partner, sent["id"])).status_code == 200


async def test_page_compresses_a_batch_and_reads_headers(
    page: Page, origin: str, server: str, partner: Partner
) -> None:
    sent = [statement(id=new_id()) for _ in range(3)]
    await page.goto(f"{origin}/page.html")
    result = await page.evaluate(
        """async ([{ endpoint, key, secret }, text]) => {
            const gzip = new CompressionStream("gzip");
            const body = await new Response(new Blob([text]).stream().pipeThrough(gzip)).blob();
            const headers = {
                Authorization: `Basic ${btoa(`${key}:${secret}`)}`,
                "X-Experience-API-Version": "2.0.0",
                "X-Request-Source": "page",
            };
            const json = { "Content-Type": "application/json", "Content-Encoding": "gzip" };
            const url = `${endpoint}statements`;
            const post = { method: "POST", headers: { ...headers, ...json }, body };
            const response = await fetch(url, post);
            const page = await fetch(`${url}?limit=1`, { headers });
            const consistent = page.headers.get("X-Experience-API-Consistent-Through");
            return [await response.json(), consistent, (await page.json()).more];
        }""",
        [configuration(server, partner), json.dumps(sent)],
    )
    ids, consistent_through, more = result
    assert ids == [item["id"] for item in sent]
    assert consistent_through.endswith("Z")
    assert more
