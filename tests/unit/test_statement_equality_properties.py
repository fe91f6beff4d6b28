"""Statement equality agrees with a member-by-member oracle."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrs.xapi.equality import differences, digest
from tests.support.equality_oracle import IGNORED, Json, same_instant, same_statement
from tests.support.examples import examples

# Statements from a small vocabulary, so that many of them are equal


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


# Rewrites


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, tuple[Any, ...]]]:
    """Every container of a statement, with its path."""
    result = []
    if isinstance(value, dict | list):
        result.append((value, path))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in entries:
            result += nodes(item, (*path, key))
    return result


def is_in_extension(path: tuple[Any, ...]) -> bool:
    return "extensions" in path


def rewrite_equal(statement: Json, rng: random.Random) -> Json:
    """An equal statement with another spelling."""
    statement = copy.deepcopy(statement)
    for node, path in nodes(statement):
        if isinstance(node, dict):
            shuffled = list(node.items())
            rng.shuffle(shuffled)
            node.clear()
            node.update(shuffled)
            rewrite_numbers(node, rng)
            if not is_in_extension(path):
                rewrite_members(node, path, rng)
        elif path[-1] == "member" and not is_in_extension(path):
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
    """The statement with one change somewhere; it may still be equal."""
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
    """Asserts that digest, canonical form and differences agree with the oracle."""
    same = same_statement(a, b)
    assert (digest(a) == digest(b)) is same
    assert (differences(a, b) == []) is same
    return same


lax = settings(
    deadline=None, max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow]
)


@lax
@given(whole, st.randoms(use_true_random=False))
def test_rewritten_statement_is_equal(statement: Json, rng: random.Random) -> None:
    before = orjson.dumps(statement)
    assert agree(statement, rewrite_equal(statement, rng))
    assert orjson.dumps(statement) == before


@lax
@given(whole, st.randoms(use_true_random=False))
def test_changed_statement_agrees_with_the_oracle(statement: Json, rng: random.Random) -> None:
    agree(rewrite_equal(statement, rng), rewrite_different(statement, rng))


@lax
@given(whole, whole)
def test_any_two_statements_agree_with_the_oracle(a: Json, b: Json) -> None:
    agree(a, b)
    agree(a, {**b, "actor": a["actor"], "verb": a["verb"], "object": a["object"]})
    agree(
        {"actor": {"mbox": "mailto:a@b.c"}, "verb": {"id": "http://v"}, "object": a["object"]},
        {"actor": {"mbox": "mailto:a@b.c"}, "verb": {"id": "http://v"}, "object": b["object"]},
    )
