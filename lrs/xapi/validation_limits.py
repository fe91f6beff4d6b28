"""Limits the number of invalid items before messages are built.

The validator builds all errors of a value, and an error about a member name holds a copy of its
object. Without this limit, one statement with 100,000 invalid items blocks a worker for a minute;
with it, for milliseconds. Item positions stay as sent, so pointers stay correct.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, Registry

from lrs.resources import schema

_COMMON = schema("xapi/common")
_DEFS: dict[str, Any] = _COMMON["$defs"]
_IRI = re.compile(_DEFS["iri"]["pattern"])
_LANGUAGE = re.compile(_DEFS["language-map"]["propertyNames"]["pattern"])

_LANGUAGE_MAPS = ("display", "name", "description")
# List name -> path of its item schema in the common definitions.
_ITEMS = {
    "member": "members/items",
    "attachments": "attachments/items",
    "contextAgents": "context-agents/items",
    "contextGroups": "context-groups/items",
    "relevantTypes": "relevant-types/items",
    "correctResponsesPattern": "definition/properties/correctResponsesPattern/items",
    **dict.fromkeys(("parent", "grouping", "category", "other"), "activities/then/items"),
    **dict.fromkeys(("choices", "scale", "source", "target", "steps"), "components/items"),
}
_MAX_LEVELS = 12  # the schemas have no list or map deeper than this
_MIN_ITEMS = 2  # the largest minItems of the schemas


def limit_invalid_items(value: Any, limit: int) -> Any:
    """A copy of the value with about `limit` invalid list items and map members.

    No list or map becomes shorter than its schema allows.
    """
    return _ItemLimit(limit).apply(value)


class _ItemLimit:
    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def apply(self, value: Any, name: str = "", level: int = 0) -> Any:
        if level >= _MAX_LEVELS:
            return value
        if isinstance(value, list):
            return list(self._items(value, name, level))
        if not isinstance(value, dict):
            return value
        if name == "extensions":
            return self._members(value, lambda key, _: _IRI.fullmatch(key) is None)
        if name in _LANGUAGE_MAPS:
            value = self._members(
                value, lambda key, text: not (_LANGUAGE.fullmatch(key) and isinstance(text, str))
            )
        return {key: self.apply(item, key, level + 1) for key, item in value.items()}

    def _items(self, items: list[Any], name: str, level: int) -> Iterator[Any]:
        """The items up to the limit of invalid ones."""
        is_valid = _validator(_ITEMS[name]).is_valid if name in _ITEMS else None
        for index, item in enumerate(items):
            if self._left <= 0 and index >= _MIN_ITEMS:
                break
            left = self._left
            yield self.apply(item, "", level + 1)
            if self._left == left and is_valid and not is_valid(item):
                self._left -= 1

    def _members(
        self, members: dict[str, Any], is_invalid: Callable[[str, Any], bool]
    ) -> dict[str, Any]:
        """The members; only invalid ones if there are more members than the limit."""
        invalid = {key: value for key, value in members.items() if is_invalid(key, value)}
        remaining, self._left = max(self._left, 0), self._left - len(invalid)
        if self._left >= 0 and len(members) <= self._limit:
            return members
        return dict(islice(invalid.items(), remaining)) or dict(islice(members.items(), 1))


@cache
def _validator(path: str) -> Draft202012Validator:
    """The validator of one item by a path in the common definitions."""
    return Draft202012Validator(
        {"$ref": f"{_COMMON['$id']}#/$defs/{path}"},
        registry=Registry([(_COMMON["$id"], _COMMON)]),
        pattern_options=RegexOptions(),
        offline=True,
    )
