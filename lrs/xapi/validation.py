"""Validation of statements, agents and track events.

The JSON Schemas in `schemas/` describe the structure. This module checks what a schema cannot
express: existing dates, ordered scores, distinct component ids, text that PostgreSQL can store. A
valid value costs one call of a compiled validator; messages are built for invalid values only.

Rules: xAPI 1.0.3 Data 2 and 4, IEEE 9274.1.1 4.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, Registry

from lrs.errors import Violation
from lrs.resources import schema
from lrs.xapi.timestamps import parse_timestamp, to_utc
from lrs.xapi.validation_limits import limit_invalid_items
from lrs.xapi.validation_messages import Path, ViolationBuilder, excerpt, pointer

__all__ = [
    "RuleViolation",
    "Version",
    "agent_violations",
    "declared_version",
    "is_iri",
    "is_uuid",
    "parse_timestamp",
    "statement_violations",
    "track_violations",
    "violations",
]

Version = Literal["1.0.3", "2.0.0"]

MAX_VIOLATIONS = 100
MAX_DEPTH = 254
"""Levels of nesting that orjson serializes. `strict_json.parse` accepts fewer."""

_FILES: dict[str, str] = {"1.0.3": "xapi/statement-1.0.3", "2.0.0": "xapi/statement-2.0"}
_DEFS: dict[str, Any] = schema("xapi/common")["$defs"]
_IRI = re.compile(_DEFS["iri"]["pattern"])
_UUID = re.compile(_DEFS["uuid"]["pattern"])

RuleViolation = tuple[Path, str, str]
"""The path, the detail, and the name of the schema definition with the rule."""


def statement_violations(
    statement: Any, version: Version, text: bytes | None = None
) -> list[Violation]:
    """The violations of a statement, by pointer; [] when it is valid in this version of xAPI.

    Returns at most `MAX_VIOLATIONS`. `text` is the JSON text of the statement; it saves a dump.
    """
    return _rules(_FILES[version], version, _statement_rules).violations(statement, text)


def declared_version(statement: Any) -> Version:
    """The version that a statement names, if it is 2.x; otherwise 1.0.3."""
    version = statement.get("version") if isinstance(statement, dict) else None
    return "2.0.0" if isinstance(version, str) and version.startswith("2.") else "1.0.3"


def agent_violations(agent: Any, version: Version = "2.0.0") -> list[Violation]:
    """The violations of an agent in a query parameter: an Agent or an identified Group."""
    return _rules("xapi/common", version, _no_rules, "agent-parameter").violations(agent)


def track_violations(event: Any) -> list[Violation]:
    """The violations of a track event: `{content_id, user, status, event_date, …}`."""
    return _rules("track-event", "", _track_rules).violations(event)


def violations(
    value: Any, schema_name: str, extra_rules: Callable[[Any], Iterable[RuleViolation]]
) -> list[Violation]:
    """The violations of a value by a named schema and by a function for further rules."""
    return _rules(schema_name, "", extra_rules).violations(value)


def is_iri(text: Any) -> bool:
    """Whether this is an absolute IRI (xAPI 1.0.3 Data 4.3)."""
    return isinstance(text, str) and _IRI.fullmatch(text) is not None


def is_uuid(text: Any) -> bool:
    """Whether this is a UUID of any version, with hyphens (xAPI 1.0.3 Data 4.4)."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Rules:
    validator: Draft202012Validator
    builder: ViolationBuilder
    extra_rules: Callable[[Any], Iterable[RuleViolation]]
    annotations: dict[str, Any]

    def violations(self, value: Any, text: bytes | None = None) -> list[Violation]:
        if (
            self.validator.is_valid(value)
            and _storable(value, text)
            and not any(self.extra_rules(value))
        ):
            return []
        return self._explain(value)

    def _explain(self, value: Any) -> list[Violation]:
        violations: dict[Violation, None] = {}
        for error in self.validator.iter_errors(
            narrow := limit_invalid_items(value, MAX_VIOLATIONS)
        ):
            violations.update(dict.fromkeys(self.builder.violations(error, narrow)))
            if len(violations) >= MAX_VIOLATIONS:
                break
        pointers = {violation.pointer for violation in violations}
        for path, detail, name in (*self.extra_rules(value), *_unstorable(value)):
            if (at := pointer(path)) not in pointers:
                violations[Violation(at, detail, self._requirement(name))] = None
        return sorted(list(violations)[:MAX_VIOLATIONS], key=lambda v: (v.pointer, v.detail))

    def _requirement(self, name: str) -> str:
        return self.builder.requirement(self.annotations.get(name, {}).get("x-requirement", name))


