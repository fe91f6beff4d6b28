"""The pages of the console with which an operator logs in."""

from __future__ import annotations

import re
from dataclasses import replace

from lrs.api.application import Application
from lrs.api.services import Services
from lrs.settings import Settings
from tests.support.app import serving
from tests.support.operators import PASSWORD, browser, new_link


async def test_link_page_sets_the_password_and_opens_the_console(
    app: Application, services: Services
) -> None:
    email, token = await new_link(services)
    async with browser(app) as client:
        page = await client.get("/console/link", params={"token": token})
        assert page.status_code == 200
        assert email in page.text
        (action,) = re.findall('<form method="post" action="([^"]+)"', page.text)
        form = {"token": token, "password": PASSWORD, "repeated": PASSWORD}
        answer = await client.post(action, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        assert email in (await client.get("/console")).text
        assert (await client.get("/console/link", params={"token": token})).status_code == 401
        answer = await client.post("/console/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
        assert (await client.get("/console")).headers["location"] == "/console/login"
        answer = await client.post("/console/login", data={"email": email, "password": PASSWORD})
        assert answer.headers["location"] == "/console"
        assert (await client.get("/console")).status_code == 200


async def test_wrong_input_is_explained_on_the_page(app: Application, services: Services) -> None:
    _, token = await new_link(services)
    async with browser(app) as client:
        form = {"token": token, "password": PASSWORD, "repeated": "different"}
        answer = await client.post("/console/link", data=form)
        assert (answer.status_code, "two passwords differ" in answer.text) == (400, True)
        form = {"token": token, "password": "short", "repeated": "short"}
        answer = await client.post("/console/link", data=form)
        assert (answer.status_code, "at least 12 characters" in answer.text) == (400, True)
        login = {"email": '"><script>', "password": "x"}
        answer = await client.post("/console/login", data=login)
        assert (answer.status_code, "is wrong" in answer.text) == (401, True)
        assert "<script>" not in answer.text
        for path in ("/console/link", "/console/link?token=nonsense"):
            answer = await client.get(path)
            assert (answer.status_code, "used, expired or wrong" in answer.text) == (401, True)


async def test_pages_have_a_strict_content_security_policy(app: Application) -> None:
    async with browser(app) as client:
        for path in ("/console", "/console/login", "/console/link"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "form-action 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<style|<script(?! src)| style=| on\w+=", answer.text)


async def test_form_from_a_foreign_page_is_refused(app: Application) -> None:
    async with browser(app) as client:
        for path in ("/console/login", "/console/link"):
            answer = await client.post(path, data={}, headers={"Sec-Fetch-Site": "cross-site"})
            assert (answer.status_code, "another origin" in answer.text) == (403, True)


async def test_links_have_the_path_of_the_public_url(settings: Settings) -> None:
    behind = replace(settings, public_url="https://lrs.example/learning")
    async with serving(behind) as client:
        assert (await client.get("/console")).headers["location"] == "/learning/console/login"
        page = (await client.get("/console/login")).text
        links = re.findall('(?:href|action)="([^"]+)"', page)
        assert links
        assert all(link.startswith(("/learning/", "#main")) for link in links), links
