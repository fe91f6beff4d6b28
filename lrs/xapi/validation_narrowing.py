"""A value that breaks rules, cut down to what can be told of it before it is explained.

To explain costs thousands of times what it takes to find out that something is wrong: each error is
an object of its own, and one about a member's name comes with a copy of the object that it is in. A
list of a hundred thousand bad items would take a minute.
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
# Where the schemas say of what lists are made, by the names of those lists.
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
_LEVELS = 12  # no list or map of the schemas lies deeper
_LEAST = 2  # the most items that a list has to have


def limit_invalid_items(value: Any, most: int) -> Any:
    """The value with about `most` bad items in its lists and bad members in its maps.

    What is left stands where it stood. No list or map is left so short that this were wrong.
    """
    return _Narrowing(most).of(value)


class _Narrowing:
    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def of(self, value: Any, name: str = "", level: int = 0) -> Any:
        if level >= _LEVELS:
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
        return {key: self.of(each, key, level + 1) for key, each in value.items()}

    def _items(self, items: list[Any], name: str, level: int) -> Iterator[Any]:
        """The items, until nothing more can be told."""
        is_good = _validator(_ITEMS[name]).is_valid if name in _ITEMS else None
        for index, each in enumerate(items):
            if self._left <= 0 and index >= _LEAST:
                break
            left = self._left
            yield self.of(each, "", level + 1)
            if self._left == left and is_good and not is_good(each):
                self._left -= 1

    def _members(
        self, members: dict[str, Any], is_bad: Callable[[str, Any], bool]
    ) -> dict[str, Any]:
        """The members, or of too many those that are bad."""
        bad = {key: value for key, value in members.items() if is_bad(key, value)}
        room, self._left = max(self._left, 0), self._left - len(bad)
        if self._left >= 0 and len(members) <= self._most:
            return members
        return dict(islice(bad.items(), room)) or dict(islice(members.items(), 1))


@cache
def _validator(place: str) -> Draft202012Validator:
    """The rules for one item, which stand in this place of the common definitions."""
    return Draft202012Validator(
        {"$ref": f"{_COMMON['$id']}#/$defs/{place}"},
        registry=Registry([(_COMMON["$id"], _COMMON)]),
        pattern_options=RegexOptions(),
        offline=True,
    )
