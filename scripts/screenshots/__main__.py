"""Write one picture of each page into docs/console/, of a server that this starts and fills."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from scripts.screenshots import demo

CHROMIUM = "/usr/bin/chromium"
DIRECTORY = Path(__file__).resolve().parents[2] / "docs" / "console"
_OWN = f"/console/partners/{demo.PARTNER}"

PAGES = {
    "overview": "/console",
    "partners": "/console/partners",
    "partner": _OWN,
    "connect": f"{_OWN}/connect",
    "refusals": f"{_OWN}/refusals",
    "refusal": f"{_OWN}/refusals -> [aria-label='Refused items'] tbody th a",
    "pipes": f"{_OWN}/pipes",
    "pipe": f"{_OWN}/pipes/warehouse",
    "add-pipe": f"{_OWN}/add-pipe?direction=pull",
    "dead-letter": f"{_OWN}/pipes/warehouse -> [aria-label='Dead letters'] tbody th a",
    "statements": f"{_OWN}/statements?verb=http://adlnet.gov/expapi/verbs/completed",
    "statement": f"{_OWN}/statements -> tbody th a",
    "void": f"{_OWN}/statements -> tbody th a -> a[href$='/void']",
    "learners": f"{_OWN}/learners?search=ada",
    "learner": f"{_OWN}/learners -> tbody th a",
    "contents": f"{_OWN}/contents",
    "content": f"{_OWN}/contents -> tbody th a",
    "reports": f"{_OWN}/reports",
    "live": f"{_OWN}/live",
    "credentials": f"{_OWN}/credentials",
    "credential": f"{_OWN}/credentials -> tbody th a",
    "revoke": f"{_OWN}/credentials -> tbody th a -> a[href$='/revoke']",
    "tools": f"{_OWN}/tools",
    "attempts": "/console/attempts",
    "operators": "/console/operators",
    "operator": "/console/operators -> tbody th a",
    "audit": "/console/audit",
    "system": "/console/system",
}
"""The path of each page, and the links to follow from there."""


def main() -> None:
    chosen = sys.argv[1:] or [*PAGES]
    DIRECTORY.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        demo.running(Path(directory)) as (url, link),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        context = browser.new_context(viewport={"width": 1100, "height": 640})
        page = context.new_page()
        _log_in(page, link)
        cookies = {item.get("name", ""): item.get("value", "") for item in context.cookies()}
        headers = {"Sec-Fetch-Site": "same-origin"}
        with httpx.Client(base_url=url, cookies=cookies, headers=headers) as client:
            demo.fill(client)
        for name in chosen:
            _save(page, url, name)
        browser.close()


def _log_in(page: Page, link: str) -> None:
    page.goto(link)
    for name in ("password", "repeated"):
        page.fill(f"[name={name}]", demo.PASSWORD)
    page.click("main button")
    page.wait_for_url("**/console")


def _save(page: Page, url: str, name: str) -> None:
    path, *links = PAGES[name].split(" -> ")
    page.goto(f"{url}{path}")
    for selector in links:
        page.click(f"{selector} >> nth=0")
    page.screenshot(path=DIRECTORY / f"{name}.png", full_page=False)


if __name__ == "__main__":
    main()
