"""The interface's description: valid, complete, and what the server really does."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema
import msgspec
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
from support import XAPI, Partner, new_id, serving, statement

from lrs import __version__, errors, resources
from lrs.api import openapi
from lrs.app import ROUTES
from lrs.auth import scopes
from lrs.ingest import pipeline
from lrs.settings import Settings
from lrs.xapi import multipart
from lrs.xapi.validation import statement_violations, track_violations

DOCUMENT = openapi.bundled()
COMPONENTS = DOCUMENT["components"]
STATIC = Path(openapi.__file__).parent / "static"
LOADED = sorted(each.name for each in STATIC.iterdir() if each.suffix in (".css", ".js", ".png"))
SEEDS = Path(__file__).parent / "fixtures" / "seeds"
METHODS = {"get", "head", "post", "put", "delete", "patch", "options"}


def resolved(node: Any) -> Any:
    """What a node means, if it is a reference."""
    while isinstance(node, dict) and "$ref" in node:
        reference, node = node["$ref"], DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from nodes(each)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def classes(of: type[errors.LRSError] = errors.LRSError) -> Iterator[type[errors.LRSError]]:
    for each in of.__subclasses__():
        yield each
        yield from classes(each)


STATUS_BY_CODE = {each.code: each.status for each in classes()}


# The document by itself


def test_is_valid_openapi_3_1() -> None:
    document = copy.deepcopy(DOCUMENT)
    # The specification (4.7) allows a relative URL here, its schema of 2022 does not yet.
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    flow["tokenUrl"] = f"https://lrs.example{flow['tokenUrl']}"
    schemathesis.openapi.from_dict(document).validate()
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["version"] == __version__


def test_its_schemas_are_json_schema_2020_12() -> None:
    for node in nodes(DOCUMENT["paths"] | {"components": COMPONENTS}):
        if "schema" in node and isinstance(node["schema"], dict):
            jsonschema.Draft202012Validator.check_schema(node["schema"])
    for schema in COMPONENTS["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_points_inside_and_to_something() -> None:
    references = {node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node}
    assert "#/components/schemas/xapi-common/$defs/uuid" in references
    for reference in references:
        assert reference.startswith("#/")
        assert resolved({"$ref": reference}) is not None


def test_every_component_is_used() -> None:
    references = {node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node}
    for kind in COMPONENTS.keys() - {"securitySchemes"}:
        for name in COMPONENTS[kind]:
            used = f"#/components/{kind}/{name}"
            assert any(each == used or each.startswith(f"{used}/") for each in references), used


def test_the_source_holds_no_copy_of_a_schema_file() -> None:
    source = json.loads(resources.schema_files()[openapi.SOURCE])
    targets = {node["$ref"].partition("#")[0] for node in nodes(source) if "$ref" in node} - {""}
    assert targets == set(resources.schema_files()) - {openapi.SOURCE}


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": COMPONENTS})


def examples() -> Iterator[Any]:
    for node in nodes(DOCUMENT):
        if "schema" not in node:
            continue
        named = {name: resolved(each)["value"] for name, each in node.get("examples", {}).items()}
        if "example" in node:
            named["example"] = node["example"]
        for name, value in named.items():
            yield pytest.param(node["schema"], value, id=name)


@pytest.mark.parametrize(("schema", "value"), list(examples()))
def test_examples_are_what_their_schema_says(schema: dict[str, Any], value: Any) -> None:
    validator(schema).validate(value)


def test_the_page_sends_no_parameter_that_was_not_asked_for() -> None:
    """It fills in every example and default; statementId goes with hardly anything else."""
    for parameter in COMPONENTS["parameters"].values():
        told = {**parameter, **parameter.get("content", {}).get("application/json", {})}
        assert parameter.get("required") or "example" not in told
        assert "default" not in resolved(told["schema"])


def test_names_in_paths_stand_as_they_are() -> None:
    """Whoever puts them into a path escapes them, slashes too."""
    for name in ("learner", "content"):
        parameter = COMPONENTS["parameters"][name]
        assert "%" not in parameter["example"]
        assert "pattern" not in parameter["schema"]


def test_request_examples_are_the_vendors_own() -> None:
    for name, example in COMPONENTS["examples"].items():
        if (path := SEEDS / f"{name}.json").exists():
            assert example["value"] == json.loads(path.read_text())
            assert "track" in name or statement_violations(example["value"], "1.0.3") == []
            assert "track" not in name or track_violations(example["value"]) == []


# The document and the code


def test_every_route_is_described_and_nothing_else() -> None:
    described = {(path, method.upper()) for path, method, _ in operations()}
    served = {
        (re.sub(r":\w+}", "}", route.path), method) for route in ROUTES for method in route.handlers
    }
    assert described <= served
    # GET answers HEAD as well; that is said once for all.
    assert {each for each in served if each[1] != "HEAD"} <= described


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_code_is_described_under_its_status() -> None:
    assert set(COMPONENTS["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(
        STATUS_BY_CODE
    )
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            content = resolved(response).get("content", {})
            if schema := content.get("application/problem+json", {}).get("schema"):
                codes = schema["allOf"][1]["properties"]["code"]["enum"]
                assert {STATUS_BY_CODE[code] for code in codes} == {int(status)}


def test_problem_examples_have_the_titles_of_the_code() -> None:
    titles = {each.code: each.title for each in classes()}
    for name, example in COMPONENTS["examples"].items():
        if name.startswith("problem-"):
            assert example["value"]["title"] == titles[name.removeprefix("problem-")]


def test_every_operation_that_asks_for_credentials_tells_how_it_refuses() -> None:
    for path, method, operation in operations():
        statuses = set(operation["responses"])
        if any("bearer" in each for each in operation["security"]):
            assert {"400", "401", "403", "429", "500", "503"} <= statuses, (path, method)
        if method == "post":
            assert {"400", "401", "413"} <= statuses, (path, method)


def test_outcomes_are_those_of_the_code() -> None:
    answered = set(get_args(pipeline.Kind)) - {"withheld"}
    schemas = COMPONENTS["schemas"]
    assert set(schemas["Outcome"]["enum"]) == answered
    assert set(schemas["Summary"]["propertyNames"]["enum"]) == {"received", *answered}
    _, limits = schemas["RefusedResult"]["allOf"]
    assert set(limits["properties"]["outcome"]["enum"]) == pipeline.REFUSED


def test_scopes_are_those_of_the_code() -> None:
    flow = COMPONENTS["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == {*scopes.KNOWN, scopes.WHATEVER_GRANTED}


def test_names_of_files_are_those_that_are_served() -> None:
    def names(path: str) -> list[str]:
        listed: list[str] = DOCUMENT["paths"][path]["get"]["parameters"][0]["schema"]["enum"]
        return listed

    assert names("/schemas/{path}") == sorted(set(resources.schema_files()) - {openapi.SOURCE})
    assert names("/docs/{file}") == LOADED


# The page and the files


async def test_serves_the_document(http: httpx.AsyncClient) -> None:
    answer = await http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == {**DOCUMENT, "servers": [{"url": "/"}]}


async def test_the_document_says_under_which_path_the_world_finds_us(settings: Settings) -> None:
    """The page tries requests out there."""
    public = msgspec.structs.replace(settings, public_url="https://example.com/learning/lrs")
    async with serving(public) as http:
        document = (await http.get("/openapi.json")).json()
        assert document["servers"] == [{"url": "/learning/lrs"}]


async def test_serves_the_schemas_as_they_are(http: httpx.AsyncClient) -> None:
    for name, content in resources.schema_files().items():
        answer = await http.get(f"/schemas/{name}")
        if name == openapi.SOURCE:
            assert answer.status_code == 404
        else:
            assert answer.content == content
            assert answer.headers["content-type"] == "application/schema+json"


@pytest.mark.parametrize(
    "path", ["/schemas/x", "/schemas/../pyproject.toml", "/docs/x", "/docs/README.md", "/docs/"]
)
async def test_other_files_are_not_served(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not-found"


async def test_the_address_of_the_server_leads_to_the_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/docs")


async def test_the_page_loads_only_what_is_served_here(http: httpx.AsyncClient) -> None:
    answer = await http.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert __version__ in answer.text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert {f"docs/{name}" for name in LOADED} <= set(loaded)
    for target in loaded:
        assert ":" not in target
        assert (await http.get(f"/{target}")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/docs", "/docs/page.js", "/schemas/track-event.json"]
)
async def test_what_is_known_is_not_sent_again(http: httpx.AsyncClient, path: str) -> None:
    etag = (await http.get(path)).headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        answer = await http.get(path, headers={"If-None-Match": known})
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == etag
    assert (await http.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


# The document and what the server does

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 7
POSITIVE = sorted(f"{method.upper()} {path}" for path, method, _ in operations())
# The others take nothing that could be wrong.
NEGATIVE = [label for label in POSITIVE if re.search("{|xapi/(?!about)|token", label)]

Send = Callable[[schemathesis.Case[Any]], object]


def converse(
    server: str, label: str, mode: GenerationMode, send: Send, examples: int = EXAMPLES
) -> None:
    """Sends what hypothesis makes for one operation."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=server)
    operation = schema.find_operation_by_label(label)
    assert operation is not None

    @bounded(
        max_examples=examples,
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
async def test_the_server_answers_as_described(
    server: str, partner: Partner, label: str, mode: GenerationMode
) -> None:
    if "token" in label:
        credentials: dict[str, Any] = {"auth": (partner.key, partner.secret)}
    else:
        credentials = {"headers": await authorized(server, partner)}

    def send(case: schemathesis.Case[Any]) -> None:
        if "partner" in case.path_parameters:
            case.path_parameters["partner"] = partner.name
        answer = case.call_and_validate(**credentials, checks=CHECKS, timeout=10)
        assert answer.status_code != 401 or "token" in label

    await asyncio.to_thread(converse, server, label, mode, send)


async def authorized(server: str, partner: Partner) -> dict[str, str]:
    """An access token of the server that is asked; each has an issuer of its own."""
    async with httpx.AsyncClient(base_url=server) as http:
        answer = await http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(partner.key, partner.secret),
        )
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.parametrize("label", POSITIVE)
async def test_the_server_answers_strangers_as_described(server: str, label: str) -> None:
    method, _, path = label.partition(" ")
    is_closed = any(
        "bearer" in each for each in DOCUMENT["paths"][path][method.lower()]["security"]
    )
    statuses = set()

    def send(case: schemathesis.Case[Any]) -> None:
        statuses.add(case.call_and_validate(checks=CHECKS, timeout=10).status_code)

    await asyncio.to_thread(converse, server, label, GenerationMode.POSITIVE, send, 2)
    assert not is_closed or statuses <= {400, 401}


