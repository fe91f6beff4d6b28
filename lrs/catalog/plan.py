"""The plan of a catalog import: the outcome of each row, and what is to be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from lrs.catalog.rows import CONTENT_KINDS, PARENT_COLUMNS, ROWS
from lrs.errors import Violation
from lrs.imports.rows import Row, Values
from lrs.xapi import track_events
from lrs.xapi.validation_messages import excerpt

OutcomeKind = Literal["added", "changed", "removed", "unchanged", "refused"]

VersionKey = tuple[str, int]
"""The activity id of a track, and the number of its version; 0: without versions."""

ContentKey = tuple[str, int, str]
"""A version of a track, and the activity id of a content item in it."""

_REFERENCES = (*PARENT_COLUMNS, "track", "content")


class StoredContent(NamedTuple):
    """A stored content item; `catalog` has the columns of its row, None if it has none."""

    type: str | None
    catalog: Values | None


@dataclass(slots=True)
class StoredCatalog:
    """What is stored of the content items that the rows refer to, by activity id.

    `aliases` has the content items that names are aliases of: a row about one is about the other.
    """

    home_page: str
    aliases: dict[str, str] = field(default_factory=dict)
    contents: dict[str, StoredContent] = field(default_factory=dict)
    versions: dict[VersionKey, Values] = field(default_factory=dict)
    track_contents: dict[ContentKey, int | None] = field(default_factory=dict)

    def activity(self, name: str) -> str:
        """The activity id of the content item with this name."""
        activity = track_events.activity_id(name, self.home_page)
        return self.aliases.get(activity, activity)


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The outcome of a row; `changes` are the columns that change."""

    row: Row
    kind: OutcomeKind
    changes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(slots=True)
class CatalogPlan:
    """The outcome of each row, and what is to be written.

    contents          the columns of new and changed content items, by activity id
    versions          of tracks, to insert or update
    track_contents    positions of content items in tracks, to insert or update
    removed_versions, removed_contents  to delete
    """

    outcomes: list[RowOutcome] = field(default_factory=list)
    contents: dict[str, Values] = field(default_factory=dict)
    versions: dict[VersionKey, Values] = field(default_factory=dict)
    track_contents: dict[ContentKey, int | None] = field(default_factory=dict)
    removed_versions: list[VersionKey] = field(default_factory=list)
    removed_contents: list[ContentKey] = field(default_factory=list)

    @property
    def refused(self) -> list[RowOutcome]:
        """The outcomes of invalid rows; with any, nothing is to be written."""
        return [outcome for outcome in self.outcomes if outcome.kind == "refused"]


def activities(rows: Iterable[Row], home_page: str) -> set[str]:
    """The activity ids of all content items in these rows, which are valid."""
    return {
        track_events.activity_id(row.values[name], home_page)
        for row in rows
        for name in _REFERENCES
        if row.values.get(name)
    }


def make_plan(rows: Sequence[Row], stored: StoredCatalog) -> CatalogPlan:
    """The plan for importing these rows; nothing is to be written if one is refused."""
    resolved = {row.index: _resolved(row, stored) for row in rows if row.is_valid}
    invalid = {row.index: row.violations for row in rows if not row.is_valid}
    for row, violation in _violations(rows, resolved, stored):
        invalid[row.index] = (*invalid.get(row.index, ()), violation)
    plan = CatalogPlan()
    done: set[Any] = set()
    for row in rows:
        if row.index in invalid:
            plan.outcomes.append(RowOutcome(row, "refused", (), invalid[row.index]))
            continue
        values = resolved[row.index]
        key = _key(row.kind, values)
        if key in done:
            plan.outcomes.append(RowOutcome(row, "unchanged"))
            continue
        done.add(key)
        plan.outcomes.append(_plan_row(row, values, stored, plan))
    return plan


def _resolved(row: Row, stored: StoredCatalog) -> Values:
    """The columns with activity ids and JSON values."""
    return {
        name: stored.activity(value) if name in _REFERENCES and value else _json(value)
        for name, value in row.values.items()
    }


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value


def _key(kind: str, values: Values) -> Any:
    if kind in CONTENT_KINDS:
        return values["content"]
    if kind == "track_version":
        return (values["track"], values["version_number"])
    return (values["track"], values.get("version_number") or 0, values["content"])


def _violations(
    rows: Sequence[Row], resolved: Mapping[int, Values], stored: StoredCatalog
) -> Iterator[tuple[Row, Violation]]:
    valid = [row for row in rows if row.index in resolved]
    yield from _contradictions(valid, resolved)
    yield from _unresolved(valid, resolved, _types(rows, stored))
    yield from _version_violations(valid, resolved, stored)


def _types(rows: Iterable[Row], stored: StoredCatalog) -> dict[str, str | None]:
    """The types of stored content items and of those in rows, by activity id.

    The names of invalid rows count: one invalid row must not invalidate all rows that refer to it.
    """
    types = {activity: content.type for activity, content in stored.contents.items()}
    for row in rows:
        if row.kind in CONTENT_KINDS and (name := row.values.get("content")):
            types[stored.activity(str(name))] = row.kind
    return types


