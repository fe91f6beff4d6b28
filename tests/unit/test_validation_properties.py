"""Properties of validation that hold for every valid and every invalid statement."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import jsonschema
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from lrs.errors import Violation
from lrs.resources import schema, schema_files
from lrs.xapi import validation
from lrs.xapi.validation import (
    Version,
    agent_violations,
    is_iri,
    is_uuid,
    parse_timestamp,
    statement_violations,
    track_violations,
)
from tests.support.examples import examples
from tests.support.strategies import actors, json_values, mutated, statements, texts

VERSIONS = get_args(Version)
FILES = {"1.0.3": "xapi/statement-1.0.3", "2.0.0": "xapi/statement-2.0"}
TRACK_EVENT = {
    "content_id": "c", "user": "u", "status": "started", "event_date": "2024-05-13T14:25:00Z",
    "completion_percentage": 5, "duration_spent": None, "orgid": "o", "grade": 1,
}  # fmt: skip

few = settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))


def ecma_pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError("does not match")


@cache
def reference(version: str) -> Any:
    """The same schema files in another implementation, where `$` means the absolute end."""
    common = Resource.from_contents(json.loads(schema_files()["xapi/common.json"]))
    registry: Registry[Any] = Registry().with_resource("common.json", common)
    draft = jsonschema.Draft202012Validator
    reading = jsonschema.validators.extend(draft, {"pattern": ecma_pattern})
    return reading(schema(FILES[version]), registry=registry)


def rules(version: str) -> Any:
    name = FILES[version]
    return validation._rules(name, version, validation._statement_rules)


def passes(value: Any, version: str) -> bool:
    return meets(value, rules(version))


def meets(value: Any, existing: Any) -> bool:
    sound = existing.validator.is_valid(value) and not any(validation._unstorable(value))
    return sound and not any(existing.extra_rules(value))


def resolve(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def well_formed(violations: list[Violation], value: Any) -> None:
    assert len(violations) <= validation.MAX_VIOLATIONS
    assert len(set(violations)) == len(violations)
    assert [v.pointer for v in violations] == sorted(v.pointer for v in violations)
    for violation in violations:
        resolve(value, violation.pointer)
        assert violation.requirement
        assert violation.detail
        assert len(violation.detail) < 400
        assert "expected ," not in violation.detail


def both(values: Any) -> Any:
    return values | mutated(values)


@pytest.mark.parametrize("version", VERSIONS)
def test_valid_statement_has_no_violations(version: Version) -> None:
    @given(statements(version))
    @few
    def check(statement: Any) -> None:
        assert statement_violations(statement, version) == []
        assert statement_violations(orjson.loads(orjson.dumps(statement)), version) == []

    check()


@pytest.mark.parametrize("version", VERSIONS)
def test_two_schema_implementations_agree(version: Version) -> None:
    @given(both(statements(version)))
    @few
    def check(statement: Any) -> None:
        assert rules(version).validator.is_valid(statement) == reference(version).is_valid(
            statement
        )

    check()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_invalid_statement_has_violations(version: Version) -> None:
    @given(mutated(statements(version)))
    @many
    def check(statement: Any) -> None:
        violations = statement_violations(statement, version)
        assert (violations == []) == passes(statement, version)
        well_formed(violations, statement)

    check()


@given(json_values())
@many
def test_any_json_is_valid_or_has_violations(value: Any) -> None:
    for version in VERSIONS:
        violations = statement_violations(value, version)
        assert (violations == []) == passes(value, version)
        well_formed(violations, value)
    well_formed(agent_violations(value), value)
    well_formed(track_violations(value), value)


@given(mutated(st.just(TRACK_EVENT)))
@few
def test_every_invalid_track_event_has_violations(event: Any) -> None:
    violations = track_violations(event)
    existing = validation._rules("track-event", "", validation._track_rules)
    assert (violations == []) == meets(event, existing)
    well_formed(violations, event)


@given(both(actors()))
@few
def test_every_invalid_agent_has_violations(agent: Any) -> None:
    violations = agent_violations(agent)
    well_formed(violations, agent)
    if not violations:
        assert {"mbox", "mbox_sha1sum", "openid", "account"} & set(agent)


@given(
    texts() | st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d)")
)
@many
def test_any_text_is_a_timestamp_or_raises_value_error(text: str) -> None:
    is_iri(text)
    is_uuid(text)
    try:
        assert parse_timestamp(text).tzinfo is not None
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017
