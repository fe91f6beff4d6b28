"""A refusal names the section of the version that the request names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.attachments import MIXED, attachment_of, multipart_body, statement_with
from tests.support.partners import Partner
from tests.support.specification_sections import TITLES
from tests.support.statements import JSON, new_id, statement

AGENT = json.dumps({"mbox": "mailto:a@b.c"})
SIGNED = attachment_of(
    b"no signature",
    usageType="http://adlnet.gov/expapi/attachments/signature",
    contentType="application/octet-stream",
)

# Method, path, parameters, and the sections by version.
PARAMETERS = {
    "GET statements": ("GET", "statements", {"limit": "x"}, "2.1.3", "4.1.6.1"),
    "GET statements with both": (
        "GET",
        "statements",
        {"statementId": new_id(), "limit": "1"},
        "2.1.3",
        "4.1.6.1",
    ),
    "POST statements": ("POST", "statements", {"statementId": new_id()}, "2.1.2", "4.1.6.1"),
    "PUT statement": ("PUT", "statements", {"statementId": "x"}, "2.1.1", "4.1.6.1"),
    "PUT statement without id": ("PUT", "statements", {}, "2.1.1", "4.1.6.1"),
    "GET state": ("GET", "activities/state", {"agent": AGENT}, "2.3", "4.1.6.2"),
    "PUT state": ("PUT", "activities/state", {"agent": AGENT, "x": "y"}, "2.3", "4.1.6.2"),
    "DELETE state": ("DELETE", "activities/state", {"agent": "{}"}, "2.3", "4.1.6.2"),
    "GET agents": ("GET", "agents", {"agent": "x"}, "2.4", "4.1.6.3"),
    "GET activities": ("GET", "activities", {}, "2.5", "4.1.6.4"),
    "POST agent profile": ("POST", "agents/profile", {"agent": AGENT}, "2.6", "4.1.6.5"),
    "GET agent profile": (
        "GET",
        "agents/profile",
        {"agent": AGENT, "profileId": "a", "since": "2026-01-01T00:00:00Z"},
        "2.6",
        "4.1.6.5",
    ),
    "GET activity profile": ("GET", "activities/profile", {"since": "x"}, "2.7", "4.1.6.6"),
}
VERSIONS = pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])


def headers(partner: Partner, version: str, **others: str) -> dict[str, str]:
    return {**JSON, **partner.headers, "X-Experience-API-Version": version, **others}


def required(answer: httpx.Response, version: str) -> set[str]:
    """The requirements of a refusal, each checked to be a section of the version."""
    assert answer.status_code in (400, 409), answer.text
    problem = answer.json()
    named = {error["requirement"] for error in problem["errors"]}
    prefix = "xAPI 1.0.3 " if version == "1.0.3" else "IEEE 9274.1.1 "
    for name in named:
        assert name.startswith(prefix)
        assert name in TITLES
    return {name.removeprefix(prefix) for name in named}


@VERSIONS
@pytest.mark.parametrize("request_", PARAMETERS.values(), ids=PARAMETERS)
async def test_parameter_names_the_section_of_its_resource(
    partner: Partner, version: str, request_: tuple[str, str, dict[str, str], str, str]
) -> None:
    method, path, params, section, ieee_section = request_
    answer = await partner.http.request(
        method, f"/xapi/{path}", params=params, headers=headers(partner, version), content=b"{}"
    )
    expected = f"Communication {section}" if version == "1.0.3" else ieee_section
    assert required(answer, version) == {expected}


Send = Callable[[Partner, str], Any]


async def conflict(partner: Partner, version: str) -> httpx.Response:
    sent = statement(id=new_id())
    await partner.xapi(sent, **{"X-Experience-API-Version": version})
    other = {**sent, "result": {"success": True}}
    return await partner.xapi(other, **{"X-Experience-API-Version": version})


async def put_conflict(partner: Partner, version: str) -> httpx.Response:
    sent = statement(id=new_id())
    await partner.xapi(sent, **{"X-Experience-API-Version": version})
    return await put(partner, version, {**sent, "result": {"success": True}}, sent["id"])


async def repeated_id(partner: Partner, version: str) -> httpx.Response:
    sent = statement(id=new_id())
    return await partner.xapi([sent, sent], **{"X-Experience-API-Version": version})


async def put_of_another_id(partner: Partner, version: str) -> httpx.Response:
    return await put(partner, version, statement(id=new_id()), new_id())


async def put(partner: Partner, version: str, sent: Any, statement_id: str) -> httpx.Response:
    return await partner.http.put(
        f"/xapi/statements?statementId={statement_id}",
        json=sent,
        headers=headers(partner, version),
    )


async def missing_content(partner: Partner, version: str) -> httpx.Response:
    sent = statement_with(attachment_of(b"a"))
    return await partner.xapi(sent, **{"X-Experience-API-Version": version})


async def missing_signature(partner: Partner, version: str) -> httpx.Response:
    return await partner.xapi(statement_with(SIGNED), **{"X-Experience-API-Version": version})


async def invalid_signature(partner: Partner, version: str) -> httpx.Response:
    return await partner.http.post(
        "/xapi/statements",
        content=multipart_body(statement_with(SIGNED), b"no signature"),
        headers=headers(partner, version, **MIXED),
    )


STATEMENTS: dict[str, tuple[Send, str, str]] = {
    "conflict": (conflict, "Data 2.3.1", "4.2"),
    "conflict of a PUT": (put_conflict, "Data 2.3.1", "4.2"),
    "repeated id": (repeated_id, "Communication 2.1.2", "4.1.6.1"),
    "PUT of another id": (put_of_another_id, "Communication 2.1.1", "4.1.6.1"),
    "missing content": (missing_content, "Communication 1.5.2", "4.1.3"),
    "missing signature": (missing_signature, "Data 2.6", "4.2.6"),
    "invalid signature": (invalid_signature, "Data 2.6", "4.2.6"),
}


@VERSIONS
@pytest.mark.parametrize("case", STATEMENTS.values(), ids=STATEMENTS)
async def test_statement_names_the_section_of_the_rule(
    partner: Partner, version: str, case: tuple[Send, str, str]
) -> None:
    send, section, ieee_section = case
    answer = await send(partner, version)
    content = answer.json()
    if "results" in content:
        (item,) = content["results"]
        answer = httpx.Response(answer.status_code, json=item["problem"])
    assert required(answer, version) == {section if version == "1.0.3" else ieee_section}


async def test_partner_interface_names_the_version_of_the_statement(partner: Partner) -> None:
    for version, expected in (("1.0.3", "xAPI 1.0.3 Data 2.3.1"), ("2.0.0", "IEEE 9274.1.1 4.2")):
        sent = statement(id=new_id(), version=version)
        await partner.send(sent)
        answer = await partner.send({**sent, "result": {"success": True}})
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["requirement"]) == (409, expected)
    answer = await partner.get(headers={"X-Experience-API-Version": "2.0.0"}, limit="x")
    assert answer.json()["errors"][0]["requirement"] == "IEEE 9274.1.1 4.1.6.1"