@cache
def _rules(
    name: str,
    version: str,
    extra_rules: Callable[[Any], Iterable[RuleViolation]],
    definition: str = "",
) -> _Rules:
    root = schema(name)
    common = schema(f"{name.rpartition('/')[0] or 'xapi'}/common")
    documents = {document["$id"]: document for document in (root, common)}
    if definition:
        root = {"$ref": f"{root['$id']}#/$defs/{definition}"}
    # The Rust regex engine runs in linear time: no text can cause catastrophic backtracking.
    validator = Draft202012Validator(
        root, registry=Registry(documents.items()), pattern_options=RegexOptions(), offline=True
    )
    annotations = _DEFS if version else root["properties"]
    return _Rules(validator, ViolationBuilder(root, documents, version), extra_rules, annotations)


# Rules that a schema cannot express


def _statement_rules(statement: Any) -> list[RuleViolation]:
    if not isinstance(statement, dict):
        return []
    violations: list[RuleViolation] = []
    if "stored" in statement:
        violations += _dates(statement, (), "stored", "timestamp")
    violations += _part_rules(statement, ())
    part = statement.get("object")
    if isinstance(part, dict) and part.get("objectType") == "SubStatement":
        violations += _part_rules(part, ("object",))
    return violations


def _part_rules(part: dict[str, Any], at: Path) -> list[RuleViolation]:
    violations: list[RuleViolation] = []
    if "timestamp" in part:
        violations += _dates(part, at, "timestamp", "timestamp")
    if "result" in part:
        score = _member(part["result"], "score")
        if isinstance(score, dict):
            violations += _scores(score, (*at, "result", "score"))
    activity = _object(part.get("object"))
    if "definition" in activity:
        violations += _components(activity, (*at, "object"))
    if "context" in part:
        activities = _member(part["context"], "contextActivities")
        for path, activity in _context_activities(_object(activities)):
            if "definition" in activity:
                violations += _components(activity, (*at, "context", "contextActivities", *path))
    return violations


def _dates(part: dict[str, Any], at: Path, name: str, rule: str) -> Iterable[RuleViolation]:
    """A date that does not exist; the schema checks its format."""
    text = part.get(name)
    if isinstance(text, str):
        try:
            to_utc(text)
        except ValueError as error:
            return [((*at, name), f"{error}: found {excerpt(text)}", rule)]
    return ()


def _scores(score: dict[str, Any], at: Path) -> Iterator[RuleViolation]:
    low, raw, high = (_number(score.get(name)) for name in ("min", "raw", "max"))
    if low is not None and high is not None and low > high:
        yield (
            (*at, "min"),
            f"expected at most max ({excerpt(high)}), found {excerpt(low)}",
            "score",
        )
    if raw is not None and low is not None and raw < low:
        yield (
            (*at, "raw"),
            f"expected at least min ({excerpt(low)}), found {excerpt(raw)}",
            "score",
        )
    if raw is not None and high is not None and raw > high:
        yield (
            (*at, "raw"),
            f"expected at most max ({excerpt(high)}), found {excerpt(raw)}",
            "score",
        )


def _context_activities(activities: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for kind, value in activities.items():
        if isinstance(value, list):
            for index, activity in enumerate(value):
                yield (kind, index), _object(activity)
        else:
            yield (kind,), _object(value)


def _components(activity: dict[str, Any], at: Path) -> Iterable[RuleViolation]:
    definition = _object(activity.get("definition"))
    return _repeated(definition, at) if "interactionType" in definition else ()


def _repeated(definition: dict[str, Any], at: Path) -> Iterator[RuleViolation]:
    for kind in ("choices", "scale", "source", "target", "steps"):
        first: dict[str, int] = {}
        components = definition.get(kind)
        for index, component in enumerate(components if isinstance(components, list) else ()):
            name = _member(component, "id")
            if isinstance(name, str) and first.setdefault(name, index) != index:
                detail = f"expected a distinct id, found {excerpt(name)} again as in {first[name]}"
                yield (*at, "definition", kind, index, "id"), detail, "components"


def _track_rules(event: Any) -> Iterator[RuleViolation]:
    if isinstance(event, dict):
        yield from _dates(event, (), "event_date", "event_date")


def _no_rules(_value: Any) -> Iterable[RuleViolation]:
    return ()


# Text that PostgreSQL can store


def _storable(value: Any, text: bytes | None) -> bool:
    try:
        text = text or orjson.dumps(value)
    except TypeError:
        return False
    return b"\\" not in text or b"\\u0000" not in text  # one byte is faster to find than six


def _unstorable(value: Any) -> Iterator[RuleViolation]:
    """NUL characters and values nested too deep; iterative, for values of any depth."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict | list):
            if len(path) >= MAX_DEPTH:
                yield path, f"nested more than {MAX_DEPTH} levels deep", "Text: nesting"
                continue
            members = node.items() if isinstance(node, dict) else enumerate(node)
            stack.extend(((*path, name), child) for name, child in members)
        if isinstance(node, str) and "\0" in node:
            yield path, "the string contains a NUL character (U+0000)", "Text: no NUL character"
        if path and isinstance(path[-1], str) and "\0" in path[-1]:
            yield path, "the name contains a NUL character (U+0000)", "Text: no NUL character"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _number(value: Any) -> int | float | None:
    return value if type(value) in (int, float) else None
