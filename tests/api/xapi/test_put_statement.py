"""PUT of one statement under an id in the query (xAPI 1.0.3 Communication 2.1.1)."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

Json = dict[str, Any]

URL = "/xapi/statements"
VERSION = "X-Experience-API-Version"


async def put(
    partner: Partner, body: Any, statement_id: str | None = None, **headers: str
) -> httpx.Response:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await partner.http.put(
        URL,
        params=None if statement_id is None else {"statementId": statement_id},
        headers={**XAPI, "Content-Type": "application/json", **headers},
        auth=(partner.key, partner.secret),
        **content,
    )


async def get(partner: Partner, statement_id: str) -> Json:
    response = await partner.get(statementId=statement_id)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def refused(partner: Partner, response: httpx.Response, code: str, *pointers: str) -> None:
    assert (response.status_code, response.json()["code"]) == (400, code), response.text
    assert [error["pointer"] for error in response.json().get("errors", [])] == list(pointers)
    assert response.headers[VERSION]
    assert await partner.all() == []


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize("with_id", [False, True])
async def test_statement_is_stored_under_the_statement_id_parameter(
    partner: Partner, version: str, with_id: bool
) -> None:
    statement_id = new_id()
    sent = statement(result={"score": {"scaled": 0.5}}, **({"id": statement_id} if with_id else {}))
    response = await put(partner, sent, statement_id, **{VERSION: version})
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers[VERSION] == version
    assert "X-Experience-API-Consistent-Through" in response.headers
    actual = await get(partner, statement_id)
    assert (sent | {"id": statement_id}).items() <= actual.items()
    assert actual["version"] == ("1.0.0" if version == "1.0.3" else "2.0.0")
    assert actual["authority"]["account"]["name"] == partner.key
    assert actual["timestamp"] == actual["stored"]


async def test_text_of_the_statement_is_kept(partner: Partner) -> None:
    """Numbers and escapes keep their spelling; only white space between tokens is removed."""
    statement_id = new_id()
    text = (
        '{ "verb" : {"id":"http://example.com/v"}, "object":{"id":"http://example.com/\\u00e9"},'
        '"result":{"score":{"raw":1.50e1,"min":-0.0}, "extensions":{"http://example.com/x":'
        '[10000000000000000000000001, 1.000, "\\u00e9 \\/"]}},'
        '"actor":{"mbox":"mailto:a@example.com"} }'
    )
    assert (await put(partner, text.encode(), statement_id)).status_code == 204
    remaining = (await partner.get(statementId=statement_id)).text
    for piece in ("1.50e1", "-0.0", "10000000000000000000000001", "1.000", '"\\u00e9 \\/"'):
        assert piece in remaining
    assert remaining.startswith(f'{{"id":"{statement_id}","verb":{{"id":"http://example.com/v"}},')


async def test_statement_id_is_case_insensitive(partner: Partner) -> None:
    statement_id = new_id()
    responses = [
        await put(partner, statement(), statement_id.upper()),
        await put(partner, statement(), statement_id),
        await put(partner, statement(id=statement_id.upper()), statement_id),
        await put(partner, statement(id=statement_id), statement_id.upper()),
        await partner.xapi(statement(id=statement_id.upper())),
    ]
    assert [response.status_code for response in responses] == [204, 204, 204, 204, 200]
    (result,) = await partner.all()
    assert UUID(result["id"]) == UUID(statement_id)
    for written in (statement_id, statement_id.upper()):
        assert UUID((await get(partner, written))["id"]) == UUID(statement_id)


async def test_different_id_in_the_body_is_refused(partner: Partner) -> None:
    response = await put(partner, statement(id=new_id()), new_id())
    await refused(partner, response, "invalid-statement", "/id")
    for wrong in ("", None, 7, "not a UUID", [new_id()]):
        response = await put(partner, statement(id=wrong), new_id())
        await refused(partner, response, "invalid-statement", "/id")


async def test_missing_or_malformed_statement_id_is_refused(partner: Partner) -> None:
    sent = statement(id=new_id())
    await refused(partner, await put(partner, sent), "invalid-parameter", "statementId")
    for wrong in (
        "",
        "x",
        sent["id"] + "0",
        sent["id"][:-1],
        f"{{{sent['id']}}}",
        f"{sent['id']}\n",
    ):
        response = await put(partner, sent, wrong)
        await refused(partner, response, "invalid-parameter", "statementId")


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("statementid={id}", ["statementid", "statementId"]),
        ("statementId={id}&statementId={id}", ["statementId"]),
        ("statementId={id}&voidedStatementId={id}", ["voidedStatementId"]),
        ("statementId={id}&format=exact", ["format"]),
        ("statementId={id}&validate=true", ["validate"]),
        ("statementId={id}&", []),
    ],
)
async def test_unknown_parameter_is_refused(
    partner: Partner, query: str, pointers: list[str]
) -> None:
    response = await partner.http.put(
        f"{URL}?{query.format(id=new_id())}",
        json=statement(),
        headers=XAPI,
        auth=(partner.key, partner.secret),
    )
    if pointers:
        await refused(partner, response, "invalid-parameter", *pointers)
    else:
        assert response.status_code == 204


async def test_array_is_refused(partner: Partner) -> None:
    statement_id = new_id()
    for body in ([statement(id=statement_id)], [], [statement(), statement()]):
        await refused(partner, await put(partner, body, statement_id), "malformed-json")


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"{}{}", b"null", b"7", b'"x"', b"\xff", b'{"a":NaN}', b'{"a":1,"a":2}'],
)
async def test_body_without_json_object_is_refused(partner: Partner, body: bytes) -> None:
    response = await put(partner, body, new_id())
    assert response.status_code == 400
    assert response.json()["code"] in ("malformed-json", "invalid-statement")
    assert await partner.all() == []


async def test_other_media_type_is_refused(partner: Partner) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        response = await put(partner, statement(), new_id(), **{"Content-Type": kind})
        await refused(partner, response, "unsupported-media-type")


async def test_invalid_statement_returns_every_violation(partner: Partner) -> None:
    broken = {"actor": {"mbox": "nobody"}, "verb": {"id": "completed"}, "surplus": 1}
    response = await put(partner, broken, new_id())
    await refused(partner, response, "invalid-statement", "", "/actor/mbox", "/surplus", "/verb/id")
    assert "results" not in response.json()


async def test_repeated_put_is_idempotent(partner: Partner) -> None:
    statement_id = new_id()
    sent = statement(
        actor={"mbox": "mailto:a@example.com", "name": "A"},
        verb={"id": "http://example.com/v", "display": {"en": "did"}},
        context={"registration": new_id(), "contextActivities": {"parent": {"id": "urn:x:y"}}},
        timestamp="2024-05-01T12:00:00Z",
    )
    assert (await put(partner, sent, statement_id)).status_code == 204
    before = await get(partner, statement_id)
    # Changes that keep the statement equal (xAPI 1.0.3 Data 2.3.1).
    for changed in (
        {},
        {"id": statement_id},
        {"timestamp": "2025-01-01T00:00:00Z"},
        {"stored": "2025-01-01T00:00:00Z"},
        {"version": "1.0.2"},
        {"authority": {"mbox": "mailto:someone@example.com"}},
        {"verb": {"id": "http://example.com/v", "display": {"de": "tat"}}},
        {"object": {**sent["object"], "objectType": "Activity", "definition": {"name": {}}}},
        {
            "context": {
                "registration": sent["context"]["registration"].upper(),
                "contextActivities": {"parent": [{"id": "urn:x:y"}]},
            }
        },
    ):
        response = await put(partner, {**sent, **changed}, statement_id)
        assert response.status_code == 204, changed
    assert await partner.all() == [before]


async def test_conflicting_put_returns_409_and_changes_nothing(partner: Partner) -> None:
    statement_id = new_id()
    sent = statement(actor={"mbox": "mailto:a@example.com", "name": "A"})
    assert (await put(partner, sent, statement_id)).status_code == 204
    before = await get(partner, statement_id)
    for changed, where in (
        ({"actor": {"mbox": "mailto:a@example.com", "name": "B"}}, "/actor/name"),
        ({"verb": {"id": "http://example.com/other"}}, "/verb/id"),
        ({"object": {"id": "http://example.com/course/2"}}, "/object/id"),
        ({"result": {"success": True}}, "/result"),
    ):
        response = await put(partner, {**sent, **changed}, statement_id)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (409, "statement-conflict")
        assert [error["pointer"] for error in problem["errors"]] == [where]
        assert response.headers[VERSION] == "1.0.3"
    assert await partner.all() == [before]


async def test_put_after_post_and_post_after_put_are_idempotent(partner: Partner) -> None:
    one, two = statement(id=new_id()), statement(id=new_id())
    assert (await partner.xapi(one)).status_code == 200
    assert (await put(partner, one, one["id"])).status_code == 204
    assert (await put(partner, two, two["id"])).status_code == 204
    assert (await partner.xapi([one, two])).json() == [one["id"], two["id"]]
    assert (await partner.send(one)).status_code == 409  # on the partner interface, a duplicate
    assert len(await partner.all()) == 2


async def test_put_of_a_voided_statement_is_idempotent(partner: Partner) -> None:
    sent = statement(id=new_id())
    voiding = statement(
        verb={"id": "http://adlnet.gov/expapi/verbs/voided"},
        object={"objectType": "StatementRef", "id": sent["id"]},
    )
    assert (await put(partner, voiding, new_id())).status_code == 204
    assert (await put(partner, sent, sent["id"])).status_code == 204
    assert (await put(partner, sent, sent["id"])).status_code == 204
    other = {**sent, "verb": {"id": "http://example.com/other"}}
    assert (await put(partner, other, sent["id"])).status_code == 409
    assert (await partner.get(statementId=sent["id"])).status_code == 404


async def test_one_of_concurrent_conflicting_puts_is_stored(partner: Partner) -> None:
    statement_id = new_id()
    sent = [statement(verb={"id": f"http://example.com/{number}"}) for number in range(20)]
    responses = await asyncio.gather(*(put(partner, item, statement_id) for item in sent))
    codes = [response.status_code for response in responses]
    assert sorted(codes) == [204] + [409] * 19
    (result,) = await partner.all()
    assert result["verb"] == sent[codes.index(204)]["verb"]


async def test_concurrent_equal_puts_are_deduplicated(partner: Partner) -> None:
    statement_id = new_id()
    responses = await asyncio.gather(*(put(partner, statement(), statement_id) for _ in range(20)))
    assert {response.status_code for response in responses} == {204}
    assert len(await partner.all()) == 1


async def test_statement_version_other_than_the_request_version_is_refused(
    partner: Partner,
) -> None:
    response = await put(partner, statement(version="2.0.0"), new_id())
    await refused(partner, response, "invalid-statement", "/version")
    response = await put(partner, statement(version="1.0.3"), new_id(), **{VERSION: "2.0.0"})
    assert response.status_code == 204, json.dumps(response.json())
