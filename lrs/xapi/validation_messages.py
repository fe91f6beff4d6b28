"""From what a JSON Schema validator reports to what a sender can act on.

The words come from the schemas. On the way to the keyword that failed, the nearest of these wins:

    x-requirement   the rule, as a string, or as an object by xAPI version
    x-expected      what the value must be, to be read after "expected"
    x-missing       the sentence for a missing member
    title           what an object is called when it has a member too many
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jsonschema_rs import ValidationError, ValidationErrorKind

from lrs.errors import Violation

Path = tuple[str | int, ...]

_SHOWN = 80
_INTO_THE_VALUE = frozenset({"properties", "items", "additionalProperties", "propertyNames"})
_TYPES = {
    "string": "a text",
    "object": "an object",
    "array": "an array",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}


def pointer(path: Iterable[str | int]) -> str:
    """An RFC 6901 JSON pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def excerpt(value: Any) -> str:
    """A value in a few words: texts and numbers as JSON, cut short; the rest by its kind."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)}" if value else "an empty array"
    if isinstance(value, int) and not -(2**64) < value < 2**64:
        return "a very large number"
    text = json.dumps(value[: _SHOWN + 1] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


@dataclass(slots=True)
class _Place:
    """What the schemas say about the place where a keyword failed."""

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
    """Explains the errors of one schema; `documents` are those it refers to, by `$id`."""

    def __init__(
        self, root: dict[str, Any], documents: dict[str, dict[str, Any]], version: str
    ) -> None:
        self._root = root
        self._documents = documents
        self._version = version

    def violations(self, error: ValidationError, value: Any) -> Iterator[Violation]:
        """What one error of the validator means: one violation, or one for each surplus member."""
        place = self._place(error.evaluation_path)
        path = tuple(error.instance_path)
        found = value
        for part in path:
            found = found[part]
        rule = place.requirement
        if isinstance(error.kind, ValidationErrorKind.Required):
            rule = place.members.get(error.kind.property, {}).get("x-requirement", rule)
        requirement = self.requirement(rule)
        for at, detail in _details(error.kind, place, path, found):
            yield Violation(pointer(at), detail, requirement)

    def requirement(self, annotation: Any) -> str:
        """The rule for the version in force."""
        return str(annotation[self._version] if isinstance(annotation, dict) else annotation)

    def _place(self, evaluation_path: Iterable[str | int]) -> _Place:
        place = _Place()
        document = node = self._root
        place.enter(node)
        for part in evaluation_path:
            if part == "$ref":
                document, node = self._resolve(document, node["$ref"])
            else:
                node = node[part]  # type: ignore[index]
            if isinstance(node, dict):
                if part in _INTO_THE_VALUE:
                    place.descend()
                place.enter(node)
        return place

    def _resolve(self, document: Any, reference: str) -> tuple[Any, Any]:
        name, _, fragment = reference.partition("#")
        node = document = self._documents[name] if name else document
        for part in fragment.split("/")[1:]:
            node = node[part]
        return document, node


def _details(
    kind: ValidationErrorKind, place: _Place, path: Path, found: Any
) -> Iterator[tuple[Path, str]]:
    match kind:
        case ValidationErrorKind.AdditionalProperties(unexpected):
            for name in unexpected:
                yield (*path, name), _surplus(name, place)
        case ValidationErrorKind.PropertyNames(error):
            name = str(error.instance)
            yield (*path, name), f"expected {place.expected}, found {excerpt(name)}"
        case ValidationErrorKind.Required(name):
            yield path, place.missing or f"the member {excerpt(name)} is missing"
        case ValidationErrorKind.Type(types):
            expected = place.expected or " or ".join(_TYPES[name] for name in types)
            yield path, f"expected {expected}, found {excerpt(found)}"
        case (
            ValidationErrorKind.AnyOf()
            | ValidationErrorKind.OneOfMultipleValid()
            | ValidationErrorKind.OneOfNotValid()
        ):
            yield path, f"expected {place.expected}, found {_identifiers(found)}"
        case _:
            yield path, f"expected {place.expected}, found {excerpt(found)}"


def _surplus(name: str, place: _Place) -> str:
    text = f"{excerpt(name)} is not a member of {place.title}"
    near = [known for known in place.members if known.lower() == name.lower()]
    if near:
        return f"{text}: names are case-sensitive, {excerpt(near[0])} is"
    return f"{text}, which has only {', '.join(place.members)}"


def _identifiers(found: Any) -> str:
    names = [name for name in ("mbox", "mbox_sha1sum", "openid", "account") if name in found]
    return " and ".join(names) or "none"
