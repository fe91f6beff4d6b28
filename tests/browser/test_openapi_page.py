"""Swagger UI in Chromium, under the Content-Security-Policy of the server."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.support.browser import accessibility_violations
from tests.support.openapi import operations


async def test_openapi_page_lists_all_operations(page: Page, server: str) -> None:
    blocked: list[str] = []
    page.on("console", lambda message: message.type == "error" and blocked.append(message.text))
    await page.goto(f"{server}/docs")
    for path in ("/v1/partners/{partner}/statements", "/xapi/statements", "/oauth2/token"):
        await expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()
    await expect(page.locator(".opblock")).to_have_count(len(list(operations())))
    assert blocked == []


async def test_accessibility_violation_names_the_element(page: Page) -> None:
    await page.set_content(
        '<!doctype html><html lang="en"><title>Page</title><main><h1>Page</h1>'
        '<img id="logo" src="data:,"></main></html>'
    )
    assert await accessibility_violations(page) == ["image-alt (critical): ['#logo']"]
