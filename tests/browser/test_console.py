"""The console in Chromium: with and without JavaScript, wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from lrs.api.services import Services
from lrs.store import dead_letters
from tests.support.browser import NARROW, WIDE, Watched, accessibility_violations, logged_in
from tests.support.forwarding import add_dead_letter
from tests.support.learner_records import content, learner, record
from tests.support.operators import new_link, operator_headers
from tests.support.partners import Partner
from tests.support.pipes import pull_invalid
from tests.support.statements import new_id, statement

pytestmark = pytest.mark.slow

# What colours and the width of the window change.
LAYOUT_RULES = ("color-contrast", "scrollable-region-focusable", "target-size", "meta-viewport")


@pytest.fixture
async def session(services: Services) -> str:
    """The token of a one-time link of a new owner."""
    _, token = await new_link(services)
    return token


@pytest.fixture
async def watched(browser: Browser, server: str, session: str) -> AsyncIterator[Watched]:
    """A context that is logged in."""
    async with logged_in(browser, server, session) as watched:
        yield watched
    assert watched.errors == []


@pytest.fixture
async def paths(services: Services, partner: Partner, http: httpx.AsyncClient) -> list[str]:
    """One path of each page, of a partner that has sent something."""
    statement_id = new_id()
    actor = {"mbox": "mailto:ada@example.com", "name": "Ada"}
    await partner.send(statement(id=statement_id, actor=actor))
    await partner.send(statement(actor={"mbox": "ada@example.com"}))
    await http.get(f"/v1/partner/{partner.name}/statements", headers=partner.headers)
    await services.ledger.write()
    person_id = await learner(services, partner, actor)
    course = await content(services, partner, "https://example.com/course", title="Course 1")
    await record(services, partner, person_id, course)
    await add_dead_letter(services, partner, statement_id)
    own = f"/v1/admin/partners/{partner.name}"
    headers = await operator_headers(services)
    (refusal,) = (await http.get(f"{own}/refusals", headers=headers)).json()["refusals"]
    accounts = (await http.get("/v1/admin/operators?limit=1", headers=headers)).json()
    email = accounts["operators"][0]["email"]
    await http.post(f"{own}/tools", headers=headers, json={"name": "quiz"})
    pages = (
        "", "/connect", "/refusals", f"/refusals/{refusal['id']}", "/statements?limit=1",
        f"/statements/{statement_id}", "/learners?search=ada", f"/learners/{person_id}",
        "/deleted-learners",
        "/contents", "/reports?by=organization", "/live", "/credentials", "/disable",
        "/pipes", "/pipes/pipe", "/pipes/pipe/runs", "/pipes/pipe/letters", "/pipes/pipe/change",
        f"/pipes/pipe/letters/{statement_id}", "/pipes/pipe/remove", "/pipes/pipe/letters/drop",
        "/add-pipe?direction=pull", "/add-pipe?direction=forward",
        f"/credentials/{partner.key}", f"/credentials/{partner.key}/revoke",
        f"/statements/{statement_id}/void", f"/learners/{person_id}/delete",
        f"/learners/{person_id}/link?identifier=ada@new.example",
        f"/contents/{course}", f"/contents/{course}/delete", "/tools", "/tools/quiz/revoke",
        "/live?outcome=refused",
    )  # fmt: skip
    return [
        *("/", "/console", "/console/help", "/console/partners", "/console/credentials"),
        *("/console/audit", "/console/system", "/console/pipes", "/console/attempts"),
        *(f"/console/operators{path}" for path in ("", f"/{email}", f"/{email}/revoke")),
        "/console/partners/none",
        *(f"/console/partners/{partner.name}{page}" for page in pages),
    ]


async def overflow(page: Page) -> Any:
    """How much wider than the window the page is, in pixels."""
    return await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


async def test_every_page_is_accessible_wide_and_narrow_light_and_dark(
    watched: Watched, paths: list[str]
) -> None:
    page = watched.watch(await watched.context.new_page())
    found = {}
    for path in paths:
        await page.set_viewport_size(WIDE)
        await page.emulate_media(color_scheme="light")
        await page.goto(f"{watched.server}{path}", wait_until="domcontentloaded")
        wide = await accessibility_violations(page)
        await page.set_viewport_size(NARROW)
        await page.emulate_media(color_scheme="dark")
        narrow = await accessibility_violations(page, *LAYOUT_RULES)
        if problems := [*wide, *narrow, *(["overflow"] if await overflow(page) > 0 else [])]:
            found[path] = problems
    watched.errors[:] = [error for error in watched.errors if "404" not in error]  # of "none"
    assert found == {}


async def test_every_page_works_without_javascript(
    browser: Browser, watched: Watched, paths: list[str]
) -> None:
    state = await watched.context.storage_state()
    context = await browser.new_context(
        viewport=NARROW,
        java_script_enabled=False,
        storage_state=state,
    )
    page = watched.watch(await context.new_page())
    for path in paths:
        response = await page.goto(f"{watched.server}{path}")
        assert response
        assert response.status == (404 if path.endswith("/none") else 200), path
        await expect(page.locator("h1")).to_have_count(1)
    await context.close()
    watched.errors[:] = [error for error in watched.errors if "404" not in error]  # of "none"


async def test_bad_statement_is_understood_corrected_and_sent_again(
    watched: Watched, paths: list[str], partner: Partner
) -> None:
    page = watched.watch(await watched.context.new_page())
    await page.goto(f"{watched.server}/console?partner={partner.name}")
    await page.click(f"[aria-label=Partners] a:has-text('{partner.name}')")
    await expect(page.locator("h1")).to_have_text(partner.name)
    await page.wait_for_load_state()  # the script handles keys
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    await expect(page.locator("h1")).to_have_text(f"Refusals of {partner.name}")
    await page.click("[aria-label='Refused items'] tbody a")
    await expect(page.locator("main")).to_contain_text("expected a mailto IRI")
    text = await page.input_value("textarea")
    await page.fill("textarea", text.replace('"ada@', '"mailto:ada@'))
    await page.click("text=Send again")
    await expect(page.locator("main [role=status]")).to_contain_text("Sent again: stored")


async def test_bad_statement_of_a_pull_is_corrected_and_keeps_its_origin(
    watched: Watched, partner: Partner, services: Services
) -> None:
    await pull_invalid(services, partner)
    page = watched.watch(await watched.context.new_page())
    await page.goto(f"{watched.server}/console/partners/{partner.name}/refusals")
    await page.click("[aria-label='Refused items'] tbody a")
    await expect(page.locator("main")).to_contain_text("send it again as pipe history")
    text = await page.input_value("textarea")
    await page.fill("textarea", text.replace('"ada@', '"mailto:ada@'))
    await page.click("text=Send again")
    await expect(page.locator("main [role=status]")).to_contain_text("Sent again: stored")
    await page.click("text=The statement")
    await expect(page.locator("main")).to_contain_text("by the pipe history")
    await expect(page.locator("main")).to_contain_text("authority there")
    await expect(page.locator("main")).not_to_contain_text("which was refused")


async def test_credential_is_made_used_and_revoked(
    watched: Watched, partner: Partner, http: httpx.AsyncClient
) -> None:
    page = watched.watch(await watched.context.new_page())
    await page.goto(f"{watched.server}/console/partners/{partner.name}/credentials")
    await page.fill("[name=label]", "from the browser")
    await page.click("text=Make it")
    key = await page.locator("dd code").nth(0).inner_text()
    secret = await page.locator("dd code").nth(1).inner_text()
    headers = {"X-Experience-API-Version": "1.0.3"}
    answer = await http.post(
        "/xapi/statements", json=statement(), auth=(key, secret), headers=headers
    )
    assert answer.status_code == 200
    await page.goto(f"{watched.server}/console/partners/{partner.name}/credentials/{key}/revoke")
    await page.fill("[name=typed]", "another name")
    await page.click("main button")
    await expect(page.locator("[role=alert]")).to_contain_text("nothing was changed")
    watched.errors[:] = [error for error in watched.errors if "400" not in error]
    await page.goto(f"{watched.server}/console/partners/{partner.name}/credentials/{key}/revoke")
    await page.fill("[name=typed]", key)
    await page.click("main button")
    await expect(page.locator(f"tr:has-text('{key}')")).to_contain_text("revoked")


async def test_live_page_shows_the_next_items(watched: Watched, partner: Partner) -> None:
    page = watched.watch(await watched.context.new_page())
    await page.goto(f"{watched.server}/console/partners/{partner.name}/live")
    await expect(page.locator("#live-state")).to_have_text("Connected.")
    statement_id = new_id()
    await partner.send(statement(id=statement_id))
    await expect(page.locator(f"a[href$='{statement_id}']")).to_have_count(1)
    await page.click("text=Pause")
    await expect(page.locator("#live-state")).to_have_text("Paused.")


async def test_dead_letter_is_found_by_keys_and_corrected(
    watched: Watched, paths: list[str], partner: Partner, services: Services
) -> None:
    page = watched.watch(await watched.context.new_page())
    await page.goto(f"{watched.server}/console?partner={partner.name}")
    await page.click(f"a[href$='/{partner.name}/pipes/pipe']")
    await expect(page.locator("h1")).to_have_text("Pipe pipe")
    await page.wait_for_load_state()  # the script handles keys
    await page.keyboard.press("g")
    await page.keyboard.press("i")
    await expect(page.locator("h1")).to_have_text(f"Pipes of {partner.name}")
    await page.click("[aria-label='Pipes'] tbody a")
    await expect(page.locator("[role=alert]")).to_contain_text("is unknown")
    await page.click("[aria-label='Dead letters'] tbody a")
    await expect(page.locator("main")).to_contain_text("The target answers 400.")
    text = await page.input_value("textarea")
    await page.fill("textarea", "{}")
    await page.click("text=Send again as it is in the form")
    await expect(page.locator("[role=alert]")).to_contain_text("Not sent: Invalid statement")
    watched.errors[:] = [error for error in watched.errors if "400" not in error]
    await page.fill("textarea", text.replace("Ada", "Ada L."))
    await page.click("text=Send again as it is in the form")
    await expect(page.locator("[aria-label='Dead letters']")).to_contain_text("will be sent again")
    (letter,) = await dead_letters.list_letters(services.database, partner.partner_id, "pipe")
    assert letter.retry
    assert "Ada L." in str(letter.request)


async def test_text_of_a_statement_is_copied_and_downloaded(
    watched: Watched, partner: Partner
) -> None:
    statement_id = new_id()
    await partner.send(statement(id=statement_id))
    await watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.watch(await watched.context.new_page())
    await page.goto(f"{watched.server}/console/partners/{partner.name}/statements/{statement_id}")
    await page.click("text=Copy the text")
    await expect(page.locator("button[data-copy]")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    async with page.expect_download() as started:
        await page.click("text=Download the stored bytes")
    download = await started.value
    assert download.suggested_filename == f"{statement_id}.json"
    assert copied == (await download.path()).read_text(encoding="utf-8")
