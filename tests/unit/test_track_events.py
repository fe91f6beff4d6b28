"""Conversion of track events to statements."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lrs.errors import InvalidStatement
from lrs.xapi import track_events, validation
from lrs.xapi.statement import TRACK_EVENT

Event = dict[str, Any]

HOME = "https://lrs.example.com"
SAMPLE: Event = {
    "content_id": "ext-101-cloud-basics",
    "user": "john.doe@company.com",
    "status": "completed",
    "event_date": "2024-05-13T14:25:00Z",
    "completion_percentage": 100,
    "duration_spent": 1200,
}


def convert(**changed: Any) -> dict[str, Any]:
    return track_events.statement({**SAMPLE, **changed}, organization=None, home_page=HOME)


def test_vendor_example_becomes_a_statement() -> None:
    assert convert() == {
        "id": track_events.event_id(SAMPLE, None),
        "actor": {"objectType": "Agent", "mbox": "mailto:john.doe@company.com"},
        "verb": {
            "id": "http://adlnet.gov/expapi/verbs/completed",
            "display": {"en-US": "completed"},
        },
        "object": {
            "objectType": "Activity",
            "id": "https://lrs.example.com/contents/ext-101-cloud-basics",
            "definition": {"type": "http://adlnet.gov/expapi/activities/course"},
        },
        "result": {
            "completion": True,
            "duration": "PT1200S",
            "extensions": {"https://w3id.org/xapi/cmi5/result/extensions/progress": 100},
        },
        "context": {"extensions": {"urn:x-lrs:track-event": SAMPLE}},
        "timestamp": "2024-05-13T14:25:00Z",
    }


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        ("started", "https://activitystrea.ms/schema/1.0/start"),
        ("in_progress", "http://adlnet.gov/expapi/verbs/progressed"),
        ("in-progress", "http://adlnet.gov/expapi/verbs/progressed"),
    ],
)
def test_absent_members_are_omitted_from_the_statement(status: str, verb: str) -> None:
    statement = convert(status=status, completion_percentage=None, duration_spent=None)
    assert statement["verb"]["id"] == verb
    assert "result" not in statement


def test_original_event_is_kept_with_metadata_and_nulls() -> None:
    event = {**SAMPLE, "grade": {"letter": None}, "orgid": None}
    remaining = copy.deepcopy(event)
    statement = track_events.statement(event, organization=None, home_page=HOME)
    assert statement["context"]["extensions"][TRACK_EVENT] == remaining


@pytest.mark.parametrize(
    ("seconds", "duration"),
    [
        (0, "PT0S"),
        (0.0, "PT0S"),
        (-0.0, "PT0S"),
        (90, "PT90S"),
        (90.0, "PT90S"),
        (90.5, "PT90.5S"),
        (90.129, "PT90.12S"),
        (0.004, "PT0S"),
        (1e-9, "PT0S"),
        (1e14, "PT100000000000000S"),
        (123456789012345, "PT123456789012345S"),
    ],
)
def test_duration_spent_becomes_an_iso_duration(seconds: float, duration: str) -> None:
    assert convert(duration_spent=seconds)["result"]["duration"] == duration


@pytest.mark.parametrize("seconds", [1e15, 2**64 - 1, 1e300])
def test_absurd_duration_is_omitted(seconds: float) -> None:
    assert "duration" not in convert(duration_spent=seconds)["result"]


@pytest.mark.parametrize(
    "user", ["john.doe+x@company.com", "o'neil@a-b.co.uk", "jörg@müller.example", "a_b@c.de"]
)
def test_email_user_becomes_an_mbox(user: str) -> None:
    assert convert(user=user)["actor"] == {"objectType": "Agent", "mbox": f"mailto:{user}"}


@pytest.mark.parametrize(
    "user",
    [
        "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
        "emp_001",
        "john doe@company.com",
        "john@company",
        "john@@company.com",
        "john@-company.com",
        "john@company..com",
        "a?subject=b@company.com",
        "john@10.0.0.1",
        "\0",
    ],
)
def test_other_user_becomes_an_account(user: str) -> None:
    account = {"homePage": HOME, "name": user}
    assert convert(user=user)["actor"] == {"objectType": "Agent", "account": account}


@pytest.mark.parametrize(
    ("user", "other"),
    [
        ("john@company.com", " john@company.com\n"),
        ("john@company.com", "mailto:john@company.com"),
        ("john@company.com", "MAILTO:john@Company.COM"),
        ("emp_001", "\temp_001 "),
        ("emp_001", "mailto: emp_001"),
        ("6690e6c9-3ef0-4ed3-8b37-7f3964730bee", "6690E6C9-3EF0-4ED3-8B37-7F3964730BEE"),
    ],
)
def test_spellings_of_a_user_make_one_event_of_one_actor(user: str, other: str) -> None:
    first, second = convert(user=user), convert(user=other)
    assert (first["id"], first["actor"]) == (second["id"], second["actor"])


@pytest.mark.parametrize("other", ["John@company.com", "john@company.org", "emp_001"])
def test_different_users_make_different_events(other: str) -> None:
    assert convert(user="john@company.com")["id"] != convert(user=other)["id"]


def test_blanks_around_a_content_id_make_no_difference() -> None:
    first, second = convert(content_id="ext-1"), convert(content_id=" ext-1\t")
    assert (first["id"], first["object"]) == (second["id"], second["object"])


@pytest.mark.parametrize("field", ["user", "content_id"])
@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0"])
def test_blank_user_or_content_id_is_invalid(field: str, blank: str) -> None:
    (violation,) = validation.track_violations({**SAMPLE, field: blank})
    assert violation.pointer == f"/{field}"
    assert "not blank" in violation.detail


@pytest.mark.parametrize("user", ["mailto:", " MailTo: "])
def test_user_with_nothing_but_the_scheme_of_an_address_is_invalid(user: str) -> None:
    (violation,) = validation.track_violations({**SAMPLE, "user": user})
    assert violation.pointer == "/user"
    assert "not blank" in violation.detail
    assert user in violation.detail


@pytest.mark.parametrize(
    "content_id",
    [
        "https://example.com",
        "http://example.com:8080/a/b%20c?d=e&f#g",
        "https://example.com/курс?x=?",
        "urn:isbn:9780000000000",
        "urn:uuid:6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
        "tag:example.com,2024-05:course/1",
    ],
)
def test_iri_content_id_is_the_activity_id(content_id: str) -> None:
    assert convert(content_id=content_id)["object"]["id"] == content_id


@pytest.mark.parametrize(
    ("content_id", "escaped"),
    [
        ("a b/c?d#e", "a%20b%2Fc%3Fd%23e"),
        ("course-v1:edX+DemoX", "course-v1%3AedX%2BDemoX"),
        ("https://exa mple.com", "https%3A%2F%2Fexa%20mple.com"),
        ("http://", "http%3A%2F%2F"),
        ("http://a/%zz", "http%3A%2F%2Fa%2F%25zz"),
        ("http://a/#b#c", "http%3A%2F%2Fa%2F%23b%23c"),
        ("urn:x", "urn%3Ax"),
        ("ё\0", "%D1%91%00"),
    ],
)
def test_other_content_id_becomes_an_iri(content_id: str, escaped: str) -> None:
    assert convert(content_id=content_id)["object"]["id"] == f"{HOME}/contents/{escaped}"


def test_equal_events_have_the_same_derived_id() -> None:
    event = {**SAMPLE, "status": "in_progress"}
    first = track_events.event_id(event, "acme")
    assert UUID(first).version == 5
    same = [
        {**event, "status": "in-progress"},
        {**event, "event_date": "2024-05-13T16:25:00.000+02:00"},
        {**event, "completion_percentage": 7, "duration_spent": None, "title": "x"},
    ]
    assert {track_events.event_id(other, "acme") for other in same} == {first}
    others = [
        {**event, "content_id": "other"},
        {**event, "user": "other"},
        {**event, "status": "started"},
        {**event, "event_date": "2024-05-13T14:25:00.001Z"},
    ]
    distinct = {track_events.event_id(other, "acme") for other in others}
    assert len({first, track_events.event_id(event, None), *distinct}) == 6


@pytest.mark.parametrize(
    ("orgid", "path", "organization"),
    [
        (None, None, None),
        (None, "acme", "acme"),
        ("", "acme", "acme"),
        ("acme", None, "acme"),
        ("acme", "acme", "acme"),
    ],
)
def test_organization_comes_from_path_or_orgid(
    orgid: str | None, path: str | None, organization: str | None
) -> None:
    assert track_events.organization_of({**SAMPLE, "orgid": orgid}, path) == organization
    assert track_events.organization_of(SAMPLE, path) == path


def test_different_organizations_in_path_and_orgid_are_refused() -> None:
    with pytest.raises(InvalidStatement) as raised:
        track_events.organization_of({**SAMPLE, "orgid": "acme"}, "other")
    assert [violation.pointer for violation in raised.value.violations] == ["/orgid"]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
users = (
    texts | st.emails() | st.uuids().map(str) | st.from_regex(track_events._EMAIL, fullmatch=True)
)
contents = texts | st.from_regex(track_events._IRI, fullmatch=True)
moments = st.datetimes(timezones=st.timezones()).filter(lambda moment: moment.year > 1)
events = st.fixed_dictionaries(
    {
        "content_id": contents,
        "user": users,
        "status": st.sampled_from(["started", "in_progress", "in-progress", "completed"]),
        "event_date": moments.map(lambda moment: f"{moment.replace(tzinfo=None).isoformat()}Z"),
    },
    optional={
        "completion_percentage": st.none() | st.integers(0, 100) | st.floats(0, 100),
        "duration_spent": st.none()
        | st.integers(0, 2**64 - 1)
        | st.floats(0, allow_infinity=False),
        "orgid": st.none() | texts,
        "metadata": st.recursive(
            st.none() | st.booleans() | texts,
            lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
            max_leaves=5,
        ),
    },
)


@settings(deadline=None)
@given(events)
def test_any_event_makes_a_valid_statement(event: Event) -> None:
    event = orjson.loads(orjson.dumps(event))
    assume(not validation.track_violations(event))
    before = copy.deepcopy(event)
    organization = track_events.organization_of(event, None)
    statement = track_events.statement(event, organization=organization, home_page=HOME)
    assert validation.statement_violations(statement, "1.0.3") == []
    assert event == before
    assert orjson.loads(orjson.dumps(statement)) == statement
