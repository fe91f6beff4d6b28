"""Hypothesis strategies for xAPI: valid statements and their parts, mutations of them, any JSON.

statements("1.0.3")          statements that a store of that version must accept
mutated(statements("2.0.0")) the same with one to three members dropped, renamed, replaced, added
json_values()                whatever orjson.loads could return
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
SIGNATURE = "http://adlnet.gov/expapi/attachments/signature"

EDGE_CASES: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 1.5, -0.0, 1e300, 2**53, 2**64, 2**70, -(2**70),
    "", "x", " ", "\n", "\0", "a\0b", "ü", "𝄞", "true", "100", "x" * 2000,
    "Agent", "agent", "Group", "Activity", "SubStatement", "StatementRef", "contextAgent",
    "http://example.com/", "http://example.com/\n", "http://a b/", "ab=c://x", "1a:b", "a:", "a:b",
    "mailto:a@b", "mailto:a@b\n", "mailto:a", "mailto:a@b@c", VOIDED, SIGNATURE,
    "2026-05-08T14:44:01.267Z", "2026-02-30T00:00:00Z", "2026-05-08T14:44:01", "2026-05-08",
    "2026-05-08T14:44:01-00:00", "2026-05-08T14:44:60Z", "0000-01-01T00:00:00Z",
    "2026-05-08T14:44:01Z\n", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
    "P", "PT", "P1W", "P1W1D", "PT1.5H30M", "P1Y2M3DT4H5M6.789S", "1.0", "1.0.3", "1.1.0", "2.0.0",
    "en", "en_US", "zh-Hans-CN", "i-klingon", "x-", "e",
    "6690e6c9-3ef0-4ed3-8b37-7f3964730bee", "6690e6c9-3ef0-4ed3-8b37-7f3964730bee\n",
    [], {}, [None], [[]], [{}], {"a": None}, {"": {}}, {"id": "a:b"}, {"\0": 1}, {"a/b~c": 1},
    {"objectType": "Group"}, {"objectType": "Agent", "mbox": "mailto:a@b"}, {"mbox": "mailto:a@b"},
    {"objectType": "StatementRef", "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"},
    {"objectType": "Group", "mbox": "mailto:a@b", "openid": "http://a.example/"},
]  # fmt: skip

NAMES = [
    "id", "iD", "actor", "verb", "object", "objectType", "result", "context", "member", "mbox",
    "openid", "account", "name", "definition", "extensions", "choices", "interactionType",
    "contextAgents", "revision", "platform", "authority", "stored", "version", "", "\0", "a/b~c",
    "en", "en_US", "http://example.com/key",
]  # fmt: skip


def _object(required: dict[str, Strategy], optional: dict[str, Strategy] | None = None) -> Strategy:
    return st.fixed_dictionaries(required, optional=optional or {})


@cache
def texts(**limits: int) -> st.SearchStrategy[str]:
    alphabet = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    return st.text(alphabet, **{"max_size": 8, **limits})


@cache
def numbers() -> Strategy:
    return st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@cache
def json_values(max_leaves: int = 12) -> Strategy:
    leaves = st.none() | st.booleans() | numbers() | texts() | st.sampled_from(EDGE_CASES)
    keys = texts() | st.sampled_from(NAMES)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=max_leaves,
    )


@cache
def storable_values() -> Strategy:
    leaves = st.none() | st.booleans() | numbers() | texts()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=4,
    )


@cache
def uuids() -> st.SearchStrategy[str]:
    return st.uuids().map(str) | st.uuids().map(lambda value: str(value).upper())


@cache
def iris() -> st.SearchStrategy[str]:
    scheme = st.sampled_from(["http", "https", "urn", "tag", "a+b.c-1"])
    word = st.text("abcXYZ019-._~:/?#[]@!$&'()*+,;=%äß漢", min_size=1, max_size=12)
    return st.builds(lambda head, tail: f"{head}:{tail}", scheme, word)


@cache
def language_tags() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ["de", "en-US", "cmn", "ase", "zh-Hant", "sr-Latn-RS", "zh-Hans-CN", "es-419", "sl-nedis",
         "de-CH-1901", "en-a-bbb-x-a-ccc", "x-whatever", "i-klingon", "und", "zh-cmn-Hans-CN"]
    )  # fmt: skip


@cache
def language_maps() -> Strategy:
    return st.dictionaries(language_tags(), texts(), max_size=2)


@cache
def extensions() -> Strategy:
    return st.dictionaries(iris(), storable_values(), max_size=2)


@cache
def timestamps() -> st.SearchStrategy[str]:
    offset = st.sampled_from(["Z", "+00:00", "-05:00", "+0530", "+01", "-00:30"])
    moment = st.datetimes(timezones=st.none()).filter(lambda value: 1 < value.year < 9999)
    fraction = st.sampled_from(["", ".1", ".267", ".123456789"])
    return st.builds(
        lambda value, part, zone: value.replace(microsecond=0).isoformat() + part + zone,
        moment, fraction, offset,
    )  # fmt: skip


@cache
def durations() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ["PT4H35M59.14S", "P3Y", "P3Y1M29DT4H35M59.14S", "P4W", "PT0S", "PT1.5M", "P0,5D", "P1YT1H"]
    )


@cache
def identifiers() -> Strategy:
    """Exactly one inverse functional identifier, as an object to be merged into an actor."""
    account = _object({"homePage": iris(), "name": texts()})
    return st.one_of(
        st.builds(
            lambda user: {"mbox": f"mailto:{user}@example.com"}, st.text("abc.+-", min_size=1)
        ),
        st.binary(min_size=20, max_size=20).map(lambda raw: {"mbox_sha1sum": raw.hex()}),
        iris().map(lambda iri: {"openid": iri}),
        account.map(lambda value: {"account": value}),
    )


def _merged(*parts: Strategy) -> Strategy:
    return st.tuples(*parts).map(lambda dicts: {k: v for part in dicts for k, v in part.items()})


@cache
def agents(*, typed: bool = False) -> Strategy:
    kind = {"objectType": st.just("Agent")}
    body = _object(kind, {"name": texts()}) if typed else _object({}, {**kind, "name": texts()})
    return _merged(body, identifiers())


@cache
def groups() -> Strategy:
    members = st.lists(agents(), max_size=3)
    kind = {"objectType": st.just("Group")}
    anonymous = _object({**kind, "member": members}, {"name": texts()})
    identified = _merged(_object(kind, {"name": texts(), "member": members}), identifiers())
    return anonymous | identified


@cache
def actors() -> Strategy:
    return agents() | groups()


@cache
def authorities() -> Strategy:
    members = st.lists(agents(), min_size=2, max_size=2)
    return agents() | _object({"objectType": st.just("Group"), "member": members})


@cache
def verbs() -> Strategy:
    ids = iris().filter(lambda iri: iri != VOIDED)
    return _object({"id": ids}, {"display": language_maps()})


@cache
def definitions() -> Strategy:
    plain = {
        "name": language_maps(), "description": language_maps(), "type": iris(),
        "moreInfo": iris(), "extensions": extensions(),
    }  # fmt: skip
    component = _object({"id": texts()}, {"description": language_maps()})
    components = st.lists(component, max_size=3, unique_by=lambda value: value["id"])
    kinds = ["true-false", "choice", "fill-in", "long-fill-in", "matching", "performance",
             "sequencing", "likert", "numeric", "other"]  # fmt: skip
    interaction = {
        "correctResponsesPattern": st.lists(texts(), max_size=2),
        **dict.fromkeys(("choices", "scale", "source", "target", "steps"), components),
    }
    return _object({}, plain) | _object(
        {"interactionType": st.sampled_from(kinds)}, {**plain, **interaction}
    )


@cache
def activities() -> Strategy:
    return _object({"id": iris()}, {"objectType": st.just("Activity"), "definition": definitions()})


@cache
def statement_refs() -> Strategy:
    return _object({"objectType": st.just("StatementRef"), "id": uuids()})


def scores() -> Strategy:
    names = st.sets(st.sampled_from(["scaled", "raw", "min", "max"]))
    return st.builds(_score, st.lists(numbers(), min_size=3, max_size=3), st.floats(-1, 1), names)


def _score(three: list[float], scaled: float, names: set[str]) -> Json:
    low, raw, high = sorted(three)
    score = {"scaled": scaled, "raw": raw, "min": low, "max": high}
    return {name: score[name] for name in sorted(names) if name != "min" or low < high}


@cache
def results() -> Strategy:
    return _object(
        {},
        {
            "score": scores(), "success": st.booleans(), "completion": st.booleans(),
            "response": texts(), "duration": durations(), "extensions": extensions(),
        },
    )  # fmt: skip


@cache
def context_activities() -> Strategy:
    value = activities() | st.lists(activities(), max_size=2)
    return _object({}, dict.fromkeys(("parent", "grouping", "category", "other"), value))


@cache
def contexts(version: str, *, on_activity: bool) -> Strategy:
    members: dict[str, Strategy] = {
        "registration": uuids(), "instructor": actors(), "team": groups(),
        "contextActivities": context_activities(), "language": language_tags(),
        "statement": statement_refs(), "extensions": extensions(),
    }  # fmt: skip
    if on_activity:
        members |= {"revision": texts(), "platform": texts()}
    if version == "2.0.0":
        types = {"relevantTypes": st.lists(iris(), min_size=1, max_size=2)}
        for kind, part in (("Agent", agents()), ("Group", groups())):
            entry = _object({"objectType": st.just(f"context{kind}"), kind.lower(): part}, types)
            members[f"context{kind}s"] = st.lists(entry, max_size=2)
    return _object({}, members)


@cache
def attachments() -> Strategy:
    """An attachment with a fileUrl, so that the statement can be sent as plain JSON."""
    required = {
        "usageType": iris(), "display": language_maps(), "fileUrl": iris(),
        "contentType": st.sampled_from(["text/plain", "application/pdf", "text/a; charset=utf-8"]),
        "length": st.integers(0, 10**6) | st.just(3.0),
        "sha2": st.sampled_from(["0123456789abcdef" * 4, "A" * 96, "9" * 128]),
    }  # fmt: skip
    return _object(required, {"description": language_maps()})


@cache
def _parts(version: str, target: Strategy, *, on_activity: bool, top: bool) -> Strategy:
    optional = {
        "result": results(), "context": contexts(version, on_activity=on_activity),
        "timestamp": timestamps(), "attachments": st.lists(attachments(), max_size=2),
    }  # fmt: skip
    if top:
        versions = ["1.0", "1.0.0", "1.0.3"] + (["2.0", "2.0.0"] if version == "2.0.0" else [])
        optional |= {
            "id": uuids(), "stored": timestamps(), "authority": authorities(),
            "version": st.sampled_from(versions),
        }  # fmt: skip
    return _object({"actor": actors(), "verb": verbs(), "object": target}, optional)


def _on_any(version: str, others: Strategy, *, top: bool) -> Strategy:
    on_activity = _parts(version, activities(), on_activity=True, top=top)
    return on_activity | _parts(version, others, on_activity=False, top=top)


@cache
def sub_statements(version: str = "1.0.3") -> Strategy:
    others = agents(typed=True) | groups() | statement_refs()
    part = _on_any(version, others, top=False)
    return part.map(lambda value: {"objectType": "SubStatement", **value})


@cache
def statements(version: str = "1.0.3") -> Strategy:
    """A valid statement of one version: any object, every optional member now and then."""
    others = agents(typed=True) | groups() | statement_refs() | sub_statements(version)
    voiding = _parts(version, statement_refs(), on_activity=False, top=True).map(
        lambda value: value | {"verb": {"id": VOIDED}}
    )
    return st.one_of(_on_any(version, others, top=True), voiding)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    result: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            result.append((value, key))
            result.extend(_places(value[key]))
    return result


@st.composite
def mutated(draw: st.DrawFn, values: Strategy) -> Any:
    """A value of `values` after one to three changes at random depth; it may still be valid."""
    value = copy.deepcopy(draw(values))
    for _ in range(draw(st.integers(1, 3))):
        positions = _places(value)
        if not positions:
            break
        container, key = draw(st.sampled_from(positions))
        _change(draw, container, key)
    return value


def _change(draw: st.DrawFn, container: Any, key: Any) -> None:
    change = draw(st.sampled_from(["drop", "replace", "rename", "add", "copy"]))
    if change == "drop":
        del container[key]
    elif change == "replace" or isinstance(container, list):
        container[key] = copy.deepcopy(draw(st.sampled_from(EDGE_CASES)))
    elif change == "rename":
        new = draw(st.sampled_from([key.upper(), key.capitalize(), f"{key} ", *NAMES]))
        container[new] = container.pop(key)
    elif change == "add":
        container[draw(st.sampled_from(NAMES))] = copy.deepcopy(draw(st.sampled_from(EDGE_CASES)))
    else:
        container[draw(st.sampled_from(NAMES))] = copy.deepcopy(container[key])
