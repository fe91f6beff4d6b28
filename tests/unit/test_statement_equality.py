"""Statement equality, digests and derived ids: examples."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest

from lrs.xapi.equality import canonical_form, derived_id, differences, digest
from lrs.xapi.statement import instant
from tests.support.equality_oracle import Json

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
def test_differences_are_listed_by_path(a: Json, b: Json, pointers: list[str]) -> None:
    assert differences({**BARE, **a}, {**BARE, **b}) == pointers


def test_number_of_differences_is_limited() -> None:
    many = {"result": {"extensions": {f"http://e/{n}": n for n in range(100)}}}
    none: Json = {"result": {"extensions": {}}}
    assert len(differences({**BARE, **many}, {**BARE, **none})) == 20


def test_numbers_are_compared_by_value() -> None:
    def of(text: str) -> bytes:
        extension = orjson.loads(text)
        return digest({**BARE, "context": {"extensions": {"http://e": extension}}})

    assert len({of("1"), of("1.0"), of("1e0"), of("10e-1")}) == 1
    assert len({of("0"), of("-0"), of("-0.0")}) == 1
    assert of("9007199254740993") != of("9007199254740992")
    assert of("123456789012345678901234567890") == of("1.2345678901234568e29")
    assert of("18446744073709551616") == of("18446744073709551616.0") != of("18446744073709551615")
    assert len({of("true"), of("1"), of('"1"'), of("[1]"), of("null"), of("{}")}) == 6


def test_deepest_accepted_nesting_is_compared() -> None:
    deep = orjson.loads("[" * 190 + "1.0" + "]" * 190)
    other = orjson.loads("[" * 190 + "1" + "]" * 190)
    a, b = ({**BARE, "context": {"extensions": {"http://e": value}}} for value in (deep, other))
    assert digest(a) == digest(b)


def test_digest_ignores_members_set_by_the_lrs() -> None:
    stored = {**BARE, "id": "x", "stored": "y", "version": "1.0.3", "authority": {}}
    assert digest(stored) == digest(BARE)
    assert len(digest(BARE)) == 16
    assert canonical_form(stored) == BARE


def test_derived_id_is_a_uuid_5_of_the_content() -> None:
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
def test_equal_instants_have_one_text(same: tuple[str, ...]) -> None:
    assert len({instant(text) for text in same}) == 1
