"""Examples of every document: requests succeed, commands and make targets exist, links resolve."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import httpx
import pytest

from lrs.api.services import Services
from lrs.auth import scopes
from tests.support.canvas import new_tool
from tests.support.commands import option_names, resolve
from tests.support.doc_examples import (
    DOCUMENTS,
    CurlRequest,
    anchors,
    blocks,
    curl_requests,
    links,
    shell_lines,
)
from tests.support.files import DOCS, ROOT
from tests.support.operators import operator_token
from tests.support.partners import Partner, new_partner

CURL = [(path.name, request) for path in DOCUMENTS for request in curl_requests(path)]
README = ROOT / "README.md"


async def send(partner: Partner, request: CurlRequest) -> httpx.Response:
    """Sends a documented request, with its placeholders replaced by the partner's own values."""

    def fill(text: str) -> str:
        text = re.sub(r"http://127\.0\.0\.1:8080|\$URL", "", text)
        text = re.sub(r"(?<=/partners/)(demo|acme|\$PARTNER)\b", partner.name, text)
        values = {"$TOKEN": partner.token, "KEY": partner.key, "SECRET": partner.secret}
        # In one pass: a token can contain the letters of another placeholder.
        return re.sub(r"\$TOKEN|KEY|SECRET", lambda match: values[match[0]], text)

    headers = {name: fill(value) for name, value in request.headers.items()}
    content = None
    if request.data is not None:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        is_file = request.data.startswith("@")
        content = blocks(DOCS / "people.md", "csv")[0] if is_file else fill(request.data)
    auth = tuple(fill(request.user).split(":")) if request.user else None
    return await partner.http.request(
        request.method, fill(request.url), headers=headers, content=content, auth=auth
    )


async def prepared_partner(services: Services, http: httpx.AsyncClient) -> Partner:
    """A partner with every scope, the tool `player`, and a learner with an activity."""
    partner = await new_partner(services, http, frozenset({scopes.ALL, scopes.ADMIN}))
    await new_tool(services, partner)
    learner = {"mbox": "mailto:john.doe@company.com"}
    verb = {"id": "http://adlnet.gov/expapi/verbs/completed"}
    activity = {"id": "http://datacamp.com/course/123"}
    await partner.send({"actor": learner, "verb": verb, "object": activity})
    return partner


@pytest.mark.parametrize(("document", "request_"), CURL, ids=[name for name, _ in CURL])
async def test_documented_request_succeeds(
    services: Services, http: httpx.AsyncClient, document: str, request_: CurlRequest
) -> None:
    partner = await prepared_partner(services, http)
    if "/v1/admin/" in request_.url:
        partner.token = await operator_token(services)
    response = await send(partner, request_)
    if "/learners/" in request_.url:  # the projector does not run in this test
        assert response.status_code == 404, document
    else:
        assert response.status_code == 200, (document, response.text)


async def test_readme_shows_the_response_to_an_invalid_statement(
    services: Services, http: httpx.AsyncClient
) -> None:
    (documented,) = [
        json.loads(block) for block in blocks(README, "json") if "urn:lrs:problem" in block
    ]
    partner = await prepared_partner(services, http)
    (statement,) = [item for item in curl_requests(README) if item.data and "verb" in item.data]
    assert statement.data is not None
    body = json.loads(statement.data) | {"verb": {"id": "completed"}}
    response = (await partner.send(body)).json()
    assert response.keys() == documented.keys()
    same = ("type", "title", "status", "code", "id")
    assert [response[name] for name in same] == [documented[name] for name in same]
    for name in ("pointer", "requirement"):
        assert response["errors"][0][name] == documented["errors"][0][name]
    for text, pattern in (
        (response["detail"], documented["detail"]),
        (response["errors"][0]["detail"], documented["errors"][0]["detail"]),
    ):
        assert re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), text)


COMMANDS = sorted(
    {
        line
        for path in DOCUMENTS
        for line in shell_lines(path)
        if re.match(r"(\.venv/bin/)?lrs ", line)
    }
)


@pytest.mark.parametrize("line", COMMANDS)
def test_documented_command_exists(line: str) -> None:
    command, words = resolve(line.split()[1:])
    assert not isinstance(command, click.Group)
    assert {word for word in words if word.startswith("--")} <= option_names(command)


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for path in DOCUMENTS
        for target in re.findall(r"`?\bmake ([a-z-]+)(?=[`\s])", path.read_text(encoding="utf-8"))
        if f"`make {target}" in path.read_text(encoding="utf-8")
    }
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_resolve(path: Path) -> None:
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_json_examples_parse(path: Path) -> None:
    for block in blocks(path, "json"):
        json.loads(block.replace("{…}", "{}").replace("[…]", "[]"))
