"""The alternate request syntax (xAPI 1.0.3 Communication 1.3)."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.alternate_syntax import ask, authorization, credentials, stored
from tests.support.attachments import EVERY_BYTE, attachment_of, post, read, statement_with
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

STATEMENTS = "/xapi/statements"
STATE = "/xapi/activities/state"
VERSION = "X-Experience-API-Version"
AGENT = json.dumps({"mbox": "mailto:learner+1@example.com", "name": "Jürgen & Söhne = 100 %"})
ACTIVITY = "http://example.com/course/1?a=b&c=d+e%20f"
ONE_STATE = {"activityId": ACTIVITY, "agent": AGENT, "stateId": "one"}


# Methods


async def test_post_in_a_form_stores_statements(partner: Partner) -> None:
    one, two, three = (statement(id=new_id()) for _ in range(3))
    answer = await ask(partner, "POST", content=json.dumps(one))
    assert (answer.status_code, answer.json()) == (200, [one["id"]])
    answer = await ask(partner, "POST", content=json.dumps([two, three]))
    assert (answer.status_code, answer.json()) == (200, [two["id"], three["id"]])
    assert len(await stored(partner)) == 3


async def test_put_in_a_form_stores_a_statement(partner: Partner) -> None:
    statement_id = new_id()
    for _ in range(2):
        answer = await ask(
            partner, "PUT", statementId=statement_id, content=json.dumps(statement())
        )
        assert (answer.status_code, answer.content) == (204, b"")
    assert await stored(partner) == [statement_id]


async def test_get_in_a_form_accepts_every_parameter(partner: Partner) -> None:
    registration = new_id()
    ids = [new_id() for _ in range(3)]
    sent = [
        statement(
            id=item,
            actor=json.loads(AGENT),
            object={"id": ACTIVITY, "definition": {"name": {"en": "one", "de": "eins"}}},
            context={"registration": registration},
        )
        for item in ids
    ]
    for item in [*sent, statement(verb={"id": "http://example.com/other"})]:
        assert (await partner.xapi(item)).status_code == 200
    parameters = {
        "agent": AGENT,
        "verb": "http://adlnet.gov/expapi/verbs/completed",
        "activity": ACTIVITY,
        "registration": registration,
        "related_activities": "true",
        "related_agents": "true",
        "since": "2020-01-01T00:00:00+01:00",
        "until": "2120-01-01T00:00:00Z",
        "ascending": "true",
        "format": "canonical",
        "limit": "2",
        "attachments": "false",
    }
    answer = await ask(partner, "GET", **parameters, **{"Accept-Language": "de"})
    assert answer.status_code == 200, answer.text
    assert answer.headers[VERSION] == "1.0.3"
    assert "X-Experience-API-Consistent-Through" in answer.headers
    page = answer.json()
    assert [item["id"] for item in page["statements"]] == ids[:2]
    names = [item["object"]["definition"]["name"] for item in page["statements"]]
    assert names == [{"de": "eins"}] * 2
    # The next page works with both syntaxes.
    path, _, query = page["more"].partition("?")
    fields = dict(httpx.QueryParams(query))
    for rest in (
        await ask(partner, "GET", path, **fields),
        await partner.http.get(page["more"], headers=XAPI | partner.headers),
    ):
        assert [item["id"] for item in rest.json()["statements"]] == ids[2:]


async def test_document_methods_in_a_form(partner: Partner) -> None:
    answer = await ask(partner, "PUT", STATE, **ONE_STATE, content='{"a":1}')
    assert answer.status_code == 204, answer.text
    answer = await ask(partner, "POST", STATE, **ONE_STATE, content='{"ü":"+ &=%"}')
    assert answer.status_code == 204, answer.text
    answer = await ask(partner, "GET", STATE, **ONE_STATE)
    assert answer.json() == {"a": 1, "ü": "+ &=%"}
    assert answer.headers["content-type"] == "application/json"
    # The usual syntax returns the same document.
    usual = await partner.http.get(STATE, params=ONE_STATE, headers=XAPI | partner.headers)
    assert usual.content == answer.content
    assert (await ask(partner, "DELETE", STATE, **ONE_STATE)).status_code == 204
    assert (await ask(partner, "GET", STATE, **ONE_STATE)).status_code == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/xapi/agents", {"agent": AGENT}),
        ("/xapi/activities", {"activityId": ACTIVITY}),
        ("/xapi/agents/profile", {"agent": AGENT}),
        ("/xapi/activities/profile", {"activityId": ACTIVITY}),
        (STATE, {"activityId": ACTIVITY, "agent": AGENT}),
        (STATEMENTS, {}),
        ("/xapi/about", {}),
    ],
)
async def test_get_and_head_in_a_form_on_every_resource(
    partner: Partner, path: str, fields: dict[str, str]
) -> None:
    usual = await partner.http.get(path, params=fields, headers=XAPI | partner.headers)
    answer = await ask(partner, "GET", path, **fields)
    assert (answer.status_code, answer.json()) == (200, usual.json())
    head = await ask(partner, "HEAD", path, **fields)
    assert (head.status_code, head.content) == (200, b"")


async def test_head_in_a_form_has_no_content_length(partner: Partner, server: str) -> None:
    """The client sent a POST, and would wait for Content-Length bytes."""
    async with httpx.AsyncClient(base_url=server, timeout=5) as http:
        for fields in ({}, {"attachments": "true"}, {"limit": "x"}):
            answer = await http.post(
                STATEMENTS, params={"method": "HEAD"}, data={**credentials(partner), **fields}
            )
            assert answer.content == b""
        answer = await http.post(STATEMENTS, params={"method": "GET"}, data=credentials(partner))
        assert answer.json()["statements"] == []


@pytest.mark.parametrize("live", [False, True])
async def test_get_in_a_form_returns_attachments(partner: Partner, server: str, live: bool) -> None:
    sent = statement_with(attachment_of(EVERY_BYTE))
    assert (await post(partner, sent, EVERY_BYTE)).status_code == 200
    fields = {**credentials(partner), "attachments": "true"}
    if live:
        async with httpx.AsyncClient(base_url=server, timeout=5) as http:
            answer = await http.post(STATEMENTS, params={"method": "GET"}, data=fields)
            assert (await http.get("/healthz")).status_code == 200
    else:
        answer = await partner.http.post(STATEMENTS, params={"method": "GET"}, data=fields)
    assert list(read(answer).contents.values()) == [EVERY_BYTE]


async def test_multipart_content_in_a_form_is_accepted(partner: Partner) -> None:
    content = "naïve\r\ntext"
    sent = statement_with(attachment_of(content.encode(), contentType="text/plain"))
    body = (
        f"--b\r\nContent-Type: application/json\r\n\r\n{json.dumps(sent)}\r\n"
        "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n"
        f"X-Experience-API-Hash: {sent['attachments'][0]['sha2']}\r\n\r\n{content}\r\n--b--\r\n"
    )
    multipart = {"Content-Type": "multipart/mixed; boundary=b"}
    answer = await ask(partner, "POST", **multipart, content=body)
    assert (answer.status_code, answer.json()) == (200, [sent["id"]]), answer.text


# Header fields


async def test_form_fields_override_headers(partner: Partner, stranger: Partner) -> None:
    async def post_with(
        headers: dict[str, str], fields: dict[str, str], content: str
    ) -> httpx.Response:
        return await partner.http.post(
            STATEMENTS,
            params={"method": "POST"},
            data={**fields, "content": content},
            headers=headers,
        )

    one, good = json.dumps(statement(id=new_id())), credentials(partner)
    answer = await post_with({"Authorization": authorization(stranger), VERSION: "0.8"}, good, one)
    assert answer.status_code == 200, answer.text
    assert (len(await stored(partner)), len(await stored(stranger))) == (1, 0)
    for name, value, status in (
        (VERSION, "0.8", 400),
        ("Authorization", "Basic eDp5", 401),
        ("Content-Type", "text/plain", 400),
    ):
        answer = await post_with(good, {name: value}, one)
        assert answer.status_code == status, name
        assert VERSION in answer.headers
    # Without a field, the header applies.
    assert (await post_with(good, {}, one)).status_code == 200


async def test_header_fields_are_case_insensitive_and_parameters_are_not(partner: Partner) -> None:
    fields = {name.lower(): value for name, value in credentials(partner).items()}
    answer = await partner.http.post(STATEMENTS, params={"method": "GET"}, data=fields)
    assert answer.status_code == 200
    for name in ("statementid", "LIMIT", "foo", "Content", "X-Request-ID"):
        answer = await ask(partner, "GET", **{name: "1"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-parameter")
        assert [error["pointer"] for error in answer.json()["errors"]] == [name]


async def test_content_length_field_is_ignored(partner: Partner) -> None:
    text = json.dumps(statement(id=new_id(), result={"response": "ü" * 50}))
    for length in ("0", "1", "99999999999", "x", "-1"):
        answer = await ask(partner, "POST", **{"Content-Length": length}, content=text)
        assert answer.status_code == 200, length
    assert len(await stored(partner)) == 1


async def test_bearer_token_in_the_form_is_accepted(partner: Partner) -> None:
    fields = {"Authorization": f"Bearer {partner.token}", VERSION: "1.0.1"}
    answer = await partner.http.post(STATEMENTS, params={"method": "GET"}, data=fields)
    assert answer.status_code == 200


async def test_missing_credentials_return_401(partner: Partner) -> None:
    for fields in ({VERSION: "1.0.3"}, {VERSION: "1.0.3", "Authorization": "nonsense"}):
        answer = await partner.http.post(STATEMENTS, params={"method": "GET"}, data=fields)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers[VERSION] == "1.0.3"


async def test_preconditions_in_the_form_are_checked(partner: Partner) -> None:
    async def put(content: str, **headers: str) -> int:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await ask(partner, "PUT", STATE, **ONE_STATE, **fields, content=content)
        return answer.status_code

    etag = f'"{hashlib.sha1(b"first").hexdigest()}"'
    assert await put("first", If_None_Match="*") == 204
    assert await put("second", If_None_Match="*") == 412
    assert await put("second", If_Match='"another"') == 412
    assert await put("second", If_Match=etag) == 204
    assert await put("third", If_Match=etag) == 412
    result = await ask(partner, "GET", STATE, **ONE_STATE)
    assert result.content == b"second"
    # Form fields override headers.
    answer = await partner.http.post(
        STATE,
        params={"method": "PUT"},
        data={
            **credentials(partner),
            **ONE_STATE,
            "If-Match": result.headers["etag"],
            "content": "third",
        },
        headers={"If-Match": etag},
    )
    assert answer.status_code == 204


async def test_if_none_match_in_the_form_returns_304(partner: Partner) -> None:
    answer = await ask(partner, "PUT", STATE, **ONE_STATE, content="x")
    fields = {**ONE_STATE, "If-None-Match": answer.headers["etag"]}
    for method in ("GET", "HEAD"):
        answer = await ask(partner, method, STATE, **fields)
        assert (answer.status_code, answer.content) == (304, b"")


# Content


async def test_content_type_defaults_to_json(partner: Partner) -> None:
    one, two = {**ONE_STATE, "stateId": "1"}, {**ONE_STATE, "stateId": "2"}
    await ask(partner, "PUT", STATE, **one, content="{}")
    await ask(partner, "PUT", STATE, **two, **{"Content-Type": "text/x-ü"}, content="grüße\r\n")
    result = await ask(partner, "GET", STATE, **one)
    assert result.headers["content-type"] == "application/json"
    result = await ask(partner, "GET", STATE, **two)
    assert result.headers["content-type"] == "text/x-ü"
    assert result.content == "grüße\r\n".encode()


async def test_missing_content_field_is_refused_and_empty_content_accepted(
    partner: Partner,
) -> None:
    assert (await ask(partner, "PUT", STATE, **ONE_STATE)).status_code == 400
    assert (await ask(partner, "PUT", statementId=new_id())).status_code == 400
    assert (await ask(partner, "POST")).status_code == 400
    assert (await ask(partner, "POST", content="")).status_code == 400
    assert (await ask(partner, "PUT", STATE, **ONE_STATE, content="")).status_code == 204
    assert (await ask(partner, "GET", STATE, **ONE_STATE)).content == b""
    assert await stored(partner) == []


async def test_line_ends_in_a_header_field_inject_no_headers(partner: Partner) -> None:
    for name in ("Content-Type", "If-Match", "Authorization", VERSION):
        fields = {name: "x\r\nX-Evil: 1"}
        answer = await ask(partner, "PUT", STATE, **ONE_STATE, content="x", **fields)
        assert answer.status_code in (400, 401, 412), name
        assert "X-Evil" not in answer.headers


async def test_form_sent_as_text_is_accepted(partner: Partner) -> None:
    """As navigator.sendBeacon sends a string."""
    statement_id = new_id()
    fields = {
        **credentials(partner),
        "statementId": statement_id,
        "content": json.dumps(statement()),
    }
    response = await partner.http.post(
        "/xapi/statements?method=PUT",
        content=urlencode(fields),
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )
    assert response.status_code == 204
    assert await stored(partner) == [statement_id]
