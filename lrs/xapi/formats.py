"""The forms in which statements are given back: xAPI 1.0.3 Communication 2.1.3, 2.0 4.1.6.1.

`exact` is the statement as stored and needs nothing from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lrs.xapi.statement import Rewriter

Json = dict[str, Any]

_IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")
_COMPONENTS = ("choices", "scale", "source", "target", "steps")
# More than anybody means; all that maps, tags and headers have room for would take minutes.
_MOST_RANGES = 50
_MOST_SUBTAGS = 10
_RANGE = re.compile(
    r"(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8}){0,9})\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)\s*)?",
    re.ASCII | re.IGNORECASE,
)


def ids(statement: Json) -> Json:
    """The statement with no more of its actors, verbs and activities than identifies them."""
    return _IDS.statement(statement)


def canonical(
    statement: Json, definitions: Mapping[str, Json | None], languages: Sequence[str]
) -> Json:
    """The statement with the LRS's own definitions, by activity id, and one language in each map.

    Where the LRS gives none, an activity keeps the one that it has.
    Language filtering is that of xAPI 1.0.3 Communication 2.1.3: each map is decided by itself.
    """

    def verb(verb: Json) -> Json:
        return _one_language(verb, ("display",), languages)

    def activity(activity: Json) -> Json:
        definition = definitions.get(activity["id"])
        if definition is None:
            definition = activity.get("definition")
        if definition is None:
            return activity
        return {**activity, "definition": _localised(definition, languages)}

    form = Rewriter(actor=_as_it_is, verb=verb, activity=activity).statement(statement)
    return _with_attachments(form, languages)


def accepted_languages(accept_language: str | None) -> list[str]:
    """The language ranges of an Accept-Language header (RFC 9110 12.5.4), the preferred first.

    What is malformed, longer than any language, or weighted with 0, is left out.
    """
    weighted = [
        (float(match[2] or 1), match[1])
        for item in (accept_language or "").split(",")
        if (match := _RANGE.fullmatch(item.strip()))
    ]
    weighted.sort(key=lambda pair: -pair[0])
    return [language for weight, language in weighted[:_MOST_RANGES] if weight > 0]


def choose_language(language_map: Mapping[str, str], languages: Sequence[str]) -> dict[str, str]:
    """The one entry that suits best: RFC 4647 3.4 lookup, widened to tags that are more precise.

    `en-US` finds `en`, `en` finds `en-US`; only when no range finds anything that way does `en-GB`
    find `en-US`. If all fails, the map's first entry is taken.
    """
    if len(language_map) < 2:
        return dict(language_map)
    tags, beginnings = _indexed(language_map)
    ranges = [language.lower() for language in languages]
    tag = _looked_up(tags, beginnings, ranges) or _related(beginnings, ranges)
    chosen = tag or next(iter(language_map))
    return {chosen: language_map[chosen]}


def _indexed(tags: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The first tag that is this but for its case, and the first that begins with this."""
    whole: dict[str, str] = {}
    beginnings: dict[str, str] = {}
    for tag in tags:
        whole.setdefault(tag.lower(), tag)
        subtags = tag.lower().split("-", _MOST_SUBTAGS)
        for count in range(1, len(subtags)):
            beginnings.setdefault("-".join(subtags[:count]), tag)
    return whole, beginnings


def _looked_up(
    tags: Mapping[str, str], beginnings: Mapping[str, str], ranges: Sequence[str]
) -> str | None:
    for wanted in ranges:
        if wanted == "*":
            return next(iter(tags.values()))
        for shorter in _truncations(wanted):
            if shorter in tags:
                return tags[shorter]
        if wanted in beginnings:
            return beginnings[wanted]
    return None


def _related(beginnings: Mapping[str, str], ranges: Sequence[str]) -> str | None:
    for wanted in ranges:
        for shorter in _truncations(wanted):
            if shorter in beginnings:
                return beginnings[shorter]
    return None


def _truncations(wanted: str) -> Iterator[str]:
    subtags = wanted.split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()


def _as_it_is(actor: Json) -> Json:
    return actor


def _id_only(identified: Json) -> Json:
    return {"id": identified["id"]}


def _identified(actor: Json) -> Json:
    kept = {key: actor[key] for key in ("objectType", *_IDENTIFIERS) if key in actor}
    if "member" in actor and not any(key in kept for key in _IDENTIFIERS):
        kept["member"] = [_identified(member) for member in actor["member"]]
    return kept


def _localised(definition: Json, languages: Sequence[str]) -> Json:
    localised = _one_language(definition, ("name", "description"), languages)
    for key in _COMPONENTS:
        if key in definition:
            localised[key] = [
                _one_language(component, ("description",), languages)
                for component in definition[key]
            ]
    return localised


def _with_attachments(statement: Json, languages: Sequence[str]) -> Json:
    if "attachments" in statement:
        statement["attachments"] = [
            _one_language(attachment, ("display", "description"), languages)
            for attachment in statement["attachments"]
        ]
    return statement


def _one_language(holder: Json, keys: Sequence[str], languages: Sequence[str]) -> Json:
    chosen = {key: choose_language(holder[key], languages) for key in keys if key in holder}
    return {**holder, **chosen}


_IDS = Rewriter(actor=_identified, verb=_id_only, activity=_id_only)
