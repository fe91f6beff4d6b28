"""The vocabulary: what verbs, activity types and extensions mean for reports.

The default is `vocabulary/default.json`. The operator's file has the same schema and overrides it:
entries replace the default ones, lists are prepended to them, and null removes an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from lrs import resources
from lrs.xapi.validation_messages import pointer

Json = dict[str, Any]

WORKED = "worked"
"""The kind of events whose verb is not in the vocabulary."""

TRACK = "track"
"""The type of content items that consist of other content items."""

REPORTED_TYPES = frozenset(
    [
        "course",
        "chapter",
        "exercise",
        "practice",
        "project",
        "assessment",
        "certification",
        "track",
        "workspace",
    ]
)
"""The types of content items that have report tables."""

_SUCCESS_OF_KIND = {"passed": True, "failed": False}


class InvalidVocabulary(ValueError):
    """A vocabulary that breaks its schema; the message has a JSON pointer and the violation."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of content items: its name, its type and the extensions that have its value.

    `type` is text, number, integer, boolean, date or timestamp; the first extension takes
    precedence.
    """

    name: str
    type: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Meanings by IRI.

    verbs         kind of event, and the success that the verb states, if any
    types         short name of the activity type
    technologies  topics that are technologies, case-folded
    extensions    IRIs by the name of the value, in the order of precedence
    attributes    attributes of content items
    sessions      verbs whose duration counts, by the IRI of a category
    """

    verbs: Mapping[str, tuple[str, bool | None]]
    types: Mapping[str, str]
    technologies: frozenset[str]
    extensions: Mapping[str, tuple[str, ...]]
    attributes: tuple[Attribute, ...]
    sessions: Mapping[str, frozenset[str]]


def load_vocabulary(custom: bytes | None = None) -> Vocabulary:
    """The default vocabulary, overridden by the operator's JSON. Raises InvalidVocabulary."""
    if custom is None:
        return _build(_default())
    return _build(_merged(_default(), _parse(custom)))


@cache
def _default() -> Json:
    return resources.vocabulary("default")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(resources.vocabulary("schema"))


def _parse(text: bytes) -> Json:
    try:
        document: Json = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidVocabulary(f"invalid JSON: {error}") from None
    for violation in _validator().iter_errors(document):
        location = pointer(violation.instance_path) or "the document"
        raise InvalidVocabulary(f"{location}: {violation.message}")
    for name, attribute in document.get("attributes", {}).items():
        expected = _default()["attributes"].get(name, attribute)["type"]
        if attribute["type"] != expected:
            raise InvalidVocabulary(
                f"/attributes/{name}/type: expected {expected}, found {attribute['type']}"
            )
    return document


def _merged(default: Any, custom: Any) -> Any:
    """Objects are merged by member, lists are prepended, other values replace the default."""
    if isinstance(default, dict) and isinstance(custom, dict) and "kind" not in custom:
        return {**default, **{name: _merged(default.get(name), custom[name]) for name in custom}}
    if isinstance(default, list) and isinstance(custom, list):
        return list(dict.fromkeys([*custom, *default]))
    return custom


def _build(document: Json) -> Vocabulary:
    return Vocabulary(
        verbs={iri: _verb(meaning) for iri, meaning in document["verbs"].items() if meaning},
        types={iri: name for iri, name in document["types"].items() if name},
        technologies=frozenset(topic.casefold() for topic in document["technologies"]),
        extensions={name: tuple(iris) for name, iris in document["extensions"].items()},
        attributes=tuple(
            Attribute(name, attribute["type"], tuple(attribute["extensions"]))
            for name, attribute in document["attributes"].items()
        ),
        sessions={category: frozenset(verbs) for category, verbs in document["sessions"].items()},
    )


def _verb(meaning: str | Json) -> tuple[str, bool | None]:
    """The kind and the success of a verb, which is a kind or an object with `kind`."""
    if isinstance(meaning, str):
        return meaning, _SUCCESS_OF_KIND.get(meaning)
    kind = meaning["kind"]
    return kind, meaning.get("success", _SUCCESS_OF_KIND.get(kind))
