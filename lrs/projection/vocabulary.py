"""What verbs, activity types and extensions mean: `vocabulary/default.json` and the operator's.

The operator's file has the same form, every member of it optional: its entries are laid over ours,
its lists stand before ours, and null takes an entry of ours away.
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
"""Anything that a learner does for which there is no other word."""

TRACK = "track"
"""The type of what consists of other contents."""


class InvalidVocabulary(ValueError):
    """A vocabulary that cannot be used; the message names the place and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something more that a definition's extensions tell of a content, and of which type it is."""

    name: str
    type: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Meanings, by IRI. A verb means its kind and, if it says so, success or failure."""

    verbs: Mapping[str, tuple[str, bool | None]]
    types: Mapping[str, str]
    technologies: frozenset[str]
    extensions: Mapping[str, tuple[str, ...]]
    attributes: tuple[Attribute, ...]
    sessions: Mapping[str, frozenset[str]]


def load_vocabulary(own: bytes | None = None) -> Vocabulary:
    """Ours, with the operator's own laid over it. Raises BadVocabulary."""
    return _read(_default() if own is None else _merged(_default(), _checked(own)))


@cache
def _default() -> Json:
    return resources.vocabulary("default")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(resources.vocabulary("schema"))


def _checked(text: bytes) -> Json:
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidVocabulary(f"it is not JSON: {error}") from None
    for violation in _validator().iter_errors(given):
        place = pointer(violation.instance_path) or "the document"
        raise InvalidVocabulary(f"{place}: {violation.message}")
    for name, told in given.get("attributes", {}).items():
        ours = _default()["attributes"].get(name, told)
        if told["type"] != ours["type"]:
            raise InvalidVocabulary(
                f"/attributes/{name}/type: the tables read it as {ours['type']}, not {told['type']}"
            )
    checked: Json = given
    return checked


def _merged(ours: Any, own: Any) -> Any:
    """Entries over entries, lists before lists, all else in the place of what was there."""
    if isinstance(ours, dict) and isinstance(own, dict) and "kind" not in own:
        together = {name: _merged(ours.get(name), value) for name, value in own.items()}
        return {**ours, **together}
    if isinstance(ours, list) and isinstance(own, list):
        return list(dict.fromkeys([*own, *ours]))
    return own


def _read(document: Json) -> Vocabulary:
    return Vocabulary(
        {iri: _verb(meaning) for iri, meaning in document["verbs"].items() if meaning},
        {iri: name for iri, name in document["types"].items() if name},
        frozenset(each.casefold() for each in document["technologies"]),
        {name: tuple(iris) for name, iris in document["extensions"].items()},
        tuple(
            Attribute(name, each["type"], tuple(each["extensions"]))
            for name, each in document["attributes"].items()
        ),
        {category: frozenset(verbs) for category, verbs in document["sessions"].items()},
    )


def _verb(meaning: str | Json) -> tuple[str, bool | None]:
    if isinstance(meaning, str):
        return meaning, {"passed": True, "failed": False}.get(meaning)
    kind = meaning["kind"]
    return kind, meaning.get("success", {"passed": True, "failed": False}.get(kind))
