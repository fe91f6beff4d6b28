"""Statement formats `ids` and `canonical`: xAPI 1.0.3 Communication 2.1.3, xAPI 2.0 4.1.6.1.

The format `exact` is the stored text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from orjson import Fragment

from lrs.xapi.statement import Rewriter

Json = dict[str, Any]

_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")
_COMPONENTS = ("choices", "scale", "source", "target", "steps")
# Bounds for hostile headers and language maps, whose cost is quadratic.
_MAX_RANGES = 50
_MAX_SUBTAGS = 10
_RANGE = re.compile(
    r"(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8}){0,9})\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)\s*)?",
    re.ASCII | re.IGNORECASE,
)


def ids(statement: Json) -> Json:
    """The statement with only the identifying members of actors, verbs and activities."""
    return _IDS.statement(statement)


class Definitions(Protocol):
    """Merged definitions by activity id; a Fragment is the JSON text of a localized one."""

    def get(self, activity: str, /) -> Json | Fragment | None: ...


def canonical(statement: Json, definitions: Definitions, languages: Sequence[str]) -> Json:
    """The statement with the merged definitions and one language in each language map.

    An activity that is not in `definitions` keeps its own. The language of each map is chosen
    independently (xAPI 1.0.3 Communication 2.1.3).
    """

    def verb(verb: Json) -> Json:
        return _one_language(verb, ("display",), languages)

    def activity(activity: Json) -> Json:
        definition = definitions.get(activity["id"])
        if definition is None:
            definition = activity.get("definition")
        if definition is None:
            return activity
        if not isinstance(definition, Fragment):
            definition = localized(definition, languages)
        return {**activity, "definition": definition}

    form = Rewriter(actor=_unchanged, verb=verb, activity=activity).statement(statement)
    return _with_attachments(form, languages)


def accepted_languages(accept_language: str | None) -> list[str]:
    """The language ranges of an Accept-Language header (RFC 9110 12.5.4), by weight.

    Malformed ranges and ranges with weight 0 are omitted.
    """
    weighted = [
        (float(match[2] or 1), match[1])
        for item in (accept_language or "").split(",")
        if (match := _RANGE.fullmatch(item.strip()))
    ]
    weighted.sort(key=lambda pair: -pair[0])
    return [language for weight, language in weighted[:_MAX_RANGES] if weight > 0]


def choose_language(language_map: Mapping[str, str], languages: Sequence[str]) -> dict[str, str]:
    """The entry that matches best: RFC 4647 3.4 lookup, extended to more specific tags.

    `en-US` matches `en`, and `en` matches `en-US`. If no range matches, `en-GB` matches `en-US`.
    The first entry is the default.
    """
    if len(language_map) < 2:
        return dict(language_map)
    tags, prefixes = _index(language_map)
    ranges = [language.lower() for language in languages]
    tag = _lookup(tags, prefixes, ranges) or _related(prefixes, ranges)
    chosen = tag or next(iter(language_map))
    return {chosen: language_map[chosen]}


def _index(tags: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Tags by lower-case tag and by lower-case prefix; the first one of each."""
    exact: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for tag in tags:
        exact.setdefault(tag.lower(), tag)
        subtags = tag.lower().split("-", _MAX_SUBTAGS)
        for count in range(1, len(subtags)):
            prefixes.setdefault("-".join(subtags[:count]), tag)
    return exact, prefixes


def _lookup(
    tags: Mapping[str, str], prefixes: Mapping[str, str], ranges: Sequence[str]
) -> str | None:
    for language_range in ranges:
        if language_range == "*":
            return next(iter(tags.values()))
        for shorter in _truncations(language_range):
            if shorter in tags:
                return tags[shorter]
        if language_range in prefixes:
            return prefixes[language_range]
    return None


def _related(prefixes: Mapping[str, str], ranges: Sequence[str]) -> str | None:
    for language_range in ranges:
        for shorter in _truncations(language_range):
            if shorter in prefixes:
                return prefixes[shorter]
    return None


def _truncations(language_range: str) -> Iterator[str]:
    subtags = language_range.split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()


def _unchanged(actor: Json) -> Json:
    return actor


def _id_only(identified: Json) -> Json:
    return {"id": identified["id"]}


def _identified(actor: Json) -> Json:
    identifying = {key: actor[key] for key in ("objectType", *_IDENTIFIERS) if key in actor}
    if "member" in actor and not any(key in identifying for key in _IDENTIFIERS):
        identifying["member"] = [_identified(member) for member in actor["member"]]
    return identifying


def localized(definition: Json, languages: Sequence[str]) -> Json:
    """An activity definition with one language in each language map."""
    result = _one_language(definition, ("name", "description"), languages)
    for key in _COMPONENTS:
        if key in definition:
            result[key] = [
                _one_language(component, ("description",), languages)
                for component in definition[key]
            ]
    return result


def _with_attachments(statement: Json, languages: Sequence[str]) -> Json:
    if "attachments" in statement:
        statement["attachments"] = [
            _one_language(attachment, ("display", "description"), languages)
            for attachment in statement["attachments"]
        ]
    return statement


def _one_language(node: Json, keys: Sequence[str], languages: Sequence[str]) -> Json:
    chosen = {key: choose_language(node[key], languages) for key in keys if key in node}
    return {**node, **chosen}


_IDS = Rewriter(actor=_identified, verb=_id_only, activity=_id_only)
