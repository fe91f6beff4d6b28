"""Rules of the Canvas callback: durations, tokens, variable substitution, statements."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrs.xapi import canvas_callbacks, canvas_launches, durations
from lrs.xapi.canvas_callbacks import NothingToCount
from lrs.xapi.canvas_launches import CallbackURLs, Launch
from lrs.xapi.durations import InvalidDuration
from lrs.xapi.validation import statement_violations
from tests.support.canvas import sign_token

KEY = b"a key of thirty-two bytes, this."
HOME = "https://partner.example"
LAUNCH = Launch("partner", "player", "42", "9", 1_700_000_000, "salt")


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P1Y2M3DT4H5M6.5S", 37_065_907), ("P1.5W", 907_200),
        ("P0.5D", 43_200), ("P1.5Y", 47_304_000), ("P0,5M", 1_314_000),("P0,5W", 302_400),
        ("PT1.5H", 5_400), ("PT1.5H0M0S", 5_400), ("PT0.0H5M", 300), ("PT1H0.5M", 3_630),
        ("P0D", 0), ("PT00010S", 10), ("PT0.499999999999999999S", 0), ("PT1.5S", 2),
        ("PT2.5S", 3), (f"PT{10**12}S", 10**12),
    ],
)  # fmt: skip
def test_duration_is_converted_to_seconds(text: str, seconds: int) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ("-PT1S", "must not be negative"),
        ("-P", "must not be negative"),
        ("PT0.5H1S", "must have a fraction in its smallest component only"),
        (f"PT{10**12 + 1}S", f"must not be longer than {10**12} seconds"),
        ("PT1M1H", "must be an ISO 8601 duration such as PT3M0S"),
        (None, "must be an ISO 8601 duration such as PT3M0S"),
        (3, "must be an ISO 8601 duration such as PT3M0S"),
    ],
)
def test_malformed_duration_raises_invalid_duration(value: object, payload: str) -> None:
    with pytest.raises(InvalidDuration, match=f"^{payload}$"):
        durations.seconds(value)


whole = st.integers(0, 9_999)
parts = st.fixed_dictionaries({}, optional=dict.fromkeys("DHMS", whole)).filter(bool)


@given(parts, st.sampled_from(".,"), st.from_regex("[0-9]{1,9}", fullmatch=True))
def test_duration_is_the_sum_of_its_parts(
    given_parts: dict[str, int], mark: str, fraction: str
) -> None:
    given_parts = {name: given_parts[name] for name in "DHMS" if name in given_parts}
    smallest = list(given_parts)[-1]
    day = f"{given_parts['D']}D" if "D" in given_parts else ""
    time = "".join(
        f"{value}{mark + fraction if name == smallest else ''}{name}"
        for name, value in given_parts.items()
        if name != "D"
    )
    text = f"P{day}{'T' + time if time else ''}"
    units = {"D": 86_400, "H": 3_600, "M": 60, "S": 1}
    total = sum(Fraction(value) * units[name] for name, value in given_parts.items())
    if smallest != "D":
        total += Fraction(f"0.{fraction}") * units[smallest]
    assert durations.seconds(text) == (2 * total + 1) // 2


@given(st.timedeltas(timedelta(0), timedelta(days=1_000)))
def test_duration_in_seconds_keeps_its_value(time: timedelta) -> None:
    seconds = int(time.total_seconds())
    assert durations.seconds(f"PT{seconds}S") == seconds


@given(st.one_of(st.text(alphabet="PTYMWDHS0123456789.,-+ ", max_size=12), st.text(max_size=20)))
def test_any_text_is_parsed_or_raises_invalid_duration(text: str) -> None:
    try:
        seconds = durations.seconds(text)
    except InvalidDuration:
        return
    assert 0 <= seconds <= 10**12
    assert text[0] == "P"
    assert text[-1] in "YMWDHS"
    assert text.isascii()


# Tokens


ids = st.text(min_size=1, max_size=255).filter(canvas_launches.is_lms_id)


@given(ids, ids, ids, ids, st.integers(0, 2**53), st.text("abcXYZ019-_", max_size=16))
def test_signed_token_round_trips_the_launch(
    partner: str, tool: str, user: str, course: str, issued_at: int, salt: str
) -> None:
    launch = Launch(partner, tool, user, course, issued_at, salt)
    token = sign_token(launch, KEY)
    assert canvas_launches.parse_token(token) == launch
    assert canvas_launches.is_signed(token, KEY)
    assert not canvas_launches.is_signed(token, KEY[::-1])
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_changed_token_is_not_signed(position: int, letter: str) -> None:
    token = sign_token(LAUNCH, KEY)
    position %= len(token)
    changed = token[:position] + letter + token[position + 1 :]
    if canvas_launches.is_signed(changed, KEY):
        assert canvas_launches.parse_token(changed) == LAUNCH  # the spare bits of base64, at most


@given(st.text(max_size=60))
def test_any_text_is_no_signed_token(text: str) -> None:
    assert canvas_launches.parse_token(text) is None
    assert not canvas_launches.is_signed(text, KEY)


@pytest.mark.parametrize(
    "payload",
    [
        "[]", "{}", '["a","b","c","d",1]', '["a","b","c","d","1","s"]', '["a","b","c",4,1,"s"]',
        '["a","b","c","d",1,"s","more"]', '["a","","c","d",1,"s"]',
        '["a","b\\u0000","c","d",1,"s"]',
        '["a","\\ud800","c","d",1,"s"]', "null", "", "\xff",
    ],
)  # fmt: skip
def test_token_with_malformed_payload_parses_to_none(payload: str) -> None:
    middle = base64.urlsafe_b64encode(payload.encode("latin-1")).decode().rstrip("=")
    head, _, mac = sign_token(LAUNCH, KEY).split(".")
    assert canvas_launches.parse_token(f"{head}.{middle}.{mac}") is None


# Substitution


URLS = CallbackURLs("https://lrs.example/x", "https://lrs.example/c")


def test_launch_variables_are_substituted() -> None:
    sent = {
        "custom_canvas_xapi_url": "$Canvas.xapi.url",
        "custom_caliper": "$Caliper.url",
        "custom_other": "$Canvas.user.id",
        "resource_link_title": "About $Canvas.xapi.url",
        "number": 7,
        "nothing": None,
    }
    assert canvas_launches.substitute_urls(sent, URLS) == {
        **sent, "custom_canvas_xapi_url": URLS.xapi, "custom_caliper": URLS.caliper,
    }  # fmt: skip
    assert canvas_launches.substitute_urls(sent, None) == sent


# Statements


def report(payload: Any) -> canvas_callbacks.CallbackReport:
    return canvas_callbacks.parse_xapi(payload, json.dumps(payload).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
MEMBERS = ("id", "actor", "verb", "result", "context", "timestamp", "version", "attachments")


@example({}, " ")
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, json_values)),
    st.text(min_size=1, max_size=40).filter(lambda url: "\0" not in url),
)
def test_any_callback_body_makes_a_valid_statement(payload: dict[str, Any], url: str) -> None:
    payload["object"] = {"id": url, "definition": payload.get("result")}
    try:
        result = report(payload)
    except InvalidDuration:
        return
    except NothingToCount:  # neither a page nor a duration
        assert not url.strip()
        return
    made = canvas_callbacks.statement(result, LAUNCH, HOME)
    assert statement_violations(made, "1.0.3") == []
    assert statement_violations(made, "2.0.0") == []
    assert made["actor"]["account"]["name"] == "42"
    assert made["context"]["extensions"][canvas_callbacks.LAUNCH] == {
        "tool": "player", "user": "42", "course": "9",
    }  # fmt: skip
    remaining = made["context"]["extensions"][canvas_callbacks.ORIGINAL]
    assert (json.loads(remaining) if isinstance(remaining, str) else remaining) == payload


def test_invalid_member_is_dropped_and_valid_members_are_kept() -> None:
    reported = {
        "verb": {"id": "http://example.com/verb", "display": "no language map"},
        "object": {"id": "http://example.com/"},
        "result": {"success": True, "completion": "perhaps", "duration": "PT1M"},
        "context": {
            "platform": "player",
            "registration": "none",
            "contextActivities": {"other": {"id": "http://example.com/o"}, "parent": "x"},
        },
    }
    made = canvas_callbacks.statement(report(reported), LAUNCH, HOME)
    assert made["verb"] == {"id": "http://example.com/verb"}
    assert made["result"] == {"success": True, "duration": "PT1M"}
    assert made["context"]["platform"] == "player"
    assert "registration" not in made["context"]
    activities = made["context"]["contextActivities"]
    assert activities["other"] == [{"id": "http://example.com/o"}]
    assert [item["id"] for item in activities["parent"]] == [f"{HOME}/courses/9"]


def test_duration_outside_xapi_syntax_is_written_in_seconds() -> None:
    reported = {"object": {"id": "http://example.com/"}, "result": {"duration": "PT1.5H0M"}}
    made = canvas_callbacks.statement(report(reported), LAUNCH, HOME)
    assert made["result"] == {"duration": "PT5400S"}


def test_object_id_without_scheme_becomes_an_iri() -> None:
    made = canvas_callbacks.statement(report({"object": {"id": "page 7/ü"}}), LAUNCH, HOME)
    assert made["object"]["id"] == f"{HOME}/contents/page%207%2F%C3%BC"


def test_report_without_page_and_duration_raises_nothing_to_count() -> None:
    with pytest.raises(NothingToCount, match=r"^object\.id or result\.duration is required"):
        report({})
    with pytest.raises(NothingToCount, match=r"^object\.@id or duration is required"):
        canvas_callbacks.parse_caliper({"@type": canvas_callbacks.VIEW_EVENT}, b"")
    assert canvas_callbacks.parse_caliper({"@type": "other"}, b"") is None


def test_statement_of_another_launch_is_not_a_retry() -> None:
    made = canvas_callbacks.statement(report({"object": {"id": "x:y"}}), LAUNCH, HOME)
    assert canvas_callbacks.is_from_launch(made, LAUNCH)
    for other in ({"user": "43"}, {"course": "8"}, {"tool": "editor"}):
        reported = {"tool": "player", "user": "42", "course": "9", **other}
        assert not canvas_callbacks.is_from_launch(
            made, Launch("partner", **reported, issued_at=1, salt="")
        )
    assert not canvas_callbacks.is_from_launch({"context": {"extensions": None}}, LAUNCH)
    assert not canvas_callbacks.is_from_launch({}, LAUNCH)
