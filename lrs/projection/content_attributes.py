"""What is known of a content item: the columns that its activity's definition fills."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from lrs.projection.vocabulary import Attribute, Vocabulary
from lrs.xapi.timestamps import parse_timestamp

Json = Mapping[str, Any]


class Description(NamedTuple):
    """What a definition tells of a content; null is what it does not tell."""

    type: str | None
    title: str | None
    technology: str | None
    topic: str | None
    attributes: dict[str, Any]


def describe(definition: Json, vocabulary: Vocabulary) -> Description:
    extensions = definition.get("extensions", {})
    technology, topic = _subjects(_first(extensions, vocabulary.extensions["topics"]), vocabulary)
    attributes = {
        "description": _text(definition.get("description")),
        "exercise_type": definition.get("interactionType"),
    }
    for attribute in vocabulary.attributes:
        value = _typed(_first(extensions, attribute.extensions), attribute)
        if value is not None:
            attributes[attribute.name] = value
    return Description(
        vocabulary.types.get(definition.get("type", "")),
        _text(definition.get("name")),
        technology,
        topic,
        {name: value for name, value in attributes.items() if value is not None},
    )


def _first(extensions: Json, names: tuple[str, ...]) -> Any:
    return next((extensions[name] for name in names if name in extensions), None)


def _text(told: Json | None) -> str | None:
    """The English text of a language map, or else the first one."""
    if not told:
        return None
    english = (name for name in told if name.lower().split("-")[0] == "en")
    return str(told[next(english, next(iter(told)))])


def _subjects(topics: Any, vocabulary: Vocabulary) -> tuple[str | None, str | None]:
    """The first topic that is a technology, and the first that is not."""
    words = [each for each in (topics if isinstance(topics, list) else [topics]) if _is_text(each)]
    technologies = [each for each in words if each.casefold() in vocabulary.technologies]
    others = [each for each in words if each not in technologies]
    return next(iter(technologies), None), next(iter(others), None)


def _typed(value: Any, attribute: Attribute) -> Any:
    """The value, if it is one of the attribute's type: whoever reads it relies on that."""
    match attribute.type:
        case "text":
            return value if _is_text(value) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "number" | "integer":
            return _number(value, whole=attribute.type == "integer")
        case "date":
            return _date(value)
        case _:
            return _timestamp(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _number(value: Any, *, whole: bool) -> int | float | None:
    """No larger than a column of 32 bits holds, if it is to be a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not whole:
        return value if abs(value) <= 10**12 else None
    return int(value) if value == int(value) and abs(value) < 2**31 else None


def _date(value: Any) -> str | None:
    try:
        return date.fromisoformat(value[:10]).isoformat() if _is_text(value) else None
    except ValueError:
        return None


def _timestamp(value: Any) -> str | None:
    try:
        return parse_timestamp(value).isoformat() if _is_text(value) else None
    except ValueError:
        return None
