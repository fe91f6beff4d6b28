"""Violations built from the errors of the JSON Schema validator.

The messages come from annotations in the schemas. The annotation nearest to the failed keyword
applies:

    x-requirement   the section of the specification: a string, or an object by xAPI version
    x-expected      completes "expected …"
    x-missing       the detail for a missing member
    title           the name of an object in the detail for an unknown member
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind

from lrs.errors import Violation

Path = tuple[str | int, ...]

_MAX_LENGTH = 80
_MAX_NAMES = 50
_INTO_THE_VALUE = frozenset({"properties", "items", "additionalProperties", "propertyNames"})
_TYPES = {
    "string": "a string",
    "object": "an object",
    "array": "an array",
    "boolean": "true or false",
    "number": "a number",
    "integer": "an integer",
}


def pointer(path: Iterable[str | int]) -> str:
    """An RFC 6901 JSON pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def excerpt(value: Any) -> str:
    """A value for a message: strings and numbers as JSON, truncated; objects and arrays by type."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)}" if value else "an empty array"
    if isinstance(value, int) and not -(2**64) < value < 2**64:
        return "a very large number"
    text = json.dumps(
        value[: _MAX_LENGTH + 1] if isinstance(value, str) else value, ensure_ascii=False
    )
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"


@dataclass(slots=True)
class _Annotations:
    """The annotations that apply to the failed keyword."""

    requirement: Any = ""
    expected: str = ""
    missing: str = ""
    title: str = "object"
    members: dict[str, Any] = field(default_factory=dict)

    def enter(self, node: dict[str, Any]) -> None:
        self.requirement = node.get("x-requirement", self.requirement)
        self.expected = node.get("x-expected", self.expected)
        self.missing = node.get("x-missing", self.missing)
        if "title" in node and "properties" in node:
            self.title, self.members = node["title"], node["properties"]

    def descend(self) -> None:
        self.expected = self.missing = ""
        self.title, self.members = "object", {}


class ViolationBuilder:
    """Builds violations for one schema; `documents` are the schemas it refers to, by `$id`."""

    def __init__(
        self, root: dict[str, Any], documents: dict[str, dict[str, Any]], version: str
    ) -> None:
        self._root = root
        self._documents = documents
        self._version = version

    def violations(self, error: ValidationError, value: Any) -> Iterator[Violation]:
        """The violations of one validator error: one, or one for each unknown member."""
        annotations = self._annotations(error.evaluation_path)
        path = tuple(error.instance_path)
        instance = value
        for part in path:
            instance = instance[part]
        rule = annotations.requirement
        if isinstance(error.kind, ValidationErrorKind.Required):
            rule = annotations.members.get(error.kind.property, {}).get("x-requirement", rule)
        requirement = self.requirement(rule)
        for at, detail in _details(error.kind, annotations, path, instance):
            yield Violation(pointer(at), detail, requirement)

    def requirement(self, annotation: Any) -> str:
        """The section for this version of xAPI."""
        return str(annotation[self._version] if isinstance(annotation, dict) else annotation)

    def _annotations(self, evaluation_path: Iterable[str | int]) -> _Annotations:
        annotations = _Annotations()
        document = node = self._root
        annotations.enter(node)
        for part in evaluation_path:
            if part == "$ref":
                document, node = self._resolve(document, node["$ref"])
            else:
                node = node[part]  # type: ignore[index]
            if isinstance(node, dict):
                if part in _INTO_THE_VALUE:
                    annotations.descend()
                annotations.enter(node)
        return annotations

    def _resolve(self, document: Any, reference: str) -> tuple[Any, Any]:
        name, _, fragment = reference.partition("#")
        node = document = self._documents[name] if name else document
        for part in fragment.split("/")[1:]:
            node = node[part]
        return document, node


def _details(
    kind: ValidationErrorKind, annotations: _Annotations, path: Path, instance: Any
) -> Iterator[tuple[Path, str]]:
    match kind:
        case ValidationErrorKind.AdditionalProperties(unexpected):
            for name in unexpected:
                yield (*path, name), _unknown_member(name, annotations)
        case ValidationErrorKind.PropertyNames(error):
            name = str(error.instance)
            yield (*path, name), f"expected {annotations.expected}, found {excerpt(name)}"
        case ValidationErrorKind.Required(name):
            yield path, annotations.missing or _missing_member(name, annotations, instance)
        case ValidationErrorKind.Type(types):
            expected = annotations.expected or " or ".join(_TYPES[name] for name in types)
            yield path, f"expected {expected}, found {excerpt(instance)}"
        case (
            ValidationErrorKind.AnyOf()
            | ValidationErrorKind.OneOfMultipleValid()
            | ValidationErrorKind.OneOfNotValid()
        ):
            yield path, f"expected {annotations.expected}, found {_identifiers(instance)}"
        case _:
            yield path, f"expected {annotations.expected}, found {excerpt(instance)}"


def _unknown_member(name: str, annotations: _Annotations) -> str:
    text = f"{excerpt(name)} is not a member of {annotations.title}"
    similar = [member for member in annotations.members if member.lower() == name.lower()]
    if similar:
        return f"{text}: names are case-sensitive, expected {excerpt(similar[0])}"
    return f"{text}; its members are {', '.join(annotations.members)}"


def _missing_member(name: str, annotations: _Annotations, instance: Any) -> str:
    names = [key for key in islice(instance, _MAX_NAMES) if key not in annotations.members]
    spellings = {key.lower(): key for key in names if len(key) <= _MAX_LENGTH}
    similar = [spellings[key] for key in get_close_matches(name, spellings, n=1)]
    hint = "".join(f"; {excerpt(key)} is similar" for key in similar)
    return f"the member {excerpt(name)} is missing{hint}"


def _identifiers(instance: Any) -> str:
    names = [name for name in ("mbox", "mbox_sha1sum", "openid", "account") if name in instance]
    return " and ".join(names) or "none"
