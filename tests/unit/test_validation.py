"""Validation errors: pointer, message and requirement of each."""

from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from lrs import resources
from lrs.errors import Violation
from lrs.xapi.validation import (
    MAX_DEPTH,
    MAX_VIOLATIONS,
    Version,
    agent_violations,
    is_iri,
    is_uuid,
    parse_timestamp,
    statement_violations,
    track_violations,
)
from tests.support.files import FIXTURES

SEEDS = sorted((FIXTURES / "seeds").glob("*.json"))
TRACK_SEEDS = [path for path in SEEDS if "track" in path.name]
UUID = "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"
AGENT = {"mbox": "mailto:a@example.com"}
MINIMAL: dict[str, Any] = {
    "actor": AGENT,
    "verb": {"id": "http://example.com/did"},
    "object": {"id": "http://example.com/it"},
}
ATTACHMENT = {
    "usageType": "http://example.com/usage", "display": {"en": "x"}, "contentType": "text/plain",
    "length": 3, "sha2": "ab" * 32,
}  # fmt: skip
SUB = {"objectType": "SubStatement", **MINIMAL}
EVENT = json.loads(TRACK_SEEDS[0].read_text())
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}
TEAM = {"objectType": "Group", "member": [AGENT, {}, {"objectType": "Group", **AGENT}]}


def with_(**members: Any) -> dict[str, Any]:
    return {**copy.deepcopy(MINIMAL), **members}


def context(**members: Any) -> dict[str, Any]:
    return with_(context=members)


def definition(**members: Any) -> dict[str, Any]:
    return with_(object={"id": "a:b", "definition": members})


def pointers(violations: list[Violation]) -> list[str]:
    return [violation.pointer for violation in violations]


@pytest.mark.parametrize("version", get_args(Version))
@pytest.mark.parametrize("path", [p for p in SEEDS if p not in TRACK_SEEDS], ids=lambda p: p.stem)
def test_vendor_examples_are_valid(path: Path, version: Version) -> None:
    assert statement_violations(json.loads(path.read_text()), version) == []


@pytest.mark.parametrize("name", [n for n in resources.schema_files() if "xapi/" in n])
def test_schema_files_are_json_schema_2020_12(name: str) -> None:
    document = resources.schema(name.removesuffix(".json"))
    jsonschema.Draft202012Validator.check_schema(document)
    assert name.endswith(document["$id"])