def _contradictions(
    rows: Iterable[Row], resolved: Mapping[int, Values]
) -> Iterator[tuple[Row, Violation]]:
    """Rows that differ from an earlier row with the same key."""
    first: dict[Any, Row] = {}
    for row in rows:
        earlier = first.setdefault(_key(row.kind, resolved[row.index]), row)
        names = {**row.values, **earlier.values}
        for name in names:
            if row.values.get(name) != earlier.values.get(name):
                detail = f"expected the same value as in {earlier.location}, which has the same key"
                yield row, _violation(row, name, detail)
                break


def _unresolved(
    rows: Iterable[Row], resolved: Mapping[int, Values], types: Mapping[str, str | None]
) -> Iterator[tuple[Row, Violation]]:
    """References to content items that are neither stored nor in a row, or of another type."""
    for row in rows:
        for column, expected in _expected_types(row):
            activity = resolved[row.index].get(column)
            if not activity or (activity in types and expected in (None, types[activity])):
                continue
            article = "an existing content item" if expected is None else f"a stored {expected}"
            detail = f"expected {article} or one of this import, found "
            yield row, _violation(row, column, detail + excerpt(row.values[column]))


def _version_violations(
    rows: Sequence[Row], resolved: Mapping[int, Values], stored: StoredCatalog
) -> Iterator[tuple[Row, Violation]]:
    """Content items of versions that do not exist, or of none where the track has versions."""
    versions = set(stored.versions)
    for row in rows:
        if row.kind == "track_version":
            values = resolved[row.index]
            change = versions.discard if values.get("removed") else versions.add
            change((values["track"], values["version_number"]))
    versioned = {track for track, _ in versions}
    for row in rows:
        values = resolved[row.index]
        if row.kind != "track_content" or values.get("removed"):
            continue
        number = values.get("version_number")
        if number is None and values["track"] in versioned:
            detail = "expected a version, because the track has versions, found no value"
            yield row, _violation(row, "version_number", detail)
        elif number is not None and (values["track"], number) not in versions:
            detail = f"expected a stored version or one of this import, found {number}"
            yield row, _violation(row, "version_number", detail)


def _expected_types(row: Row) -> Iterator[tuple[str, str | None]]:
    """The columns with references, and the type of content item that each expects."""
    if row.kind in CONTENT_KINDS:
        for column in PARENT_COLUMNS:
            yield column, column
    else:
        yield "track", "track"
        if row.kind == "track_content":
            yield "content", None


def _plan_row(row: Row, values: Values, stored: StoredCatalog, plan: CatalogPlan) -> RowOutcome:
    if row.kind in CONTENT_KINDS:
        return _plan_content(row, values, stored, plan)
    if row.kind == "track_version":
        return _plan_version(row, values, stored, plan)
    return _plan_track_content(row, values, stored, plan)


def _plan_content(row: Row, values: Values, stored: StoredCatalog, plan: CatalogPlan) -> RowOutcome:
    content = stored.contents.get(values["content"])
    before = content.catalog if content else None
    columns = ROWS.columns(row.kind)
    own = {name: value for name, value in (before or {}).items() if name in columns}
    after = {**own, **{name: value for name, value in values.items() if name != "content"}}
    after = {name: value for name, value in after.items() if value is not None}
    if before is None:
        plan.contents[values["content"]] = after
        return RowOutcome(row, "added")
    changes = tuple(
        name for name in {**after, **own} | {"type": None} if after.get(name) != before.get(name)
    )
    if not changes:
        return RowOutcome(row, "unchanged")
    plan.contents[values["content"]] = after
    return RowOutcome(row, "changed", changes)


def _plan_version(row: Row, values: Values, stored: StoredCatalog, plan: CatalogPlan) -> RowOutcome:
    key = (values["track"], values["version_number"])
    before = stored.versions.get(key)
    if values.get("removed"):
        if before is None:
            return RowOutcome(row, "unchanged")
        plan.removed_versions.append(key)
        return RowOutcome(row, "removed")
    imported = {
        name: value
        for name, value in values.items()
        if name not in ("type", "track", "version_number", "removed")
    }
    after = {**(before or {}), **imported}
    changes = tuple(name for name in imported if before and before.get(name) != after[name])
    if before is not None and not changes:
        return RowOutcome(row, "unchanged")
    plan.versions[key] = after
    return RowOutcome(row, "added" if before is None else "changed", changes)


def _plan_track_content(
    row: Row, values: Values, stored: StoredCatalog, plan: CatalogPlan
) -> RowOutcome:
    key = (values["track"], values.get("version_number") or 0, values["content"])
    exists = key in stored.track_contents
    if values.get("removed"):
        if not exists:
            return RowOutcome(row, "unchanged")
        plan.removed_contents.append(key)
        return RowOutcome(row, "removed")
    before = stored.track_contents.get(key)
    position = values.get("position", before)
    if exists and position == before:
        return RowOutcome(row, "unchanged")
    plan.track_contents[key] = position
    return RowOutcome(row, "changed" if exists else "added", ("position",) if exists else ())


def _violation(row: Row, column: str, detail: str) -> Violation:
    return Violation(f"/{column}", detail, f"Catalog: {row.kind}.{column}")
