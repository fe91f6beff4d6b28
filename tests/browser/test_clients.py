"""xAPI clients in Chromium, in a page of another origin than the server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page

from tests.support import cmi5
from tests.support.browser import static_site
from tests.support.clients import (
    CLIENTS,
    DOCUMENTS,
    Json,
    check_document,
    check_statements,
    check_xapi,
    configuration,
    installed_packages,
    stored_attachments,
)
from tests.support.partners import Partner

# The script of each client's package for browsers, and the global name it defines.
SCRIPTS = {
    "tincanjs": ("tincanjs/build/tincan-min.js", "TinCan"),
    "cmi5": ("@xapi/cmi5/dist/Cmi5.umd.js", "Cmi5"),
    "rustici-cmi5": ("@rusticisoftware/cmi5/dist/cmi5.js", "Cmi5"),
    "xapi": ("@xapi/xapi/dist/XAPI.umd.js", "XAPI"),
    "xapiwrapper": ("xapiwrapper/dist/xapiwrapper.min.js", "ADL"),
}


@pytest.fixture(scope="module")
def site_files() -> dict[str, bytes]:
    """The clients, their programs and a page for each, by path."""
    packages = installed_packages()
    files: dict[str, bytes] = {}
    for program, (script, _) in SCRIPTS.items():
        files[f"/{program}.js"] = (packages / script).read_bytes()
        files[f"/{program}.html"] = (
            f'<!doctype html><meta charset="utf-8"><script src="/{program}.js"></script>'.encode()
        )
    return files | {f"/{file.name}": file.read_bytes() for file in CLIENTS.glob("*.mjs")}


@pytest.fixture(scope="module")
def content_origin(site_files: dict[str, bytes]) -> Iterator[str]:
    with static_site(site_files) as url:
        yield url


async def run(page: Page, origin: str, program: str, configured: Json, query: str = "") -> Json:
    """The result of a program of tests/clients in a page."""
    await page.goto(f"{origin}/{program}.html{query}")
    result: Json = await page.evaluate(
        """async ([program, name, configuration]) => {
            const { run } = await import(`/${program}.mjs`);
            return await run(globalThis[name], configuration);
        }""",
        [program, SCRIPTS[program][1], configured],
    )
    return result


async def test_tincanjs_round_trips(
    page: Page, content_origin: str, server: str, partner: Partner
) -> None:
    configured = configuration(server, partner, contents="binary")
    result = await run(page, content_origin, "tincanjs", configured)
    assert "1.0.3" in result["about"]
    check_statements(result["statements"])
    attachments = result["attachments"]
    assert attachments["one"] == attachments["page"] == attachments["sent"]
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]
    for kind in DOCUMENTS:
        check_document(result[kind], dropped=None)


async def test_xapiwrapper_round_trips(
    page: Page, content_origin: str, server: str, partner: Partner
) -> None:
    configured = configuration(server, partner, contents="binary")
    result = await run(page, content_origin, "xapiwrapper", configured)
    check_statements(result["statements"])
    attachments = result["attachments"]
    assert attachments["status"] == 200
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]
    for kind in DOCUMENTS:
        assert result[kind].pop("current") == 204
        check_document(result[kind], dropped=404)
    assert result["person"]["name"] == ["J\u00fcrgen"]


@pytest.mark.parametrize(("adapter", "version"), [("fetch", "2.0.0"), ("axios", "1.0.3")])
async def test_xapi_round_trips(
    page: Page, content_origin: str, server: str, partner: Partner, adapter: str, version: str
) -> None:
    configured = configuration(server, partner, version=version, adapter=adapter, contents="binary")
    result = await run(page, content_origin, "xapi", configured)
    check_xapi(result, version)
    attachments = result["attachments"]
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]


async def test_cmi5_session_is_stored(
    page: Page, site_files: dict[str, bytes], content_origin: str, server: str, partner: Partner
) -> None:
    site_files["/fetch.json"] = cmi5.fetch_response(partner)
    launch = cmi5.launch(server, partner, f"{content_origin}/fetch.json")
    configured: Json = {"contents": "binary"}
    result = await run(page, content_origin, "cmi5", configured, f"?{urlencode(launch)}")
    cmi5.check_session(result)
    attachments = result["attachments"]
    assert stored_attachments(server, partner, attachments["id"]) == attachments["sent"]


async def test_rustici_cmi5_session_is_stored(
    page: Page, site_files: dict[str, bytes], content_origin: str, server: str, partner: Partner
) -> None:
    """With a slash at the end of the endpoint, the client sends two in its paths."""
    site_files["/fetch.json"] = cmi5.fetch_response(partner)
    launch = cmi5.launch(server, partner, f"{content_origin}/fetch.json")
    result = await run(page, content_origin, "rustici-cmi5", {}, f"?{urlencode(launch)}")
    assert result == {
        "mode": "Normal",
        "masteryScore": cmi5.LAUNCH_DATA["masteryScore"],
        "session": "session-1",
        "preference": cmi5.PREFERENCES["languagePreference"],
    }
    assert cmi5.stored_verbs(server, partner, launch["registration"]) == [
        *("initialized", "experienced", "experienced", "passed", "completed", "terminated")
    ]
    assert cmi5.stored_preferences(server, partner)["languagePreference"] == "fr-FR"