INVALID: list[tuple[str, Any, list[str]]] = [
    ("array", [], [""]),
    ("empty", {}, ["", "", ""]),
    ("null member", with_(result=None), ["/result"]),
    ("case", with_(Result={}), ["/Result"]),
    ("escapes", with_(**{"a/b~c": 1}), ["/a~1b~0c"]),
    ("id", with_(id=UUID + "8"), ["/id"]),
    ("id newline", with_(id=UUID + "\n"), ["/id"]),
    ("verb iri", with_(verb={"id": "ab=c://x"}), ["/verb/id"]),
    ("verb no scheme", with_(verb={"id": "should fail"}), ["/verb/id"]),
    ("display tag", with_(verb={"id": "a:b", "display": {"en_US": 1}}),
     ["/verb/display/en_US"] * 2),
    ("actor text", with_(actor="me"), ["/actor"]),
    ("no identifier", with_(actor={"name": "x"}), ["/actor"]),
    ("two identifiers", with_(actor={**AGENT, "openid": "http://a/"}), ["/actor"]),
    ("mbox", with_(actor={"mbox": "mailto:no.host"}), ["/actor/mbox"]),
    ("sha1", with_(actor={"mbox_sha1sum": "ab"}), ["/actor/mbox_sha1sum"]),
    ("account", with_(actor={"account": {"homePage": "x"}}),
     ["/actor/account", "/actor/account/homePage"]),
    ("objectType case", with_(actor={**AGENT, "objectType": "agent"}), ["/actor/objectType"]),
    ("agent with member", with_(actor={**AGENT, "member": []}), ["/actor/member"]),
    ("anonymous without member", with_(actor={"objectType": "Group"}), ["/actor"]),
    ("members", with_(actor=TEAM), ["/actor/member/1", "/actor/member/2/objectType"]),
    ("member mbox", with_(actor={"objectType": "Group", "member": [AGENT, {"mbox": 3}]}),
     ["/actor/member/1/mbox"]),
    ("agent object without type", with_(object=AGENT), ["/object", "/object/mbox"]),
    ("object type", with_(object={"id": "a:b", "objectType": "activity"}), ["/object/objectType"]),
    ("definition type", definition(type="x"), ["/object/definition/type"]),
    ("definition unknown", definition(x=1), ["/object/definition/x"]),
    ("interaction missing", definition(choices=[], scale=[]), ["/object/definition"]),
    ("interaction case", definition(interactionType="Choice"),
     ["/object/definition/interactionType"]),
    ("component repeated", definition(interactionType="choice", choices=[{"id": "a"}] * 2),
     ["/object/definition/choices/1/id"]),
    ("extension key", definition(extensions={"x": None}), ["/object/definition/extensions/x"]),
    ("reference", with_(object={"objectType": "StatementRef"}), ["/object"]),
    ("voiding", with_(verb=VOIDED), ["/object"]),
    ("voiding typed", with_(verb=VOIDED, object={"objectType": "Agent", **AGENT}),
     ["/object/objectType"]),
    ("nested", with_(object={**SUB, "object": SUB}), ["/object/object/objectType"]),
    ("sub id", with_(object={**SUB, "id": UUID}), ["/object/id"]),
    ("sub timestamp", with_(object={**SUB, "timestamp": "2026-02-30T00:00:00Z"}),
     ["/object/timestamp"]),
    ("sub score", with_(object={**SUB, "result": {"score": {"raw": 1, "max": 0}}}),
     ["/object/result/score/raw"]),
    ("sub platform", with_(object={**SUB, "object": {"objectType": "Agent", **AGENT},
                                   "context": {"platform": "x"}}), ["/object/context/platform"]),
    ("number text", with_(result={"score": {"raw": "1"}}), ["/result/score/raw"]),
    ("boolean number", with_(result={"score": {"raw": True}}), ["/result/score/raw"]),
    ("number boolean", with_(result={"success": 1}), ["/result/success"]),
    ("scaled", with_(result={"score": {"scaled": 1.01}}), ["/result/score/scaled"]),
    ("min max", with_(result={"score": {"min": 2, "max": 1}}), ["/result/score/min"]),
    ("below min", with_(result={"score": {"min": 1, "raw": 0}}), ["/result/score/raw"]),
    ("duration", with_(result={"duration": "P4W1D"}), ["/result/duration"]),
    ("duration fraction", with_(result={"duration": "PT1.5H30M"}), ["/result/duration"]),
    ("registration", context(registration="x"), ["/context/registration"]),
    ("team agent", context(team={**AGENT, "objectType": "Agent"}), ["/context/team/objectType"]),
    ("activities", context(contextActivities={"parent": [{"id": "x"}], "others": []}),
     ["/context/contextActivities/others", "/context/contextActivities/parent/0/id"]),
    ("activities single", context(contextActivities={"parent": 3}),
     ["/context/contextActivities/parent"]),
    ("component in context", context(contextActivities={"other": {"id": "a:b", "definition": {
        "interactionType": "likert", "scale": [{"id": "a"}, {"id": "a"}]}}}),
     ["/context/contextActivities/other/definition/scale/1/id"]),
    ("language", context(language="something"), ["/context/language"]),
    ("statement", context(statement={"id": UUID}), ["/context/statement"]),
    ("revision", {**context(revision="1"), "object": {"objectType": "Agent", **AGENT}},
     ["/context/revision"]),
    ("timestamp", with_(timestamp="01/011/2015"), ["/timestamp"]),
    ("stored", with_(stored="2026-01-01T00:00:00-00:00"), ["/stored"]),
    ("version", with_(version="1.1.0"), ["/version"]),
    ("authority of three", with_(authority={"objectType": "Group", "member": [AGENT] * 3}),
     ["/authority/member"]),
    ("authority identified", with_(authority={"objectType": "Group", "member": [AGENT] * 2,
                                              **AGENT}), ["/authority/mbox"]),
    ("attachments", with_(attachments={}), ["/attachments"]),
    ("attachment", with_(attachments=[{**ATTACHMENT, "length": -1, "sha2": "x"}]),
     ["/attachments/0/length", "/attachments/0/sha2"]),
    ("attachment type", with_(attachments=[{**ATTACHMENT, "contentType": "text"}]),
     ["/attachments/0/contentType"]),
    ("signature", with_(attachments=[{
        **ATTACHMENT, "usageType": "http://adlnet.gov/expapi/attachments/signature"}]),
     ["/attachments/0/contentType"]),
    ("nul", definition(name={"en": "a\0"}, extensions={"a:b": {"c": ["\0"], "d\0": 1}}),
     ["/object/definition/extensions/a:b/c/0", "/object/definition/extensions/a:b/d\0",
      "/object/definition/name/en"]),
]  # fmt: skip


