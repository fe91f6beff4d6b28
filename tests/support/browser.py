"""Pages in Chromium: an origin of their own, errors and accessibility."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.support.operators import PASSWORD

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# No name is resolved: a page that loads anything from elsewhere fails.
CHROMIUM_ARGUMENTS = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
MEDIA_TYPES = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
}

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 360, "height": 740}


@dataclass
class Watched:
    """A context of the browser, with what its pages must not do."""

    context: BrowserContext
    server: str
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> Page:
        page.on("console", lambda message: message.type == "error" and self.add(message.text))
        page.on("pageerror", lambda error: self.add(str(error)))
        page.on("request", lambda request: self._check(request.url))
        return page

    def add(self, error: str) -> None:
        self.errors.append(error)

    def _check(self, url: str) -> None:
        if not url.startswith((self.server, "data:")):
            self.add(f"request to {url}")


@asynccontextmanager
async def logged_in(browser: Browser, server: str, token: str) -> AsyncIterator[Watched]:
    """A context of the browser in which the operator of a one-time link is logged in."""
    # Without transitions, the colours of a scheme are there at once.
    context = await browser.new_context(viewport=WIDE, reduced_motion="reduce")
    watched = Watched(context, server)
    page = watched.watch(await context.new_page())
    await page.goto(f"{server}/console/link?token={token}")
    assert await accessibility_violations(page) == []
    for name in ("password", "repeated"):
        await page.fill(f"[name={name}]", PASSWORD)
    await page.click("main button")
    await expect(page.locator("h1")).to_have_text("Is it arriving?")
    await page.close()
    yield watched
    await context.close()


@contextmanager
def static_site(files: Mapping[str, bytes]) -> Iterator[str]:
    """The base URL of another origin that serves these files by path, such as `/page.html`.

    A POST is answered like a GET.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            content = files.get(path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", MEDIA_TYPES[path.rpartition(".")[2]])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.do_GET()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def accessibility_violations(page: Page, *rules: str) -> list[str]:
    """One line for each rule of axe-core that the page violates, with the elements.

    All rules, or those named.
    """
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    results = await Axe().run(page, options=options)
    return [
        f"{violation['id']} ({violation['impact']}): "
        + ", ".join(str(node["target"]) for node in violation["nodes"])
        for violation in results.response["violations"]
    ]
