"""Statement equality against a slow reading of the rules, which compares side by side."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrs.xapi.equality import canonical, derived_id, differences, digest
from lrs.xapi.statement import instant

Json = dict[str, Any]
Rule = Callable[[Any, Any], bool]

# --- the rules, read out ---------------------------------------------------------------------

IGNORED = {"id", "stored", "timestamp", "authority", "version", "attachments"}


def same_statement(a: Json, b: Json) -> bool:
    return same_parts(a, b, STATEMENT, IGNORED)


def same_parts(
    a: Json, b: Json, rules: Mapping[str, Rule], ignored: set[str] | None = None
) -> bool:
    ignored = ignored or set()
    keys = {key for key in {*a, *b} if key not in ignored}
    return all(key in a and key in b and rules.get(key, same_value)(a[key], b[key]) for key in keys)


def same_value(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_value, a, b))
    return type(a) is type(b) and bool(a == b)


def same_in_any_order(same: Rule) -> Rule:
    def compare(a: Any, b: Any) -> bool:
        left = a if isinstance(a, list) else [a]
        right = list(b) if isinstance(b, list) else [b]
        for item in left:
            found = next((i for i, other in enumerate(right) if same(item, other)), None)
            if found is None:
                return False
            right.pop(found)
        return not right

    return compare


def same_verb(a: Json, b: Json) -> bool:
    return bool(a["id"] == b["id"])


def same_actor(a: Json, b: Json) -> bool:
    if a.get("objectType", "Agent") != b.get("objectType", "Agent"):
        return False
    members = same_in_any_order(same_actor)
    return same_parts(a, b, {"member": members}, {"objectType"})


def same_object(a: Json, b: Json) -> bool:
    kind = a.get("objectType", "Activity")
    if kind != b.get("objectType", "Activity"):
        return False
    if kind == "SubStatement":
        return same_parts(a, b, {**STATEMENT, "timestamp": same_instant}, {"attachments"})
    if kind == "StatementRef":
        return same_uuid(a["id"], b["id"])
    return bool(a["id"] == b["id"]) if kind == "Activity" else same_actor(a, b)


def same_uuid(a: str, b: str) -> bool:
    return UUID(a) == UUID(b)


def same_instant(a: str, b: str) -> bool:
    return datetime.fromisoformat(a) == datetime.fromisoformat(b)


def same_duration(a: str, b: str) -> bool:
    def components(text: str) -> tuple[str, str, int]:
        head, whole, fraction = re.fullmatch(r"(.*?)(\d*)(?:[.,](\d+))?S?", text).groups()  # type: ignore[union-attr]
        return head, whole, int(f"{fraction or ''}00"[:2])

    return a == b if not (a.endswith("S") and b.endswith("S")) else components(a) == components(b)


def same_result(a: Json, b: Json) -> bool:
    return same_parts(a, b, {"duration": same_duration})


def same_context(a: Json, b: Json) -> bool:
    return same_parts(a, b, CONTEXT)


def same_context_activities(a: Json, b: Json) -> bool:
    return a.keys() == b.keys() and all(same_in_any_order(same_object)(a[k], b[k]) for k in a)


def same_context_agents(a: list[Json], b: list[Json]) -> bool:
    rules = {"agent": same_actor, "group": same_actor}
    return len(a) == len(b) and all(same_parts(x, y, rules) for x, y in zip(a, b, strict=True))


STATEMENT: dict[str, Rule] = {
    "actor": same_actor,
    "verb": same_verb,
    "object": same_object,
    "result": same_result,
    "context": same_context,
}
CONTEXT: dict[str, Rule] = {
    "registration": same_uuid,
    "statement": same_object,
    "instructor": same_actor,
    "team": same_actor,
    "contextActivities": same_context_activities,
    "contextAgents": same_context_agents,
    "contextGroups": same_context_agents,
}

# --- statements from a small vocabulary, so that many of them are equal -----------------------

few = st.integers(0, 2)
iris = few.map(lambda n: f"http://example.com/{n}")
uuids = st.sampled_from(
    ["6690e6c9-3ef0-4ed3-8b37-7f3964730bee", "6690E6C9-3EF0-4ED3-8B37-7F3964730BEE", "0" * 7 + "1"]
).map(lambda text: text if "-" in text else "00000000-0000-4000-8000-00000000000a")
numbers = st.sampled_from(
    [
        0,
        1,
        -1,
        0.0,
        -0.0,
        1.0,
        0.5,
        100,
        1e2,
        2**53,
        2**53 + 1,
        2.0**53,
        2**60,
        2**64 - 1,
        2.0**64,
        1e300,
    ]
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.sampled_from(["", "1", "a/b~c", "PT1.00S"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a/b", "~", "member", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)
extensions = st.dictionaries(iris, values, max_size=2)
durations = st.sampled_from(
    ["PT1S", "PT1.0S", "PT1.00S", "PT1,001S", "PT1.01S", "PT1.019S", "PT1.1S", "PT1.10S", "P1D"]
)
INSTANTS = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.5Z"]
instants = st.sampled_from(INSTANTS)
displays = st.dictionaries(st.sampled_from(["en", "de"]), st.sampled_from(["a", "b"]), max_size=2)


def parts(required: Json, optional: Json | None = None) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=optional or {})


def agents() -> st.SearchStrategy[Json]:
    optional = {"objectType": st.just("Agent"), "name": st.sampled_from(["A", "B"])}
    account = parts({"homePage": iris, "name": st.sampled_from(["x", "X"])})
    return parts({"mbox": few.map(lambda n: f"mailto:{n}@example.com")}, optional) | parts(
        {"account": account}, optional
    )


def groups() -> st.SearchStrategy[Json]:
    kind = st.just("Group")
    members = st.lists(agents(), max_size=3)
    return parts({"objectType": kind, "member": members}, {"name": st.just("G")}) | parts(
        {"objectType": kind, "openid": iris}, {"member": members}
    )


def activities() -> st.SearchStrategy[Json]:
    definition = parts({}, {"name": displays, "type": iris, "extensions": extensions})
    return parts({"id": iris}, {"objectType": st.just("Activity"), "definition": definition})


references = parts({"objectType": st.just("StatementRef"), "id": uuids})
verbs = parts({"id": iris}, {"display": displays})
results = parts(
    {},
    {
        "score": parts({}, {"scaled": numbers, "raw": numbers}),
        "success": st.booleans(),
        "duration": durations,
        "response": st.sampled_from(["a", "A"]),
        "extensions": extensions,
    },
)
contexts = parts(
    {},
    {
        "registration": uuids,
        "instructor": agents() | groups(),
        "team": groups(),
        "platform": st.just("p"),
        "contextActivities": st.dictionaries(
            st.sampled_from(["parent", "other"]),
            activities() | st.lists(activities(), max_size=3),
            max_size=2,
        ),
        "contextAgents": st.lists(
            parts({"objectType": st.just("contextAgent"), "agent": agents()}), max_size=2
        ),
        "contextGroups": st.lists(
            parts({"objectType": st.just("contextGroup"), "group": groups()}), max_size=2
        ),
        "statement": references,
        "extensions": extensions,
    },
)
inner_objects = (
    activities()
    | references
    | groups()
    | agents().map(lambda agent: {**agent, "objectType": "Agent"})
)
attachments = st.lists(
    parts({"usageType": iris, "sha2": st.sampled_from(["a" * 64, "A" * 64])}), max_size=2
)


def statements(
    objects: st.SearchStrategy[Json], more: Json | None = None
) -> st.SearchStrategy[Json]:
    return parts(
        {"actor": agents() | groups(), "verb": verbs, "object": objects, **(more or {})},
        {"result": results, "context": contexts, "timestamp": instants, "attachments": attachments},
    )


substatements = statements(inner_objects, {"objectType": st.just("SubStatement")})
whole = st.builds(
    lambda statement, more: {**statement, **more},
    statements(inner_objects | substatements),
    parts({}, {"id": uuids, "stored": instants, "authority": agents(), "version": iris}),
)

# --- rewrites ---------------------------------------------------------------------------------


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, tuple[Any, ...]]]:
    """Every container of a statement with the path that leads to it."""
    found = []
    if isinstance(value, dict | list):
        found.append((value, path))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in entries:
            found += nodes(item, (*path, key))
    return found


def in_free_form(path: tuple[Any, ...]) -> bool:
    return "extensions" in path


def rewrite_equal(statement: Json, rng: random.Random) -> Json:
    """The same statement, written otherwise."""
    statement = copy.deepcopy(statement)
    for node, path in nodes(statement):
        if isinstance(node, dict):
            shuffled = list(node.items())
            rng.shuffle(shuffled)
            node.clear()
            node.update(shuffled)
            rewrite_numbers(node, rng)
            if not in_free_form(path):
                rewrite_members(node, path, rng)
        elif path[-1] == "member" and not in_free_form(path):
            rng.shuffle(node)
    for key in IGNORED:
        if rng.random() < 0.3:
            statement[key] = rng.choice(["x", [], {"mbox": "mailto:z@example.com"}])
    return statement


def rewrite_numbers(node: Json, rng: random.Random) -> None:
    for key, value in node.items():
        if type(value) is int and value == float(value) and rng.random() < 0.5:
            node[key] = float(value)


def rewrite_members(node: Json, path: tuple[Any, ...], rng: random.Random) -> None:
    for key, value in node.items():
        if key in ("registration", "id") and re.fullmatch(r"[0-9A-Fa-f-]{36}", value):
            node[key] = rng.choice([value.lower(), value.upper()])
        elif key == "duration":
            node[key] = rewrite_duration(value, rng)
        elif key == "timestamp" and path:
            node[key] = rng.choice([text for text in INSTANTS if same_instant(text, value)])
        elif path[-1:] == ("contextActivities",):
            node[key] = rewrite_role(value, rng)
    if node.get("objectType") == "SubStatement" and rng.random() < 0.5:
        node["attachments"] = []
    if "mbox" in node and path and path[-1] != "object":
        node.pop("objectType", None)
    if node.get("objectType") == "Activity":
        del node["objectType"]
        node["definition"] = {"name": {"fr": str(rng.random())}}
    if path[-1:] == ("verb",):
        node["display"] = {"fr": str(rng.random())}


def rewrite_role(activities: Any, rng: random.Random) -> Any:
    if not isinstance(activities, list):
        return [activities]
    rng.shuffle(activities)
    return activities[0] if len(activities) == 1 else activities


def rewrite_duration(duration: str, rng: random.Random) -> str:
    if not duration.endswith("S"):
        return duration
    whole, *fraction = re.split("[.,]", duration[:-1])
    digits = f"{''.join(fraction)}00"[:2]
    zeros = [digits, f"{digits}{rng.randint(0, 99)}", *([digits[0]] if digits[1] == "0" else [])]
    return f"{whole}{rng.choice('.,')}{rng.choice(zeros)}S"


def rewrite_different(statement: Json, rng: random.Random) -> Json:
    """The statement with one thing changed somewhere; it may still be the same."""
    statement = copy.deepcopy(statement)
    node, _ = rng.choice(nodes(statement))
    if isinstance(node, list):
        node[:] = rng.choice([node[::-1], node + node[:1]])
        return statement
    key = rng.choice(list(node)) if node else "new"
    value = node.get(key)
    if isinstance(value, bool):
        node[key] = int(value)
    elif isinstance(value, int | float):
        node[key] = rng.choice([value + 1, str(value), bool(value)])
    elif key in ("response", "platform", "name", "mbox", "homePage") and isinstance(value, str):
        node[key] = value.swapcase() + "x"
    elif key in ("success", "score", "result", "context", "team", "instructor", "extensions"):
        del node[key]
    return statement


def agree(a: Json, b: Json) -> bool:
    """Asserts that all of the module says what the rules say."""
    same = same_statement(a, b)
    assert (digest(a) == digest(b)) is same
    assert (differences(a, b) == []) is same
    return same


lax = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@lax
@given(whole, st.randoms(use_true_random=False))
def test_a_statement_written_otherwise_is_the_same(statement: Json, rng: random.Random) -> None:
    before = orjson.dumps(statement)
    assert agree(statement, rewrite_equal(statement, rng))
    assert orjson.dumps(statement) == before


@lax
@given(whole, st.randoms(use_true_random=False))
def test_a_changed_statement_is_judged_by_the_rules(statement: Json, rng: random.Random) -> None:
    agree(rewrite_equal(statement, rng), rewrite_different(statement, rng))


@lax
@given(whole, whole)
def test_any_two_statements_are_judged_by_the_rules(a: Json, b: Json) -> None:
    agree(a, b)
    agree(a, {**b, "actor": a["actor"], "verb": a["verb"], "object": a["object"]})
    agree(
        {"actor": {"mbox": "mailto:a@b.c"}, "verb": {"id": "http://v"}, "object": a["object"]},
        {"actor": {"mbox": "mailto:a@b.c"}, "verb": {"id": "http://v"}, "object": b["object"]},
    )


BARE: Json = {
    "actor": {"mbox": "mailto:a@example.com"},
    "verb": {"id": "http://example.com/v"},
    "object": {"id": "http://example.com/o"},
}


@pytest.mark.parametrize(
    ("a", "b", "pointers"),
    [
        ({"result": {"duration": "PT1.239S"}}, {"result": {"duration": "PT1.23S"}}, []),
        ({"result": {"duration": "PT1.00S"}}, {"result": {"duration": "PT1S"}}, []),
        ({"result": {"duration": "PT60S"}}, {"result": {"duration": "PT1M"}}, ["/result/duration"]),
        ({"result": {"score": {"raw": 1}}}, {"result": {"score": {"raw": 1.0}}}, []),
        ({"result": {"success": True}}, {}, ["/result"]),
        (
            {"context": {"extensions": {"http://e/~": {"a": True, "b": 1}}}},
            {"context": {"extensions": {"http://e/~": {"a": 1, "b": 1.0}}}},
            ["/context/extensions/http:~1~1e~1~0/a"],
        ),
        (
            {"result": {"extensions": {"http://e": [1, [2, 3]]}}},
            {"result": {"extensions": {"http://e": [1, [3, 2]]}}},
            ["/result/extensions/http:~1~1e"],
        ),
        (
            {"verb": {"id": "http://example.com/V"}, "actor": {"mbox": "mailto:A@example.com"}},
            {},
            ["/actor/mbox", "/verb/id"],
        ),
        (
            {"object": {"objectType": "Agent", "mbox": "mailto:a@example.com"}},
            {},
            ["/object/id", "/object/mbox", "/object/objectType"],
        ),
    ],
)
def test_differences(a: Json, b: Json, pointers: list[str]) -> None:
    assert differences({**BARE, **a}, {**BARE, **b}) == pointers


def test_differences_are_not_endless() -> None:
    many = {"result": {"extensions": {f"http://e/{n}": n for n in range(100)}}}
    none: Json = {"result": {"extensions": {}}}
    assert len(differences({**BARE, **many}, {**BARE, **none})) == 20


def test_numbers_are_compared_by_value_as_they_are_read() -> None:
    def of(text: str) -> bytes:
        extension = orjson.loads(text)
        return digest({**BARE, "context": {"extensions": {"http://e": extension}}})

    assert len({of("1"), of("1.0"), of("1e0"), of("10e-1")}) == 1
    assert len({of("0"), of("-0"), of("-0.0")}) == 1
    assert of("9007199254740993") != of("9007199254740992")
    assert of("123456789012345678901234567890") == of("1.2345678901234568e29")
    assert of("18446744073709551616") == of("18446744073709551616.0") != of("18446744073709551615")
    assert len({of("true"), of("1"), of('"1"'), of("[1]"), of("null"), of("{}")}) == 6


def test_the_deepest_nesting_that_is_read_is_compared() -> None:
    deep = orjson.loads("[" * 190 + "1.0" + "]" * 190)
    other = orjson.loads("[" * 190 + "1" + "]" * 190)
    a, b = ({**BARE, "context": {"extensions": {"http://e": value}}} for value in (deep, other))
    assert digest(a) == digest(b)


def test_a_digest_has_sixteen_bytes_and_ignores_what_the_lrs_sets() -> None:
    stored = {**BARE, "id": "x", "stored": "y", "version": "1.0.3", "authority": {}}
    assert digest(stored) == digest(BARE)
    assert len(digest(BARE)) == 16
    assert canonical(stored) == BARE


def test_a_derived_id_is_of_version_8_and_follows_the_content() -> None:
    sent = {**BARE, "timestamp": "2026-01-01T00:00:00Z"}
    first = derived_id(sent, None)
    assert UUID(first).version == 5
    assert UUID(first).variant == "specified in RFC 4122"
    for timestamp in ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000Z"):
        assert derived_id({**sent, "timestamp": timestamp}, None) == first
    attached = {**sent, "attachments": [{"sha2": "ab"}]}
    assert derived_id(attached, None) == derived_id({**sent, "attachments": [{"sha2": "AB"}]}, None)
    others = [
        derived_id({**sent, "timestamp": "2026-01-01T00:00:00.001Z"}, None),
        derived_id({**sent, "verb": {"id": "http://example.com/w"}}, None),
        derived_id(attached, None),
        derived_id(sent, "acme"),
        derived_id(sent, ""),
    ]
    assert len({first, *others}) == 6


@pytest.mark.parametrize(
    "same",
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+0000", "2026-01-01T00:00:00,000+00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02", "2025-12-31T22:00:00-0200"),
        ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.123456Z"),
    ],
)
def test_an_instant_has_one_text(same: tuple[str, ...]) -> None:
    assert len({instant(text) for text in same}) == 1
