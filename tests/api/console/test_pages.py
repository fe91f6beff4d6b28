"""Every page of the console: its twin, its headers, its links, and what other operators see."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import httpx
import pytest

from lrs.api.services import Services
from lrs.console.routes import CONSOLE_ROUTES
from tests.api.console.conftest import Client, Filled, fill
from tests.support.partners import Partner

WITHOUT_TWIN = re.compile(
    "^/$|/(login|link|help|revoke|disable|detach|delete|void|remove|drop|change|add-pipe)$"
)

QUERIES = {
    "link": "?identifier=new@hidden.example",
    "detach": "?identifier=emp-1815&home_page=https://hidden.example",
}
"""Of pages that show what a change would do."""


def page_paths() -> Iterator[str]:
    for route in CONSOLE_ROUTES:
        if "GET" in (route.methods or ()) and not re.search(r"static|/events|/oidc", route.path):
            yield route.path


def url(template: str, names: dict[str, str]) -> str:
    path = re.sub(r"{(\w+)(:\w+)?}", lambda match: names[match[1]], template)
    return path + QUERIES.get(template.rpartition("}/")[2], "")


def links(page: str) -> list[str]:
    targets = re.findall('(?:href|src|action)="([^"#]+)"', page)
    return [html.unescape(link) for link in targets]


async def test_every_page_has_a_twin_and_no_inline_code(
    owner: httpx.AsyncClient, filled: Filled
) -> None:
    for template in page_paths():
        answer = await owner.get(url(template, filled.names))
        if template == "/console/link":
            continue  # without a token
        assert answer.status_code == 200, (template, answer.text)
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert not re.search(r"<style|<script(?! src)| style=| on\w+=", answer.text), template
        twins = re.findall('href="([^"]+)" data-json', answer.text)
        assert len(twins) == (not WITHOUT_TWIN.search(template)), template
        for twin in twins:
            assert (await owner.get(html.unescape(twin))).status_code == 200, twin


async def test_every_link_answers_200(owner: httpx.AsyncClient, filled: Filled) -> None:
    """Links to other partners lead to the same pages as those to this one."""
    followed: dict[str, int] = {}
    other = re.compile(rf"/console/partners/(?!{filled.partner.name}(\W|$))[^?]")
    for template in page_paths():
        page = (await owner.get(url(template, filled.names))).text
        for link in re.findall('(?:href|src)="([^"#]+)"', page):
            if link not in followed and not other.match(link):
                answer = await owner.get(html.unescape(link), follow_redirects=True)
                followed[link] = answer.status_code
    assert {link: status for link, status in followed.items() if status != 200} == {}
    assert len(followed) > 100


async def test_operator_of_another_partner_sees_nothing(
    client: Client, services: Services, filled: Filled, stranger: Partner, owner: httpx.AsyncClient
) -> None:
    other = await fill(services, stranger, owner)
    limited = await client("owner", [stranger.name])
    secrets = (filled.partner.name, filled.partner.key, filled.statement_id, filled.refusal_id)
    for template in page_paths():
        if "{partner}" in template:
            answer = await limited.get(url(template, filled.names))
            assert answer.status_code == 404, template
            assert "hidden.example" not in answer.text
        answer = await limited.get(url(template, other.names))
        assert answer.status_code in (200, 401, 403), (template, answer.text)
        assert not [secret for secret in secrets if secret in answer.text], template


async def test_viewer_sees_no_identity(client: Client, filled: Filled) -> None:
    viewer = await client("viewer")
    for template in page_paths():
        answer = await viewer.get(url(template, filled.names))
        assert answer.status_code in (200, 401, 403), (template, answer.text)
        assert not re.search(r"ada@|Ada\b", answer.text), template
        if "{partner}" in template:
            forms = re.findall('<form method="post" action="([^"]+)', answer.text)
            assert forms == ["/console/logout"], template


async def test_agent_leads_to_its_learner_and_back(
    owner: httpx.AsyncClient, client: Client, filled: Filled
) -> None:
    own = f"/console/partners/{filled.partner.name}"
    agent = {"agent": '{"mbox":"mailto:ada@hidden.example"}'}
    of_agent = await owner.get(f"{own}/statements", params=agent)
    (link,) = [link for link in links(of_agent.text) if f"{own}/learners?" in link]
    found = await owner.get(link)
    assert (found.status_code, found.headers["location"]) == (
        303,
        f"{own}/learners/{filled.person_id}",
    )
    page = (await owner.get(found.headers["location"])).text
    assert str(of_agent.url.query, "ascii") in "".join(links(page))
    statement = await owner.get(f"{own}/statements/{filled.statement_id}")
    assert any(f"{own}/learners?" in link for link in links(statement.text))
    viewer = await client("viewer")
    assert (await viewer.get(f"{own}/learners", params=agent)).status_code == 403
    unknown = {"agent": '{"mbox":"mailto:nobody@hidden.example"}'}
    assert "No learner has" in (await owner.get(f"{own}/learners", params=unknown)).text


async def test_anonymous_visitor_is_sent_to_the_login(http: httpx.AsyncClient) -> None:
    path = "/console/partners/acme/refusals?code=invalid-statement"
    answer = await http.get(path)
    assert answer.status_code == 303
    login = await http.get(answer.headers["location"])
    assert f'name="next" value="{path}"' in login.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/console\\evil"])
async def test_login_redirects_to_this_server_only(http: httpx.AsyncClient, target: str) -> None:
    login = await http.get("/console/login", params={"next": target})
    assert 'name="next" value="/console"' in login.text


async def test_empty_filters_leave_the_url(owner: httpx.AsyncClient, filled: Filled) -> None:
    path = f"/console/partners/{filled.partner.name}/refusals"
    answer = await owner.get(path, params={"code": "", "source": "xapi"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?source=xapi")


async def test_unknown_parameter_is_explained(owner: httpx.AsyncClient, filled: Filled) -> None:
    path = f"/console/partners/{filled.partner.name}/refusals"
    answer = await owner.get(path, params={"colour": "red"})
    assert (answer.status_code, "colour" in answer.text) == (400, True)