# What is not made up by hypothesis


def described(path: str, method: str, answer: httpx.Response) -> Any:
    """The schema of an answer, by its status and content type."""
    response = resolved(DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)])
    return response["content"][answer.headers["content-type"].partition(";")[0]]["schema"]


def mixed(name: str) -> tuple[str, bytes]:
    """The content type and the bytes of an example; its summary has the boundary."""
    example = COMPONENTS["examples"][name]
    return example["summary"].removeprefix("Content-Type: "), example["value"].encode()


def parts(content_type: str, content: bytes) -> tuple[Any, list[multipart.Part]]:
    """The JSON of the first part, and the other parts."""
    first, *others = multipart.split(content, multipart.boundary(content_type))
    return json.loads(first.content), others


@pytest.mark.parametrize("method", ["post", "put"])
async def test_the_attachment_of_the_example_is_taken_and_found(
    partner: Partner, method: str
) -> None:
    content_type, content = mixed("attachment-sent")
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

    page, contents = parts(*mixed("attachments-found"))
    assert contents == attached
    set_here = dict.fromkeys(("authority", "stored"))
    for path in (partner.url("statements"), "/xapi/statements"):
        found = await partner.http.get(
            path, params={"attachments": "true"}, headers={**XAPI, **partner.headers}
        )
        assert found.status_code == 200
        answered, received = parts(found.headers["content-type"], found.content)
        assert received == contents
        assert [each | set_here for each in answered["statements"]] == [
            each | set_here for each in page["statements"]
        ]
        for each in (answered, page):
            validator({"$ref": "#/components/schemas/StatementPage"}).validate(each)


