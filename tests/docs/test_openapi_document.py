"""The OpenAPI document: valid, complete, and in agreement with the code."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import jsonschema
import pytest
import schemathesis

from lrs import __version__, resources
from lrs.api import openapi
from lrs.api.routes import ROUTES
from lrs.auth import scopes
from lrs.ingest import model
from lrs.xapi.validation import statement_violations, track_violations
from tests.support.files import SEEDS
from tests.support.openapi import (
    COMPONENTS,
    DOCUMENT,
    LOADED,
    STATUSES,
    classes,
    nodes,
    operations,
    resolved,
    validator,
)

# The document


@pytest.mark.slow
def test_document_is_valid_openapi_3_1() -> None:
    document = copy.deepcopy(DOCUMENT)
    # The specification (4.7) allows a relative URL; its schema of 2022 does not yet.
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    flow["tokenUrl"] = f"https://lrs.example{flow['tokenUrl']}"
    schemathesis.openapi.from_dict(document).validate()
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["version"] == __version__


@pytest.mark.slow
def test_schemas_are_json_schema_2020_12() -> None:
    for node in nodes(DOCUMENT["paths"] | {"components": COMPONENTS}):
        if "schema" in node and isinstance(node["schema"], dict):
            jsonschema.Draft202012Validator.check_schema(node["schema"])
    for schema in COMPONENTS["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_resolves_in_the_document() -> None:
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
            assert any(item == used or item.startswith(f"{used}/") for item in references), used


def test_source_refers_to_every_schema_file() -> None:
    sources = [json.loads(resources.schema_files()[name]) for name in openapi.SOURCES]
    targets = {node["$ref"].partition("#")[0] for node in nodes(sources) if "$ref" in node} - {""}
    assert targets == set(resources.schema_files()) - {*openapi.SOURCES}


def test_source_files_define_each_component_once() -> None:
    first, second = (json.loads(resources.schema_files()[name]) for name in openapi.SOURCES)
    assert first["paths"].keys().isdisjoint(second["paths"])
    for kind, components in second["components"].items():
        assert first["components"][kind].keys().isdisjoint(components), kind


def examples() -> Iterator[Any]:
    for node in nodes(DOCUMENT):
        if "schema" not in node:
            continue
        named = {name: resolved(item)["value"] for name, item in node.get("examples", {}).items()}
        if "example" in node:
            named["example"] = node["example"]
        for name, value in named.items():
            yield pytest.param(node["schema"], value, id=name)


@pytest.mark.parametrize(("schema", "value"), list(examples()))
def test_examples_match_their_schema(schema: dict[str, Any], value: Any) -> None:
    validator(schema).validate(value)


def test_optional_parameters_have_no_example_or_default() -> None:
    """The page sends every example and default; statementId excludes most other parameters."""
    for parameter in COMPONENTS["parameters"].values():
        reported = {**parameter, **parameter.get("content", {}).get("application/json", {})}
        assert parameter.get("required") or "example" not in reported
        assert "default" not in resolved(reported["schema"])


def test_path_parameters_are_not_escaped() -> None:
    """The client escapes them in the path, slashes too."""
    for name in ("learner", "content"):
        parameter = COMPONENTS["parameters"][name]
        assert "%" not in parameter["example"]
        assert "pattern" not in parameter["schema"]


def test_request_examples_are_the_vendor_examples() -> None:
    for name, example in COMPONENTS["examples"].items():
        if (path := SEEDS / f"{name}.json").exists():
            assert example["value"] == json.loads(path.read_text())
            assert "track" in name or statement_violations(example["value"], "1.0.3") == []
            assert "track" not in name or track_violations(example["value"]) == []


# The document and the code


def test_document_describes_every_route_and_no_other() -> None:
    described = {(path, method.upper()) for path, method, _ in operations()}
    served = {
        (re.sub(r":\w+}", "}", route.path), method)
        for route in ROUTES
        for method in route.methods or ()
    }
    assert described <= served
    # GET answers HEAD as well; the introduction says so.
    assert {item for item in served if item[1] != "HEAD"} <= described


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_problem_code_is_described_under_its_status() -> None:
    assert set(COMPONENTS["schemas"]["Problem"]["properties"]["code"]["enum"]) == {
        code for code, _ in STATUSES
    }
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            content = resolved(response).get("content", {})
            if schema := content.get("application/problem+json", {}).get("schema"):
                codes = schema["allOf"][1]["properties"]["code"]["enum"]
                assert {(code, int(status)) for code in codes} <= STATUSES


def test_problem_examples_have_the_titles_of_the_error_classes() -> None:
    titles = {class_.code: class_.title for class_ in classes()}
    for name, example in COMPONENTS["examples"].items():
        if name.startswith("problem-"):
            code = example["value"]["code"]
            assert example["value"]["title"] == titles[code]
            assert name.startswith(f"problem-{code}")


def test_authenticated_operations_describe_their_errors() -> None:
    for path, method, operation in operations():
        statuses = set(operation["responses"])
        if any("bearer" in item for item in operation["security"]):
            assert {"400", "401", "403", "429", "500", "503"} <= statuses, (path, method)
        if method == "post":
            assert {"400", "401", "413"} <= statuses, (path, method)


def test_outcomes_match_the_code() -> None:
    answered = set(get_args(model.OutcomeKind)) - {"aborted"}
    schemas = COMPONENTS["schemas"]
    assert set(schemas["Outcome"]["enum"]) == answered
    assert set(schemas["Summary"]["propertyNames"]["enum"]) == {"received", *answered}
    _, limits = schemas["RefusedResult"]["allOf"]
    assert set(limits["properties"]["outcome"]["enum"]) == model.REFUSED


def test_scopes_match_the_code() -> None:
    flow = COMPONENTS["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert set(flow["scopes"]) == {*scopes.SUPPORTED, scopes.ALL_GRANTED}


def test_file_names_match_the_served_files() -> None:
    def names(path: str) -> list[str]:
        listed: list[str] = DOCUMENT["paths"][path]["get"]["parameters"][0]["schema"]["enum"]
        return listed

    assert names("/schemas/{path}") == sorted(set(resources.schema_files()) - {*openapi.SOURCES})
    assert names("/docs/{file}") == LOADED
