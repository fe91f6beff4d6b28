"""Learning events extracted from single statements, with the built-in and other vocabularies."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import jsonschema
import orjson
import pytest
from hypothesis import given

from lrs import resources
from lrs.projection.content_attributes import describe
from lrs.projection.event_batch import ProjectedStatement, extract_batch
from lrs.projection.events import Event, ExtractedEvent, Measures, extract_event
from lrs.projection.vocabulary import InvalidVocabulary, load_vocabulary
from lrs.xapi.statement import TRACK_EVENT
from tests.support.statements import statement
from tests.support.strategies import statements

Json = dict[str, Any]

ID = UUID("6690e6c9-3ef0-4ed3-8b37-7f3964730bee")
VERBS = "http://adlnet.gov/expapi/verbs/"
CMI5 = {"category": [{"id": "https://w3id.org/xapi/cmi5/context/categories/cmi5"}]}


def telling(**members: Any) -> ExtractedEvent | None:
    sent = {"timestamp": "2026-05-08T14:44:01.267+02:00", **statement(**members)}
    return extract_event(ID, 1, None, sent, load_vocabulary())


def measures(verb: str = f"{VERBS}completed", **members: Any) -> Measures:
    actual = telling(verb={"id": verb}, **members)
    assert actual is not None
    return actual.event.measures


@pytest.mark.parametrize(
    ("verb", "kind", "success"),
    [
        (f"{VERBS}completed", "completed", None),
        ("https://activitystrea.ms/schema/1.0/start", "started", None),
        (f"{VERBS}progressed", "progressed", None),
        (f"{VERBS}passed", "passed", True),
        (f"{VERBS}failed", "failed", False),
        (f"{VERBS}mastered", "completed", True),
        ("https://w3id.org/xapi/adl/verbs/satisfied", "completed", None),
        ("https://w3id.org/xapi/adl/verbs/waived", "completed", None),
        ("http://example.com/verbs/juggled", "worked", None),
    ],
)
def test_verb_determines_kind_and_success(verb: str, kind: str, success: bool | None) -> None:
    actual = measures(verb)
    assert (actual.kind, actual.success) == (kind, success)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"completion": True}, {"kind": "completed"}),
        ({"completion": False}, {"kind": "worked"}),
        ({"success": False}, {"success": False}),
        ({"score": {"raw": 7, "scaled": 0.7}}, {"score": 70.0, "raw_score": 7.0}),
        ({"score": {"scaled": 0.57}}, {"score": 57.0, "raw_score": 57.0}),
        ({"score": {"max": 10}}, {"score": None, "raw_score": None}),
        ({"score": {"raw": 7, "max": 10}}, {"score": 70.0, "raw_score": 7.0}),
        ({"score": {"raw": 130, "min": 50, "max": 250}}, {"score": 40.0, "raw_score": 130.0}),
        (
            {"score": {"raw": 5, "min": 1, "max": 5, "scaled": 0.9}},
            {"score": 100.0, "raw_score": 5.0},
        ),
        ({"score": {"raw": 4, "max": 5, "scaled": 0.75}}, {"score": 75.0, "raw_score": 4.0}),
        ({"score": {"raw": 0, "min": 0, "max": 0}}, {"score": None, "raw_score": 0.0}),
        ({"score": {"raw": -1, "max": 10}}, {"score": 0.0, "raw_score": -1.0}),
        ({"score": {"raw": 130}}, {"score": None, "raw_score": 130.0}),
        ({"score": {"raw": 65}}, {"score": 65.0, "raw_score": 65.0}),
        (
            {"score": {"raw": 1.7e308, "min": -1.7e308, "max": 1.7e308}},
            {"score": None, "raw_score": 1.7e308},
        ),
        ({"duration": "PT30M12.5S"}, {"milliseconds": 1_812_500}),
        ({"duration": "PT0.0005S"}, {"milliseconds": 1}),
        ({"extensions": {"http://datacamp.com/xp": 12.5}}, {"xp": Decimal("12.5")}),
        ({"extensions": {"http://datacamp.com/xp": True}}, {"xp": None}),
        ({"extensions": {"http://datacamp.com/xp": 1e300}}, {"xp": None}),
        (
            {"extensions": {"https://w3id.org/xapi/cmi5/result/extensions/progress": 101}},
            {"progress": None},
        ),
    ],
)
def test_result_determines_the_measures(result: Json, expected: Json) -> None:
    actual = measures("http://example.com/verbs/juggled", result=result)._asdict()
    assert {name: actual[name] for name in expected} == expected


def test_progress_is_read_from_the_activity_definition() -> None:
    sent = {
        "id": "http://a.example/1",
        "definition": {"extensions": {"http://datacamp.com/percentCompleted": 75}},
    }
    assert measures(f"{VERBS}progressed", object=sent).progress == 75


@pytest.mark.parametrize(
    ("verb", "milliseconds"),
    [
        (f"{VERBS}completed", None),
        (f"{VERBS}passed", None),
        (f"{VERBS}terminated", 60_000),
        ("https://w3id.org/xapi/adl/verbs/abandoned", 60_000),
    ],
)
def test_cmi5_session_time_is_counted_at_terminated_only(
    verb: str, milliseconds: int | None
) -> None:
    actual = measures(verb, result={"duration": "PT1M"}, context={"contextActivities": CMI5})
    assert actual.milliseconds == milliseconds


def test_event_day_is_in_utc() -> None:
    actual = telling()
    assert actual is not None
    assert actual.event.at == datetime(2026, 5, 8, 12, 44, 1, 267_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "timestamp", "day"),
    [
        ("UTC", "2026-05-08T23:30:00Z", 8),
        ("Europe/Berlin", "2026-05-08T21:59:59Z", 8),
        ("Europe/Berlin", "2026-05-08T22:00:00Z", 9),
        ("America/New_York", "2026-05-08T03:59:00Z", 7),
        ("Asia/Kolkata", "2026-05-08T23:30:00+05:30", 8),
    ],
)
def test_day_is_in_the_time_zone_of_the_partner(zone: str, timestamp: str, day: int) -> None:
    assert dated(zone, timestamp).day == date(2026, 5, day)


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_first_and_last_day_have_no_neighbour(zone: str, timestamp: str) -> None:
    assert abs(dated(zone, timestamp).day - date.fromisoformat(timestamp[:10])).days <= 1


def test_track_event_at_midnight_keeps_its_date_in_any_time_zone() -> None:
    track = {"context": {"extensions": {TRACK_EVENT: {}}}}
    event = dated("America/New_York", "2026-05-08T00:00:00Z", **track)
    assert event.day == date(2026, 5, 8)
    assert event.at == datetime(2026, 5, 8, 4, tzinfo=UTC)
    assert dated("America/New_York", "2026-05-08T00:00:01Z", **track).day == date(2026, 5, 7)


def dated(zone: str, timestamp: str, **members: Any) -> Event:
    sent = {**statement(**members), "timestamp": timestamp}
    extracted = extract_event(ID, 1, None, sent, load_vocabulary(), ZoneInfo(zone))
    assert extracted is not None
    return extracted.event


@given(statements("2.0.0"))
def test_every_valid_statement_is_extracted(sent: Json) -> None:
    sent = {"timestamp": "2026-05-08T14:44:01Z", **sent}
    payload = orjson.dumps(sent).decode()
    gathered = extract_batch([ProjectedStatement(1, ID, None, payload, False)], load_vocabulary())
    assert len(gathered.events) <= 1
    for activity in {*gathered.contents, *gathered.other_activities}:
        assert ":" in activity


# Contents


def test_attributes_have_the_types_of_the_report_columns() -> None:
    extensions = {
        "http://datacamp.com/slug": "intro",
        "http://datacamp.com/xp": "many",
        "http://datacamp.com/nbExercises": 4.0,
        "http://datacamp.com/isGuided": "yes",
        "http://datacamp.com/launchedDate": "2024-02-30",
        "http://datacamp.com/archivedAt": "2024-02-03T04:05:06+01:00",
    }
    actual = describe({"extensions": extensions}, load_vocabulary()).attributes
    assert actual == {
        "slug": "intro",
        "nb_exercises": 4,
        "archived_at": "2024-02-03T03:05:06+00:00",
    }


# Vocabularies


def test_default_vocabulary_matches_its_schema() -> None:
    schema = resources.vocabulary("schema")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(resources.vocabulary("default"), schema)


def test_own_vocabulary_adds_replaces_and_removes_terms() -> None:
    own = load_vocabulary(
        b"""{
            "verbs": {
                "http://example.com/finished": {"kind": "completed", "success": true},
                "http://adlnet.gov/expapi/verbs/passed": "completed",
                "http://adlnet.gov/expapi/verbs/mastered": null
            },
            "types": {"http://example.com/lab": "lab"},
            "technologies": ["COBOL"],
            "extensions": {"xp": ["http://example.com/points"]}
        }"""
    )
    assert own.verbs["http://example.com/finished"] == ("completed", True)
    assert own.verbs[f"{VERBS}passed"] == ("completed", None)
    assert f"{VERBS}mastered" not in own.verbs
    assert own.types["http://example.com/lab"] == "lab"
    assert {"cobol", "python"} <= own.technologies
    assert own.extensions["xp"] == ("http://example.com/points", "http://datacamp.com/xp")
    assert own.sessions == load_vocabulary().sessions


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (b"{", "invalid JSON"),
        (b"[]", "the document"),
        (b'{"verb": {}}', "the document"),
        (b'{"verbs": {"http://example.com/x": "finished"}}', "/verbs/http:~1~1example.com~1x"),
        (b'{"types": {"http://example.com/x": "A Lab"}}', "/types/http:~1~1example.com~1x"),
        (b'{"extensions": {"xp": "http://example.com/x"}}', "/extensions/xp"),
        (
            b'{"attributes": {"number": {"type": "text", "extensions": ["http://example.com/x"]}}}',
            "/attributes/number/type",
        ),
    ],
)
def test_invalid_vocabulary_is_refused_with_the_position(text: bytes, position: str) -> None:
    with pytest.raises(InvalidVocabulary) as refused:
        load_vocabulary(text)
    assert str(refused.value).startswith(f"{position}: ")
