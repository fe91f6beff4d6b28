"""Rules of documents: parameters, preconditions, merging."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrs.errors import (
    BadRequest,
    ConcurrencyConflict,
    InvalidParameter,
    LRSError,
    MalformedJSON,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
)
from lrs.xapi import documents, preconditions
from lrs.xapi.documents import ACTIVITY_PROFILE, AGENT_PROFILE, JSON, STATE, Document, Kind
from lrs.xapi.validation import Version

ACTIVITY = ("activityId", "http://example.com/a")
AGENT = ("agent", '{"mbox":"mailto:a@example.com"}')
REGISTRATION = ("registration", "6E8B0C3A-2B6F-4B0E-9E8A-0A1B2C3D4E5F")
STATE_ID = ("stateId", "bookmark")
SINCE = ("since", "2024-05-13T14:25:00+02:00")

LIMIT = 1_000_000
PLAIN = Document.of(b"abc", "text/plain")
OBJECT = Document.of(b"{}", JSON)
ETAG = f'"{OBJECT.etag}"'


def named(kind: Kind, method: str, *parameters: tuple[str, str]) -> set[str]:
    """The parameters that the error names."""
    with pytest.raises(InvalidParameter) as caught:
        documents.parse(parameters, kind, method)
    assert all(violation.pointer in caught.value.detail for violation in caught.value.violations)
    return {violation.pointer for violation in caught.value.violations}


def test_state_parameters_are_parsed() -> None:
    requested = documents.parse([ACTIVITY, AGENT, REGISTRATION, STATE_ID], STATE, "GET")
    assert requested.document_id == "bookmark"
    assert requested.scope.activity == "http://example.com/a"
    assert requested.scope.agent == "mbox mailto:a@example.com"
    assert requested.scope.registration == REGISTRATION[1].lower()


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "GET"])
def test_missing_parameters_are_reported(method: str) -> None:
    by_id = {"GET": set(), "DELETE": set()}.get(method, {"stateId"})
    assert named(STATE, method, REGISTRATION) == {"activityId", "agent", *by_id}
    by_id = set() if method == "GET" else {"profileId"}
    assert named(AGENT_PROFILE, method, ("foo", "")) == {"agent", "foo", *by_id}
    assert named(ACTIVITY_PROFILE, method, ("foo", "")) == {"activityId", "foo", *by_id}


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [(STATE, (ACTIVITY, AGENT)), (AGENT_PROFILE, (AGENT,)), (ACTIVITY_PROFILE, (ACTIVITY,))],
)
def test_unknown_repeated_and_misplaced_parameters_are_reported(
    kind: Kind, parameters: tuple[tuple[str, str], ...]
) -> None:
    one = (kind.id_parameter, "x")
    assert named(kind, "GET", *parameters, *parameters) == {name for name, _ in parameters}
    assert named(kind, "GET", *parameters, (kind.id_parameter.lower(), "x")) == {
        kind.id_parameter.lower()
    }
    assert named(kind, "GET", *parameters, one, SINCE) == {"since"}
    for method in ("PUT", "POST", "DELETE"):
        assert named(kind, method, *parameters, one, SINCE) == {"since"}
    if kind is not STATE:
        assert named(kind, "GET", *parameters, REGISTRATION) == {"registration"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("activityId", "true"),
        ("activityId", "a b:c"),
        ("activityId", ""),
        ("agent", "true"),
        ("agent", "not JSON"),
        ("agent", '{"mbox":"mailto:a@example.com"'),
        ("agent", '{"name":"nobody"}'),
        ("agent", '{"mbox":"mailto:a@example.com","mbox":"mailto:b@example.com"}'),
        ("agent", '{"mbox":"mailto:a@example.com","openid":"http://a.example.com"}'),
        ("agent", '{"objectType":"Group","member":[{"mbox":"mailto:a@example.com"}]}'),
        ("agent", '{"account":{"homePage":"http://a.example.com","name":"a\\u0000"}}'),
        ("registration", "true"),
        ("registration", "6e8b0c3a-2b6f-4b0e-9e8a-0a1b2c3d4e5"),
        ("stateId", ""),
        ("stateId", "a\0b"),
        ("since", "true"),
        ("since", "2024-05-13T14:25:00"),
    ],
)
def test_malformed_parameter_is_reported(name: str, text: str) -> None:
    value = dict([ACTIVITY, AGENT, REGISTRATION])
    assert named(STATE, "GET", *{**value, name: text}.items()) == {name}


def test_agent_is_identified_by_its_identifier_alone() -> None:
    def scope(agent: str) -> Any:
        return documents.parse([("agent", agent)], AGENT_PROFILE, "GET").scope

    assert scope('{"mbox":"mailto:a@b.example","name":"A"}') == scope(
        '{"objectType":"Group","mbox":"mailto:a@b.example"}'
    )
    assert scope('{"mbox":"mailto:a@b.example"}').key != scope('{"mbox":"mailto:b@b.example"}').key


def test_registrations_of_one_activity_and_agent_share_their_scope_key() -> None:
    without = documents.parse([ACTIVITY, AGENT], STATE, "GET").scope
    within = documents.parse([ACTIVITY, AGENT, REGISTRATION], STATE, "GET").scope
    assert without.key == within.key
    assert without.document_key("x") != within.document_key("x")
    assert without.key != documents.parse([ACTIVITY], ACTIVITY_PROFILE, "GET").scope.key


def test_etag_is_the_sha1_of_the_bytes() -> None:
    assert PLAIN.etag == "a9993e364706816aba3e25717850c26c9cd0d89d"


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        (["*"], True),
        ([" * "], True),
        ([ETAG], True),
        (['"1234"'], False),
        ([f'"1234", {ETAG}'], True),
        ([f'"1234",,{ETAG} , '], True),
        (['"1234"', ETAG], True),
        (['"a,b"'], False),
        ([OBJECT.etag], True),
        ([ETAG.upper()], False),
        (['""'], False),
        ([""], False),
    ],
)
def test_entity_tags_are_compared(lines: list[str], holds: bool) -> None:
    result = preconditions.parse(lines, [])
    assert result
    if holds:
        result.check(OBJECT.etag)
    else:
        with pytest.raises(PreconditionFailed):
            result.check(OBJECT.etag)
    with pytest.raises(PreconditionFailed):
        result.check(None)

    result = preconditions.parse([], lines)
    result.check(None)
    assert result.not_modified(OBJECT.etag) is holds
    if holds:
        with pytest.raises(PreconditionFailed, match=OBJECT.etag):
            result.check(OBJECT.etag)
    else:
        result.check(OBJECT.etag)


def test_weak_etag_matches_like_a_strong_one() -> None:
    """A proxy that compresses a response marks its ETag as weak."""
    preconditions.parse([f"W/{ETAG}"], []).check(OBJECT.etag)
    with pytest.raises(PreconditionFailed):
        preconditions.parse([f"W/{ETAG}"], []).check("another")
    assert preconditions.parse([], [f"W/{ETAG}"]).not_modified(OBJECT.etag)


@pytest.mark.parametrize(
    "form",
    ['"{}-gzip"', 'W/"{}-gzip"', '"{}--gzip"', '"{};gzip"', '"{}-br"', 'w/"{}"', '"x", "{}-zstd"'],
)
def test_etag_with_the_suffix_of_a_compressing_proxy_matches(form: str) -> None:
    """Apache's mod_deflate adds -gzip, Jetty --gzip."""
    tag = form.format(OBJECT.etag)
    preconditions.parse([tag], []).check(OBJECT.etag)
    assert preconditions.parse([], [tag]).not_modified(OBJECT.etag)
    with pytest.raises(PreconditionFailed):
        preconditions.parse([form.format("0" * 40)], []).check(OBJECT.etag)


