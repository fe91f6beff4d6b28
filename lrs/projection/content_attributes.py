"""The attributes of a content item that are read from its activity's definition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from lrs.projection.vocabulary import REPORTED_TYPES, Attribute, Vocabulary
from lrs.xapi.timestamps import parse_timestamp

Json = Mapping[str, Any]


class Description(NamedTuple):
    """The attributes of a content item; None is a value that the definition lacks.

    `type` has report tables; `defined_type` is any type, as IRI if the vocabulary lacks it.
    `attributes` has the other ones by name, without None.
    """

    type: str | None
    defined_type: str | None
    title: str | None
    technology: str | None
    topic: str | None
    attributes: dict[str, Any]


def describe(definition: Json, vocabulary: Vocabulary) -> Description:
    """The attributes in an activity definition; values of another type than expected are left out.

    `technology` is the first topic that is a technology, `topic` the first that is not.
    """
    extensions = definition.get("extensions", {})
    topics = _first(extensions, vocabulary.extensions["topics"])
    technology, topic = _split_topics(topics, vocabulary)
    attributes = {
        "description": _text(definition.get("description")),
        "exercise_type": definition.get("interactionType"),
    }
    for attribute in vocabulary.attributes:
        value = _typed(_first(extensions, attribute.extensions), attribute)
        if value is not None:
            attributes[attribute.name] = value
    iri = definition.get("type")
    defined_type = vocabulary.types.get(iri, iri) if iri else None
    return Description(
        defined_type if defined_type in REPORTED_TYPES else None,
        defined_type,
        _text(definition.get("name")),
        technology,
        topic,
        {name: value for name, value in attributes.items() if value is not None},
    )


def _first(extensions: Json, iris: tuple[str, ...]) -> Any:
    return next((extensions[iri] for iri in iris if iri in extensions), None)


def _text(language_map: Json | None) -> str | None:
    """The English text of a language map, or else the first one."""
    if not language_map:
        return None
    english = (tag for tag in language_map if tag.lower().split("-")[0] == "en")
    return str(language_map[next(english, next(iter(language_map)))])


def _split_topics(topics: Any, vocabulary: Vocabulary) -> tuple[str | None, str | None]:
    """The first topic that is a technology, and the first that is not."""
    texts = [
        topic for topic in (topics if isinstance(topics, list) else [topics]) if _is_text(topic)
    ]
    technologies = [text for text in texts if text.casefold() in vocabulary.technologies]
    others = [text for text in texts if text not in technologies]
    return next(iter(technologies), None), next(iter(others), None)


def _typed(value: Any, attribute: Attribute) -> Any:
    """The value if it has the attribute's type, which the report tables cast it to, else None."""
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
    """A number; `whole` accepts only integers that fit a column of 32 bits."""
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
