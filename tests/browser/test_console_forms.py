"""The forms of the console in Chromium; each page that a POST returns is accessible."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from lrs.api.services import Services
from tests.support.browser import Watched, accessibility_violations, logged_in
from tests.support.learner_records import content, learner, record
from tests.support.operators import new_email, new_link
from tests.support.partners import Partner
from tests.support.statements import new_id, statement

pytestmark = pytest.mark.slow

_FAILED = "Failed to load resource"
"""What the browser says of a page with an error status; the test looks at the page itself."""

_accessible: set[str] = set()
"""The headings of pages that were examined."""


@pytest.fixture(scope="module")
async def console(browser: Browser, server: str, services: Services) -> AsyncIterator[Watched]:
    """A context in which an owner is logged in, for all tests of this module."""
    _, token = await new_link(services)
    async with logged_in(browser, server, token) as watched:
        yield watched


@pytest.fixture
async def page(console: Watched) -> AsyncIterator[Page]:
    console.errors.clear()
    page = console.watch(await console.context.new_page())
    yield page
    await page.close()
    assert [error for error in console.errors if not error.startswith(_FAILED)] == []


@pytest.fixture
def own(server: str, partner: Partner) -> str:
    """The page of the partner; those of its sections are below."""
    return f"{server}/console/partners/{partner.name}"


async def submit(page: Page, button: str, status: int = 200) -> None:
    """Clicks the button of a form. A page that the POST returns itself is accessible.

    The page of a redirect is that of a GET, which test_console.py examines.
    """
    locator = page.locator("main").get_by_role("button", name=button, exact=True)
    async with page.expect_navigation() as navigation:
        await locator.first.click()
    response = await navigation.value
    assert response is not None
    assert response.status == status, await page.locator("main").inner_text()
    if response.request.method == "POST":
        await require_accessible(page)


async def require_accessible(page: Page) -> None:
    """Examines each kind of page once: axe-core takes a second."""
    kind = await page.locator("h1").inner_text()
    if kind not in _accessible:
        assert await accessibility_violations(page) == []
        _accessible.add(kind)


async def confirm(page: Page, name: str, button: str) -> None:
    await page.fill("[name=typed]", name)
    await submit(page, button)


async def test_operator_is_added_changed_and_disabled(
    page: Page, server: str, partner: Partner
) -> None:
    email = new_email()
    await page.goto(f"{server}/console/operators")
    await page.fill("[name=email]", email)
    await submit(page, "Add, and show the one-time link")
    await expect(page.locator("h1")).to_have_text("One-time link")
    await expect(page.locator("pre code")).to_contain_text("/console/link?token=")
    await page.go_back()
    await page.fill("[name=email]", email)
    await submit(page, "Add, and show the one-time link", 409)
    mine = f"{server}/console/operators/{email}"
    await page.goto(mine)
    await page.select_option("[name=role]", "operator")
    await page.select_option("[name=sees]", "some")
    await page.fill("[name=partners]", partner.name)
    await submit(page, "Save")
    await expect(page.locator("dl")).to_contain_text(partner.name)
    await submit(page, "Issue a link")
    await expect(page.locator("h1")).to_have_text("One-time link")
    await page.goto(mine)
    await page.click("text=Disable this operator…")
    await confirm(page, email, "Disable")
    await expect(page.locator("[role=alert]")).to_contain_text("no token works")
    await submit(page, "Enable")
    await expect(page.locator("[role=alert]")).to_have_count(0)


async def test_token_is_shown_once_works_and_is_revoked(
    page: Page, server: str, services: Services, http: httpx.AsyncClient, partner: Partner
) -> None:
    email, _ = await new_link(services, "operator", [partner.name])
    mine = f"{server}/console/operators/{email}"
    await page.goto(mine)
    await page.fill("[name=label]", "nightly")
    await submit(page, "Issue a token")
    token = await page.locator("pre code").first.inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/v1/admin/overview", headers=headers)).status_code == 200
    await page.goto(mine)
    await expect(page.locator("main")).not_to_contain_text(token)
    await page.locator("tr:has-text('nightly')").get_by_role("link").click()
    session_id = await page.locator("main code").first.inner_text()
    await confirm(page, session_id, "Revoke")
    await expect(page.locator("main")).not_to_contain_text("nightly")
    assert (await http.get("/v1/admin/overview", headers=headers)).status_code == 401


async def test_learner_is_linked_merged_detached_deleted_and_restored(
    page: Page, own: str, services: Services, partner: Partner
) -> None:
    ada = await learner(services, partner, {"mbox": "mailto:ada@example.com"})
    other = await learner(services, partner, {"mbox": "mailto:other@example.com"})
    mine = f"{own}/learners/{ada}"
    for identifier, says in (
        ("new@example.com", "No learner has"),
        ("other@example.com", "merged"),
    ):
        await page.goto(mine)
        await page.click("summary:has-text('Link an identifier')")
        await page.fill("[name=identifier]", identifier)
        await submit(page, "See what would happen")
        await expect(page.locator("main")).to_contain_text(says)
        await confirm(page, str(ada), "Link")
        await expect(page.locator("[aria-label=Identifiers]")).to_contain_text(identifier)
    response = await page.goto(f"{own}/learners/{other}")
    assert response is not None
    assert response.status == 404
    await page.goto(mine)
    await page.click("[aria-label='Detach new@example.com']")
    await confirm(page, str(ada), "Detach")
    await expect(page.locator("[aria-label=Identifiers]")).to_contain_text("new@example.com")
    assert not page.url.endswith(f"/{ada}")
    await page.goto(mine)
    await expect(page.locator("[aria-label=Identifiers]")).not_to_contain_text("new@example.com")
    await page.click("text=Delete this learner from the reports…")
    await confirm(page, str(ada), "Delete")
    await expect(page.locator("h1")).to_have_text("Learner deleted")
    await page.goto(f"{own}/deleted-learners")
    await submit(page, f"Restore learner {ada}")
    assert page.url == mine


async def test_tool_is_added_rotated_and_revoked(page: Page, own: str) -> None:
    await page.goto(f"{own}/tools")
    await page.fill("[name=name]", "quiz")
    await submit(page, "Add, and show the secret")
    secret = await page.locator("dd code").nth(1).inner_text()
    await page.goto(f"{own}/tools")
    await submit(page, "Rotate the secret of quiz")
    assert await page.locator("dd code").nth(1).inner_text() != secret
    await page.goto(f"{own}/tools")
    await page.click("[aria-label='Revoke quiz']")
    await confirm(page, "quiz", "Revoke")
    await expect(page.locator("[aria-label=Tools]")).to_contain_text("revoked")


async def test_partner_is_changed_disabled_and_enabled(
    page: Page, own: str, partner: Partner
) -> None:
    async def change(summary: str, button: str, status: int = 200, **fields: str) -> None:
        await page.goto(own)
        await page.click(f"summary:has-text('{summary}')")
        for name, value in fields.items():
            if name == "setting":
                await page.select_option("[name=setting]", value)
            else:
                await page.fill(f"[name={name}]", value)
        await submit(page, button, status)

    await page.goto(own)
    summaries = await page.locator("main summary").all_inner_texts()
    (limits,) = [text for text in summaries if "title" in text]
    await change(limits, "Save", title="Renamed", rate_limit="100/second")
    await expect(page.locator("h1")).to_have_text("Renamed")
    await expect(page.locator("[aria-label=Limits]")).to_contain_text("100/second")
    await change(limits, "Save", 400, rate_limit="fast")
    setting = {"setting": "fold_mail_case"}
    await change("Change a setting", "Set", 400, **setting, value="perhaps")
    await change("Change a setting", "Set", **setting, value="false")
    await expect(page.locator("main")).to_contain_text("fold_mail_case")
    await page.click("text=Disable this partner…")
    await page.fill("[name=reason]", "moved")
    await confirm(page, partner.name, "Disable")
    await expect(page.locator("[role=alert]")).to_contain_text("moved")
    await submit(page, "Enable")
    await expect(page.locator("[role=alert]")).to_have_count(0)


async def test_statement_is_voided_with_its_id_only(page: Page, own: str, partner: Partner) -> None:
    statement_id = new_id()
    await partner.send(statement(id=statement_id))
    await page.goto(f"{own}/statements/{statement_id}")
    await page.click("text=Void this statement…")
    await page.fill("[name=typed]", "another name")
    await submit(page, "Void", 400)
    await expect(page.locator("[role=alert]")).to_contain_text("nothing was changed")
    await page.go_back()
    await confirm(page, statement_id, "Void")
    await expect(page.locator("[role=alert]")).to_contain_text("Voided")


async def test_content_item_gets_a_type_is_deleted_and_restored(
    page: Page, own: str, services: Services, partner: Partner
) -> None:
    person_id = await learner(services, partner, {"mbox": "mailto:ada@example.com"})
    course = await content(services, partner, "https://example.com/course", title="Course 1")
    await record(services, partner, person_id, course)
    await page.goto(f"{own}/contents/{course}")
    await page.select_option("[name=type]", "course")
    await submit(page, "Set the type")
    await expect(page.locator("dl")).to_contain_text("course")
    await page.click("text=Delete from the reports…")
    await confirm(page, str(course), "Delete")
    await expect(page.locator("[role=alert]")).to_contain_text("it is in no report")
    await submit(page, "Restore")
    await expect(page.locator("[role=alert]")).to_have_count(0)


async def test_pipe_is_added_after_an_error_changed_and_removed(page: Page, own: str) -> None:
    await page.goto(f"{own}/add-pipe?direction=pull")
    await page.fill("[name=name]", "history")
    await page.fill("[name=url]", "ftp://lrs.example/xapi")
    await page.fill("[name='options.every']", "90")
    await page.fill("[name=key]", "key")
    await page.fill("[name=secret]", "secret")
    await submit(page, "Add", 400)
    await expect(page.locator("[role=alert]")).to_contain_text("expected an http or https URL")
    assert await page.input_value("[name='options.every']") == "90"
    assert await page.input_value("[name=secret]") == ""
    await page.fill("[name=url]", "https://lrs.example/xapi")
    await page.fill("[name=secret]", "secret")
    await submit(page, "Add")
    await expect(page.locator("h1")).to_have_text("Pipe history")
    await page.goto(f"{own}/pipes/history/change")
    await page.fill("[name='options.every']", "soon")
    await submit(page, "Save", 400)
    assert await page.input_value("[name='options.every']") == "soon"
    await page.fill("[name='options.every']", "120")
    await submit(page, "Save")
    await page.goto(f"{own}/pipes/history/remove")
    await confirm(page, "history", "Remove")
    await expect(page.locator("main")).to_contain_text("No pipe yet")


async def test_secret_is_shown_once_and_a_sample_is_checked(page: Page, own: str) -> None:
    await page.goto(f"{own}/credentials")
    await page.fill("[name=label]", "mobile")
    await page.select_option("[name=kind]", "bearer")
    await submit(page, "Make it")
    await expect(page.locator("main")).to_contain_text("Static token")
    await page.goto(f"{own}/connect")
    await submit(page, "Make a test credential for 5 minutes")
    await expect(page.locator("h1")).to_have_text("Test credential")
    key = await page.locator("dd code").first.inner_text()
    await page.goto(f"{own}/credentials/{key}")
    await submit(page, "Rotate")
    await page.goto(f"{own}/connect")
    text = await page.input_value("textarea")
    await submit(page, "Check it")
    await expect(page.locator("main [role=status]")).to_contain_text("It would be stored")
    await page.fill("textarea", text.replace("mailto:", ""))
    await submit(page, "Check it")
    await expect(page.locator("[role=alert]")).to_contain_text("/actor/mbox")