@pytest.mark.parametrize("form", ["{}", '"{}"', '""{}""', 'W/""{}""', '"x", ""{}"" ,""'])
def test_etag_with_any_number_of_quotes_matches(form: str) -> None:
    """Clients send the SHA-1 of a document without quotes, or quote the header ETag again."""
    tags = preconditions.parse([form.format(OBJECT.etag)], [])
    tags.check(OBJECT.etag)
    with pytest.raises(PreconditionFailed):
        tags.check("another")


@pytest.mark.parametrize("line", ['"', 'a"b"', '"a" "b"', '*, "a"', '"a", *', "**", '"a\u20acb"'])
def test_malformed_etag_list_is_refused(line: str) -> None:
    with pytest.raises(BadRequest, match="If-Match"):
        preconditions.parse([line], [])


def test_long_etag_list_is_parsed_in_linear_time() -> None:
    for line in (" " * 60_000 + '"', "a" * 60_000 + '"', '"a" ,' * 12_000 + '"'):
        with pytest.raises(BadRequest):
            preconditions.parse(["x," + line], [])


def test_no_headers_mean_no_preconditions() -> None:
    result = preconditions.parse([], [])
    assert not result
    result.check(None)
    result.check(OBJECT.etag)
    assert not result.not_modified(OBJECT.etag)