@pytest.mark.parametrize("version", get_args(Version))
@pytest.mark.parametrize(
    ("statement", "expected"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_invalid_member_is_reported_with_its_pointer(
    statement: Any, expected: list[str], version: Version
) -> None:
    assert pointers(statement_violations(statement, version)) == expected


VALID: list[tuple[str, Any]] = [
    ("minimal", MINIMAL),
    ("sub-statement", with_(object=SUB)),
    ("identified group", with_(actor={"objectType": "Group", **AGENT})),
    ("group object", with_(object={"objectType": "Group", "member": []})),
    ("authority of two", with_(authority={"objectType": "Group", "member": [AGENT] * 2})),
    ("null in extensions", definition(extensions={"http://x/": {"a": None, "": {}}, "a:b": None})),
    ("voiding", with_(verb=VOIDED, object={"objectType": "StatementRef", "id": UUID.upper()})),
    ("length as a float", with_(attachments=[{**ATTACHMENT, "length": 3.0}])),
    ("equal min and max", with_(result={"score": {"min": 0, "raw": 0, "max": 0}})),
    ("later patch", with_(version="1.0.3-beta")),
    ("score", with_(result={"score": {"scaled": -1, "min": -2, "raw": -2.0, "max": 0.1}})),
    ("revision", context(revision="", platform="p")),
    ("old version", with_(version="1.0")),
    ("large number", with_(result={"score": {"raw": 2**70}})),
    ("future", with_(timestamp="2999-12-31T23:59:59.1234567+14:00")),
]


@pytest.mark.parametrize("version", get_args(Version))
@pytest.mark.parametrize("statement", [c[1] for c in VALID], ids=[c[0] for c in VALID])
def test_valid_statement_has_no_violations(statement: Any, version: Version) -> None:
    assert statement_violations(statement, version) == []


def test_members_of_xapi_2_are_invalid_in_1_0_3() -> None:
    agents = [{"objectType": "contextAgent", "agent": AGENT, "relevantTypes": ["a:b"]}]
    groups = [{"objectType": "contextGroup", "group": {"objectType": "Group", **AGENT}}]
    for statement in (
        context(contextAgents=agents, contextGroups=groups),
        with_(object={**SUB, "context": {"contextAgents": agents}}),
        with_(version="2.0.0"),
    ):
        assert statement_violations(statement, "2.0.0") == []
        assert len(statement_violations(statement, "1.0.3")) >= 1
    broken = context(contextAgents=[{"agent": {}, "relevantTypes": []}], contextGroups=agents)
    assert pointers(statement_violations(broken, "2.0.0")) == [
        "/context/contextAgents/0",
        "/context/contextAgents/0/agent",
        "/context/contextAgents/0/relevantTypes",
        "/context/contextGroups/0",
        "/context/contextGroups/0/agent",
        "/context/contextGroups/0/objectType",
    ]


def test_violation_names_expectation_and_requirement() -> None:
    assert statement_violations(with_(actor={"mbox": "x"}), "1.0.3") == [
        Violation(
            "/actor/mbox",
            'expected a mailto IRI such as mailto:learner@example.com, found "x"',
            "xAPI 1.0.3 Data 2.4.2.3",
        )
    ]
    assert statement_violations(with_(actor={**AGENT, "openid": "a:b"}), "2.0.0") == [
        Violation(
            "/actor",
            "expected exactly one of mbox, mbox_sha1sum, openid, account, found mbox and openid",
            "IEEE 9274.1.1 4.2.2.1",
        )
    ]
    (unknown,) = statement_violations(with_(RESULT={}), "1.0.3")
    assert unknown.detail == (
        '"RESULT" is not a member of Statement: names are case-sensitive, expected "result"'
    )
    (long,) = statement_violations(with_(id="x" * 10_000), "1.0.3")
    assert len(long.detail) < 200


def test_number_of_violations_is_limited() -> None:
    statement = with_(**{f"x{number}": 1 for number in range(10 * MAX_VIOLATIONS)})
    assert len(statement_violations(statement, "1.0.3")) == MAX_VIOLATIONS
    members = {"objectType": "Group", "member": [{}] * 10 * MAX_VIOLATIONS}
    assert len(statement_violations(with_(actor=members), "1.0.3")) == MAX_VIOLATIONS


def test_thousands_of_invalid_names_are_reported_up_to_the_limit() -> None:
    """Each violation would include a copy of all names, which took minutes."""
    names = {f"no iri, no language {number}": "x" for number in range(20_000)}
    good = {f"http://example.com/{number}": "x" for number in range(200)}
    verb = {"id": "http://example.com/verbs/read", "display": {"en": "read", **names}}
    for where in ({"context": {"extensions": {**good, **names}}}, {"verb": verb}):
        result = statement_violations(with_(**where), "1.0.3")
        assert len(result) == MAX_VIOLATIONS
        assert all("no iri, no language" in item.pointer for item in result)


def test_thousands_of_invalid_items_are_reported_within_two_seconds() -> None:
    """Each item would be an error of its own; explaining all of them took seconds to a minute."""
    bad = [{}] * 20_000
    activity = {"id": "http://example.com/1", "definition": {"interactionType": "choice"}}
    groups = [{"objectType": "contextGroup", "group": {"objectType": "Group", "member": bad[:50]}}]
    for statement in (
        with_(actor={"objectType": "Group", "member": bad}),
        with_(attachments=bad),
        with_(context={"contextActivities": {"parent": [activity, *bad]}}),
        with_(context={"contextGroups": groups * 400}),
        with_(object={**activity, "definition": {**activity["definition"], "choices": bad}}),
        with_(
            object={
                **activity,
                "definition": {**activity["definition"], "correctResponsesPattern": [1] * 20_000},
            }
        ),
    ):
        began = time.process_time()
        result = statement_violations(statement, "2.0.0")
        assert time.process_time() - began < 2
        assert len(result) == MAX_VIOLATIONS


def test_first_and_last_invalid_item_of_many_are_both_reported() -> None:
    bad = {"mbox": "example.com"}
    members = [bad, *[AGENT] * 5_000, bad]
    group = {"objectType": "Group", "member": members}
    result = statement_violations(with_(actor=group, context={"team": group}), "1.0.3")
    assert [item.pointer for item in result] == [
        "/actor/member/0/mbox",
        "/actor/member/5001/mbox",
        "/context/team/member/0/mbox",
        "/context/team/member/5001/mbox",
    ]


def test_one_invalid_member_in_each_of_many_groups_is_reported() -> None:
    group = {"objectType": "Group", "member": [AGENT, {"mbox": "x"}]}
    groups = [{"objectType": "contextGroup", "group": group}] * (MAX_VIOLATIONS - 1)
    result = statement_violations(with_(context={"contextGroups": groups}), "2.0.0")
    assert len(result) == MAX_VIOLATIONS - 1


def test_omitted_items_cause_no_violation_of_their_own() -> None:
    """A shortened list keeps its minimum number of items."""
    typed = {
        "objectType": "contextAgent",
        "agent": AGENT,
        "relevantTypes": ["http://example.com/t"],
    }
    statement = with_(
        actor={"objectType": "Group", "member": [{}] * (MAX_VIOLATIONS + 1)},
        authority={"objectType": "Group", "member": [AGENT] * 2},
        context={"contextAgents": [typed]},
    )
    result = statement_violations(statement, "2.0.0")
    assert {item.pointer.rpartition("/")[0] for item in result} == {"/actor/member"}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_nesting_depth_is_limited_without_recursion() -> None:
    room = MAX_DEPTH - 3  # the statement, its result and the extensions are levels themselves
    fits = with_(result={"extensions": {"a:b": nested(room)}})
    assert statement_violations(fits, "1.0.3") == []
    for levels in (room + 1, 1000):
        deep = with_(result={"extensions": {"a:b": nested(levels)}})
        (violation,) = statement_violations(deep, "1.0.3")
        assert violation.requirement == "Text: nesting"


@pytest.mark.parametrize("agent", [AGENT, {"objectType": "Group", **AGENT}])
def test_identified_agent_is_valid(agent: Any) -> None:
    assert agent_violations(agent) == []


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (True, [""]),
        ("not JSON", [""]),
        ([AGENT], [""]),
        ({}, [""]),
        ({"objectType": "Group", "member": [AGENT]}, [""]),
        ({"objectType": "person", **AGENT}, ["/objectType"]),
        ({"mbox": "a@example.com"}, ["/mbox"]),
    ],
)
def test_unidentified_agent_is_invalid(agent: Any, expected: list[str]) -> None:
    assert pointers(agent_violations(agent)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"status": "in-progress"},
        {"status": "in_progress", "completion_percentage": 0.5},
        {"duration_spent": None, "orgid": None, "completion_percentage": None, "grade": None},
        {"orgid": "4c5e", "custom": {"any": ["thing"]}},
        {"user": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee", "event_date": "2024-05-13T16:25:00+02:00"},
    ],
)
def test_valid_track_event_has_no_violations(changes: Any) -> None:
    assert track_violations({**EVENT, **changes}) == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"content_id": ""}, "/content_id"),
        ({"content_id": "x" * 1025}, "/content_id"),
        ({"user": None}, "/user"),
        ({"user": 12}, "/user"),
        ({"status": "Completed"}, "/status"),
        ({"event_date": "2024-05-13"}, "/event_date"),
        ({"event_date": "2024-02-30T00:00:00Z"}, "/event_date"),
        ({"event_date": "2024-05-13T14:25:00"}, "/event_date"),
        ({"completion_percentage": 101}, "/completion_percentage"),
        ({"completion_percentage": "100"}, "/completion_percentage"),
        ({"duration_spent": -1}, "/duration_spent"),
        ({"duration_spent": True}, "/duration_spent"),
        ({"orgid": 1}, "/orgid"),
    ],
)
def test_invalid_track_event_member_is_reported(changes: Any, pointer: str) -> None:
    (violation,) = track_violations({**EVENT, **changes})
    assert violation.pointer == pointer
    assert violation.requirement == f"Track event: {pointer[1:]}"


