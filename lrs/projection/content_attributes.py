"""The attributes of a content item that are read from its activity's definition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import unquote

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


def describe(definition: Json, vocabulary: Vocabulary, language: str = "en") -> Description:
    """The attributes in an activity definition; values of another type than expected are left out.

    `language` is the tag of the preferred language of texts (RFC 5646).
    `technology` is the first topic that is a technology, `topic` the first that is not.
    """
    extensions = definition.get("extensions", {})
    topics = _first(extensions, vocabulary.extensions["topics"])
    technology, topic = _split_topics(topics, vocabulary)
    attributes = {
        "description": text_in(definition.get("description"), language),
        "exercise_type": definition.get("interactionType"),
        "url": definition.get("moreInfo") or None,
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
        text_in(definition.get("name"), language),
        technology,
        topic,
        {name: value for name, value in attributes.items() if value is not None},
    )


def title_of_iri(activity_id: str) -> str:
    """The last part of an activity id, decoded: the title of a content item that nothing names.

    That is what follows the last `/` or `#`, or the last `:` of an id without them.
    """
    text = activity_id.rstrip("/#")
    part = re.split("[/#]" if re.search("[/#]", text) else ":", text)[-1]
    decoded = "".join(letter if letter.isprintable() else " " for letter in unquote(part))
    return decoded.strip() or activity_id


def _first(extensions: Json, iris: tuple[str, ...]) -> Any:
    return next((extensions[iri] for iri in iris if iri in extensions), None)


def text_in(language_map: Json | None, language: str) -> str | None:
    """The text of a language map in a language (RFC 4647 3.4, Lookup), and in any other way.

    Without the language or a variety of it: the English text, else that of no language, else the
    first one. A text of blanks is none.
    """
    texts = {tag.lower(): text for tag, text in (language_map or {}).items() if text.strip()}
    ranges = language.lower().split("-")
    for wanted in ("-".join(ranges[:length]) for length in range(len(ranges), 0, -1)):
        for tag, text in texts.items():
            if tag == wanted or tag.startswith(f"{wanted}-"):
                return str(text)
    if language != "en":
        return text_in(texts, "en")
    return texts.get("und") or next(iter(texts.values()), None)


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
