"""The server answers as the OpenAPI document describes, over a socket."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounded
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lrs.api.services import Services
from lrs.xapi import multipart
from lrs.xapi.validation import statement_violations
from tests.support.examples import examples
from tests.support.openapi import COMPONENTS, DOCUMENT, operations, resolved, validator
from tests.support.operators import operator_headers
from tests.support.partners import Partner
from tests.support.statements import XAPI, new_id, statement

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = examples(2)
POSITIVE = sorted(f"{method.upper()} {path}" for path, method, _ in operations())

# The other operations have no input that could be invalid.
NEGATIVE = [label for label in POSITIVE if re.search("{|xapi/(?!about)|token", label)]

Send = Callable[[schemathesis.Case[Any]], object]


@cache
def schema_of(server: str) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=server)
    return schema


def send_examples(server: str, label: str, mode: GenerationMode, send: Send) -> None:
    """Sends generated requests for one operation."""
    operation = schema_of(server).find_operation_by_label(label)
    assert operation is not None

    @bounded(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        send(case)

    ask()


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        *((label, GenerationMode.POSITIVE) for label in POSITIVE),
        *((label, GenerationMode.NEGATIVE) for label in NEGATIVE),
    ],
)
async def test_response_conforms_to_the_document(
    server: str, services: Services, partner: Partner, label: str, mode: GenerationMode
) -> None:
    """With credentials, and valid requests without them too."""
    if "/v1/admin/" in label:
        credentials: dict[str, Any] = {"headers": await operator_headers(services)}
    elif "token" in label:
        credentials = {"auth": (partner.key, partner.secret)}
    else:
        credentials = {"headers": await authorized(server, partner)}

    def send(case: schemathesis.Case[Any]) -> None:
        if mode == GenerationMode.POSITIVE:
            send_without_credentials(case, label)
        if "partner" in case.path_parameters:
            case.path_parameters["partner"] = partner.name
        answer = case.call_and_validate(**credentials, checks=CHECKS, timeout=10)
        assert answer.status_code != 401 or "token" in label or "/session" in label

    await asyncio.to_thread(send_examples, server, label, mode, send)


def send_without_credentials(case: schemathesis.Case[Any], label: str) -> None:
    method, _, path = label.partition(" ")
    is_closed = any(
        {"bearer", "operator"} & item.keys()
        for item in DOCUMENT["paths"][path][method.lower()]["security"]
    )
    answer = case.call_and_validate(checks=CHECKS, timeout=10)
    assert not is_closed or answer.status_code in (400, 401)


async def authorized(server: str, partner: Partner) -> dict[str, str]:
    """An access token of this server; every server has its own issuer."""
    async with httpx.AsyncClient(base_url=server) as http:
        answer = await http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(partner.key, partner.secret),
        )
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


# Documented examples


def response_schema(path: str, method: str, answer: httpx.Response) -> Any:
    """The documented schema of a response, by status and content type."""
    response = resolved(DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)])
    return response["content"][answer.headers["content-type"].partition(";")[0]]["schema"]


def multipart_example(name: str) -> tuple[str, bytes]:
    """The content type and the bytes of an example; its summary has the boundary."""
    example = COMPONENTS["examples"][name]
    return example["summary"].removeprefix("Content-Type: "), example["value"].encode()


def parts(content_type: str, content: bytes) -> tuple[Any, list[multipart.Part]]:
    """The JSON of the first part, and the other parts."""
    first, *others = multipart.split(content, multipart.boundary(content_type))
    return json.loads(first.content), others


@pytest.mark.parametrize("method", ["post", "put"])
async def test_documented_attachment_example_is_stored(partner: Partner, method: str) -> None:
    content_type, content = multipart_example("attachment-sent")
    sent, attached = parts(content_type, content)
    assert statement_violations(sent, "1.0.3") == []
    answer = await partner.http.request(
        method,
        "/xapi/statements",
        params={"statementId": sent["id"]} if method == "put" else None,
        content=content,
        headers={**XAPI, **partner.headers, "Content-Type": content_type},
    )
    assert answer.status_code == (200 if method == "post" else 204), answer.text

    page, contents = parts(*multipart_example("attachments-found"))
    assert contents == attached
    set_by_server = dict.fromkeys(("authority", "stored"))
    for path in (partner.url("statements"), "/xapi/statements"):
        result = await partner.http.get(
            path, params={"attachments": "true"}, headers={**XAPI, **partner.headers}
        )
        assert result.status_code == 200
        answered, received = parts(result.headers["content-type"], result.content)
        assert received == contents
        assert [item | set_by_server for item in answered["statements"]] == [
            item | set_by_server for item in page["statements"]
        ]
        for item in (answered, page):
            validator({"$ref": "#/components/schemas/StatementPage"}).validate(item)


async def test_every_media_type_of_statement_lists_is_documented(partner: Partner) -> None:
    for path in ("/v1/partners/{partner}/statements", "/xapi/statements"):
        for wanted in ("true", "false"):
            answer = await partner.http.get(
                path.format(partner=partner.name),
                params={"attachments": wanted},
                headers={**XAPI, **partner.headers},
            )
            assert answer.status_code == 200
            assert response_schema(path, "get", answer)


async def test_refused_batch_returns_the_documented_example(partner: Partner) -> None:
    existing = statement(id=new_id())
    assert (await partner.xapi(existing)).status_code == 200
    example = COMPONENTS["examples"]["batch-refused"]["value"]
    without_verb = {name: value for name, value in statement().items() if name != "verb"}
    answer = await partner.xapi([statement(), without_verb])
    assert answer.json() == example
    conflict = existing | {"result": {"completion": True}}
    large = statement(result={"response": "x" * 1_048_576})
    for batch, status in [([without_verb], 400), ([conflict], 409), ([large, existing], 413)]:
        answer = await partner.xapi(batch)
        assert answer.status_code == status
        assert len(answer.json()["results"]) == 1
        schema = response_schema("/xapi/statements", "post", answer)
        validator(schema).validate(answer.json())
        unrefused = {**answer.json(), "results": [{**example["results"][0], "outcome": "stored"}]}
        assert not validator(schema).is_valid(unrefused)


def refusals() -> Iterator[Any]:
    content_type, content = multipart_example("attachment-sent")
    first, hash_ = b"Content-Type: application/json", b"X-Experience-API-Hash: "
    for name, kind, body, status, code in [
        ("no boundary", "multipart/mixed", content, 400, "bad-request"),
        ("no end", content_type, content[:-6], 400, "bad-request"),
        ("no JSON type", content_type, content.replace(first, b"X: x"), 400, "bad-request"),
        ("wrong hash", content_type, content.replace(hash_, hash_ + b"0"), 400, "bad-request"),
        ("no JSON", content_type, content.replace(b"{", b"", 1), 400, "malformed-json"),
        ("form", "multipart/form-data; boundary=x", content, 400, "unsupported-media-type"),
        (
            "parts",
            "multipart/mixed; boundary=x",
            b"--x\r\n\r\n" * 1002,
            413,
            "too-large",
        ),
    ]:
        yield pytest.param(kind, body, status, code, id=name)


@pytest.mark.parametrize(("kind", "body", "status", "code"), list(refusals()))
async def test_refused_multipart_returns_the_documented_code(
    partner: Partner, kind: str, body: bytes, status: int, code: str
) -> None:
    for method, params in (("post", {}), ("put", {"statementId": new_id()})):
        answer = await partner.http.request(
            method,
            "/xapi/statements",
            params=params,
            content=body,
            headers={**XAPI, **partner.headers, "Content-Type": kind},
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        validator(response_schema("/xapi/statements", method, answer)).validate(answer.json())
        reported = DOCUMENT["paths"]["/xapi/statements"][method]["requestBody"]["description"]
        assert f"`{code}`" in reported


async def test_missing_attachment_returns_the_documented_code(partner: Partner) -> None:
    sent, _ = parts(*multipart_example("attachment-sent"))
    answer = await partner.xapi(sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-statement")
    assert (await partner.send(sent)).json()["code"] == "invalid-statement"


async def test_alternate_syntax_works_as_documented(partner: Partner) -> None:
    introduction = DOCUMENT["info"]["description"]
    assert "?method=PUT" in introduction
    form = {**XAPI, **partner.headers, "statementId": new_id(), "content": json.dumps(statement())}
    url = "/xapi/statements?method=PUT"
    assert (await partner.http.post(url, data=form)).status_code == 204
    for wrong, address in [
        ({"content": "{"}, url),
        ({"X-Experience-API-Version": "2.0.0"}, url),
        ({"X-Experience-API-Version": ""}, url),
        ({}, "/xapi/statements?method=PATCH"),
        ({}, f"{url}&x=y"),
    ]:
        answer = await partner.http.post(address, data=form | wrong)
        assert answer.status_code == 400
        assert f"`{answer.json()['code']}`" in introduction