def test_nul_characters_in_a_track_event_are_reported() -> None:
    assert pointers(track_violations({**EVENT, "user": "a\0", "more": {"\0": 1}})) == [
        "/more/\0",
        "/user",
    ]


def test_track_event_without_required_members_reports_each_of_them() -> None:
    violations = track_violations({})
    assert pointers(violations) == [""] * 4
    assert {v.requirement for v in violations} == {
        f"Track event: {name}" for name in ("content_id", "user", "status", "event_date")
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-08T14:44:01.267Z", datetime(2026, 5, 8, 14, 44, 1, 267000, UTC)),
        ("2026-05-08T14:44:01-05:30", datetime(2026, 5, 8, 20, 14, 1, 0, UTC)),
        ("2026-05-08T14:44:01+02", datetime(2026, 5, 8, 12, 44, 1, 0, UTC)),
        ("2026-05-08T14:44:01.1234567+0000", datetime(2026, 5, 8, 14, 44, 1, 123456, UTC)),
        ("2024-02-29T00:00:00-00:30", datetime(2024, 2, 29, 0, 30, 0, 0, UTC)),
    ],
)
def test_timestamp_is_parsed(text: str, expected: datetime) -> None:
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026", "2026-05-08", "2026-05-08T14:44:01", "2026-05-08 14:44:01Z",
        "2026-05-08T14:44Z", "20260508T144401Z", "2026-W19-5T14:44:01Z", "2026-05-08T24:00:00Z",
        "2026-05-08T14:44:01-00", "2026-05-08T14:44:01-0000", "2026-05-08T14:44:01-00:00",
        "2026-05-08T14:44:01Z\n", "2023-02-29T00:00:00Z", "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-05-08T14:44:01Z", "2026-05-08T14:44:01.Z", "2026-05-08T14:44:01+24:00",
    ],
)  # fmt: skip
def test_malformed_timestamp_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_timestamp(text)


def test_iri_and_uuid_syntax() -> None:
    assert all(map(is_iri, ["http://example.com/ä?q=1#x", "urn:x:y", "a+b.c-1:z", "mailto:a@b"]))
    assert not any(map(is_iri, ["", "x", "1a:b", "a:", "a b:c", "a:b c", "a:<", "a:b\n", 3, None]))
    assert is_uuid(UUID)
    assert is_uuid(UUID.upper())
    assert not any(map(is_uuid, ["", UUID + "8", UUID[:-1] + "g", f"{{{UUID}}}", UUID + "\n", 3]))


def test_schema_is_loaded_by_name() -> None:
    assert {"track-event.json", "xapi/common.json"} <= set(resources.schema_files())
    assert resources.schema("track-event")["$id"] == "track-event.json"
    with pytest.raises(FileNotFoundError):
        resources.schema("no-such-schema")
