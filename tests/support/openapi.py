"""The OpenAPI document and its parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

from lrs import errors
from lrs.api import openapi

DOCUMENT = openapi.bundled()
COMPONENTS = DOCUMENT["components"]
STATIC = Path(openapi.__file__).parent / "static"
LOADED = sorted(item.name for item in STATIC.iterdir() if item.suffix in (".css", ".js", ".png"))
METHODS = {"get", "head", "post", "put", "delete", "patch", "options"}


def resolved(node: Any) -> Any:
    """The node, or the target of its $ref."""
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
        for item in node.values() if isinstance(node, dict) else node:
            yield from nodes(item)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def classes(of: type[errors.LRSError] = errors.LRSError) -> Iterator[type[errors.LRSError]]:
    for item in of.__subclasses__():
        yield item
        yield from classes(item)


STATUSES = {(class_.code, class_.status) for class_ in classes()}
"""Pairs of code and status."""


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": COMPONENTS})