async def test_every_way_to_answer_with_statements_is_described(partner: Partner) -> None:
    for path in ("/v1/partners/{partner}/statements", "/xapi/statements"):
        for wanted in ("true", "false"):
            answer = await partner.http.get(
                path.format(partner=partner.name),
                params={"attachments": wanted},
                headers={**XAPI, **partner.headers},
            )
            assert answer.status_code == 200
            assert described(path, "get", answer)


async def test_a_refused_batch_is_answered_as_described(partner: Partner) -> None:
    known = statement(id=new_id())
    assert (await partner.xapi(known)).status_code == 200
    example = COMPONENTS["examples"]["batch-refused"]["value"]
    without_verb = {name: value for name, value in statement().items() if name != "verb"}
    answer = await partner.xapi([statement(), without_verb])
    assert answer.json() == example
    conflict = known | {"result": {"completion": True}}
    large = statement(result={"response": "x" * 1_048_576})
    for batch, status in [([without_verb], 400), ([conflict], 409), ([large, known], 413)]:
        answer = await partner.xapi(batch)
        assert answer.status_code == status
        assert len(answer.json()["results"]) == 1
        schema = described("/xapi/statements", "post", answer)
        validator(schema).validate(answer.json())
        unrefused = {**answer.json(), "results": [{**example["results"][0], "outcome": "stored"}]}
        assert not validator(schema).is_valid(unrefused)