@pytest.mark.parametrize(
    ("version", "kind", "result", "refused"),
    [
        ("1.0.3", STATE, None, None),
        ("1.0.3", STATE, PLAIN, None),
        ("1.0.3", AGENT_PROFILE, None, BadRequest),
        ("1.0.3", AGENT_PROFILE, PLAIN, ConcurrencyConflict),
        ("1.0.3", ACTIVITY_PROFILE, None, BadRequest),
        ("1.0.3", ACTIVITY_PROFILE, PLAIN, ConcurrencyConflict),
        ("2.0.0", STATE, None, None),
        ("2.0.0", STATE, PLAIN, ConcurrencyConflict),
        ("2.0.0", AGENT_PROFILE, None, None),
        ("2.0.0", AGENT_PROFILE, PLAIN, ConcurrencyConflict),
        ("2.0.0", ACTIVITY_PROFILE, None, None),
        ("2.0.0", ACTIVITY_PROFILE, PLAIN, ConcurrencyConflict),
    ],
)
def test_put_without_preconditions_is_checked_by_version_and_kind(
    version: Version, kind: Kind, result: Document | None, refused: type[LRSError] | None
) -> None:
    nothing = preconditions.parse([], [])
    if refused is None:
        documents.check_put(kind, version, nothing, result)
        return
    with pytest.raises(refused, match="If-Match") as caught:
        documents.check_put(kind, version, nothing, result)
    assert type(caught.value) is refused


def merge(stored: bytes, sent: bytes) -> bytes:
    return documents.merge(Document.of(stored, JSON), Document.of(sent, JSON), LIMIT).content


def test_merge_replaces_members_and_keeps_the_text_of_others() -> None:
    stored = b'{"x": {"a" : 1}, "big": 12345678901234567890123, "f": 1.50, "t":"\\u00e9\\u0000"}'
    assert merge(stored, b'{"x":{"b":2},"z":1E2}') == (
        b'{"x":{"b":2},"big":12345678901234567890123,"f":1.50,"t":"\\u00e9\\u0000","z":1E2}'
    )


def test_merge_keeps_the_stored_content_type() -> None:
    stored = Document.of(b'{"a":1}', "Application/JSON; charset=utf-8")
    merged = documents.merge(stored, OBJECT, LIMIT)
    assert merged == stored


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{", b'{"a":1,"\\u0061":2}', b'{"a":NaN}'])
def test_merge_of_other_json_than_objects_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedJSON, match="The stored document"):
        merge(text, b"{}")
    with pytest.raises(MalformedJSON, match="The sent document"):
        merge(b"{}", text)
    with pytest.raises(MalformedJSON, match="The sent document"):
        documents.check_post(Document.of(text, JSON))
    documents.check_post(Document.of(text, "text/plain"))


@pytest.mark.parametrize(
    ("stored", "sent", "named"), [(PLAIN, OBJECT, "stored"), (OBJECT, PLAIN, "sent")]
)
def test_merge_of_other_media_types_is_refused(
    stored: Document, sent: Document, named: str
) -> None:
    with pytest.raises(UnsupportedMediaType, match=f"{named} document is text/plain"):
        documents.merge(stored, sent, LIMIT)


def test_merge_beyond_the_size_limit_raises_too_large() -> None:
    stored, sent = Document.of(b'{"a":1}', JSON), Document.of(b'{"b":2}', JSON)
    assert documents.merge(stored, sent, 13).content == b'{"a":1,"b":2}'
    with pytest.raises(TooLarge, match="12 bytes"):
        documents.merge(stored, sent, 12)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["", "a", "b", "\u00e9", '"', "\\"]) | st.text()
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=5)


@given(_OBJECTS, _OBJECTS, st.booleans(), st.sampled_from([None, 0, 2]))
def test_merge_equals_dict_update(
    stored: dict[str, Any], sent: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    texts = [
        json.dumps(item, ensure_ascii=ascii_only, indent=indent).encode() for item in (stored, sent)
    ]
    merged = json.loads(merge(*texts))
    assert merged == {**stored, **sent}
    assert list(merged) == list({**stored, **sent})