def refusals() -> Iterator[Any]:
    content_type, content = mixed("attachment-sent")
    first, hash_ = b"Content-Type: application/json", b"X-Experience-API-Hash: "
    for name, kind, body, status, code in [
        ("no boundary", "multipart/mixed", content, 400, "bad-request"),
        ("no end", content_type, content[:-6], 400, "bad-request"),
        ("no JSON type", content_type, content.replace(first, b"X: x"), 400, "bad-request"),
        ("wrong hash", content_type, content.replace(hash_, hash_ + b"0"), 400, "bad-request"),
        ("no JSON", content_type, content.replace(b"{", b"", 1), 400, "malformed-json"),
        ("form", "multipart/form-data; boundary=x", content, 400, "unsupported-media-type"),
        ("parts", "multipart/mixed; boundary=x", b"--x\r\n\r\n" * 1002, 413, "too-large"),
    ]:
        yield pytest.param(kind, body, status, code, id=name)


@pytest.mark.parametrize(("kind", "body", "status", "code"), list(refusals()))
async def test_a_refused_multipart_is_answered_as_described(
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
        validator(described("/xapi/statements", method, answer)).validate(answer.json())
        told = DOCUMENT["paths"]["/xapi/statements"][method]["requestBody"]["description"]
        assert f"`{code}`" in told


async def test_an_attachment_that_did_not_come_is_refused_as_described(partner: Partner) -> None:
    sent, _ = parts(*mixed("attachment-sent"))
    answer = await partner.xapi(sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-statement")
    assert (await partner.send(sent)).json()["code"] == "invalid-statement"


async def test_the_alternate_syntax_is_understood_as_described(partner: Partner) -> None:
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
