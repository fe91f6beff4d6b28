"""Checks of import rows against each other and against the stored people.

Rows refer to users, groups, teams and assignments by name; the entity may be stored or be added by
another row of the same import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lrs.errors import Violation
from lrs.imports.rows import Row, Values
from lrs.people.identifier_assignments import IdentifierOwner, assigned_identifiers, duplicates
from lrs.people.rows import ROWS
from lrs.xapi.validation_messages import excerpt

NAME_COLUMNS = {
    "user": "user",
    "group": "organization",
    "team": "team",
    "assignment": "assignment",
}
"""The column with the name of an entity, by kind of row; rows of other kinds have no name."""

Key = tuple[Any, ...]

MembershipKey = tuple[str, str | None, str | None, date]
"""The user, the team or else the organization, and the first day."""

Period = tuple[date, date]
"""The first day of a membership, and the first day after it."""


@dataclass(slots=True)
class StoredPeople:
    """What is stored of the entities that the rows of an import refer to.

    home_page    base URL for the partner's own ids
    entities     columns by kind and name
    person_ids   by the name of the user
    memberships  the first day after the membership, None without an end
    owners       by agent key
    folds_case   whether addresses that differ in letter case only are one
    """

    home_page: str
    folds_case: bool = True
    entities: dict[str, dict[str, Values]] = field(
        default_factory=lambda: {kind: {} for kind in NAME_COLUMNS}
    )
    person_ids: dict[str, int] = field(default_factory=dict)
    memberships: dict[MembershipKey, date | None] = field(default_factory=dict)
    owners: dict[int, IdentifierOwner] = field(default_factory=dict)


def referenced_names(rows: Iterable[Row]) -> dict[str, set[str]]:
    """The names of all entities in these rows, by kind; the rows are valid."""
    names: dict[str, set[str]] = {kind: set() for kind in NAME_COLUMNS}
    for row in rows:
        if row.kind in NAME_COLUMNS:
            names[row.kind].add(row.values[NAME_COLUMNS[row.kind]])
        for _, kind, name in _references(row):
            names[kind].add(name)
    return names


def membership_key(row: Row) -> MembershipKey:
    """The key of a membership row."""
    values = row.values
    return values["user"], values.get("team"), values.get("organization"), values["from"]


def membership_end(row: Row, stored: StoredPeople) -> date | None:
    """The first day after the membership; without the column, the stored one."""
    if "to" not in row.values:
        return stored.memberships.get(membership_key(row))
    day: date | None = row.values["to"]
    return day


def without_repeats(rows: Iterable[Row]) -> list[Row]:
    """The first row of each key; the rows are valid."""
    first: dict[Key, Row] = {}
    for row in rows:
        first.setdefault(_key(row), row)
    return list(first.values())


def violations(rows: Sequence[Row], stored: StoredPeople) -> dict[int, tuple[Violation, ...]]:
    """The violations of invalid rows by index: of a row alone, else beside the other rows."""
    invalid = {row.index: row.violations for row in rows if not row.is_valid}
    valid = [row for row in rows if row.is_valid]
    for row, violation in (
        *_contradictions(valid),
        *_unresolved(valid, _available_names(rows, stored)),
        *duplicates(assigned_identifiers(valid, stored.home_page, folds_case=stored.folds_case)),
        *_overlaps(valid, stored),
    ):
        invalid[row.index] = (*invalid.get(row.index, ()), violation)
    return invalid


def _available_names(rows: Iterable[Row], stored: StoredPeople) -> dict[str, set[str]]:
    """Names of stored entities and of rows, by kind.

    The names of invalid rows count: one invalid row must not invalidate all rows that refer to it.
    """
    names = {kind: {*entities} for kind, entities in stored.entities.items()}
    for row in rows:
        if row.kind in NAME_COLUMNS:
            name = row.values.get(NAME_COLUMNS[row.kind])
            if isinstance(name, str):
                names[row.kind].add(name)
    return names


def _contradictions(rows: Iterable[Row]) -> Iterator[tuple[Row, Violation]]:
    """Rows that differ from an earlier row with the same key."""
    first_rows: dict[Key, Row] = {}
    for row in rows:
        first = first_rows.setdefault(_key(row), row)
        column = next((name for name in _columns_of(row, first) if _differ(row, first, name)), None)
        if column is not None:
            detail = f"expected the same value as in {first.location}, which has the same key"
            yield row, _violation(row, column, detail)


def _columns_of(row: Row, other: Row) -> Iterable[str]:
    return {**row.values, **other.values}


def _differ(row: Row, other: Row, name: str) -> bool:
    if name not in row.values or name not in other.values:
        return True
    return bool(row.values[name] != other.values[name])


def _key(row: Row) -> Key:
    if row.kind in NAME_COLUMNS:
        return row.kind, row.values[NAME_COLUMNS[row.kind]]
    if row.kind == "membership":
        return row.kind, *membership_key(row)
    return row.kind, *(row.values.get(name) for name in ROWS.columns(row.kind))


def _references(row: Row) -> Iterator[tuple[str, str, str]]:
    """The references of a row: the column, the kind of entity and its name."""
    kinds = {"organization": "group", "created_by": "user", "user": "user", "team": "team"}
    if row.kind == "assignment":
        kinds["assignee"] = row.values["assignee_type"]
    for column, kind in kinds.items():
        name = row.values.get(column)
        if name is not None and NAME_COLUMNS.get(row.kind) != column:
            yield column, kind, name


def _unresolved(
    rows: Iterable[Row], names: Mapping[str, set[str]]
) -> Iterator[tuple[Row, Violation]]:
    """References to entities that are neither stored nor in a row."""
    for row in rows:
        for column, kind, name in _references(row):
            if name not in names[kind]:
                detail = f"expected an existing {kind} or one of this import, found {excerpt(name)}"
                yield row, _violation(row, column, detail)


def _overlaps(rows: Iterable[Row], stored: StoredPeople) -> Iterator[tuple[Row, Violation]]:
    """Memberships that overlap another membership in the same team or organization."""
    row_of = {membership_key(row): row for row in rows if row.kind == "membership"}
    ends = stored.memberships | {key: membership_end(row, stored) for key, row in row_of.items()}
    periods: dict[Key, list[Period]] = {key[:3]: [] for key in row_of}
    for key, end in ends.items():
        member, start = key[:3], key[3]
        if member in periods and end != start:  # a membership without a day is deleted
            periods[member].append((start, end or date.max))
    for member, member_periods in periods.items():
        latest = (date.min, date.min)
        for period in sorted(member_periods):
            if period[0] < latest[1]:
                later = row_of.get((*member, period[0]))
                row = later or row_of.get((*member, latest[0]))
                if row:
                    yield row, _violation(row, "from", _overlap(latest if later else period))
            latest = max(latest, period, key=lambda period: period[1])


def _overlap(other: Period) -> str:
    end = "without an end" if other[1] == date.max else f"to {other[1]}"
    return f"expected no overlap with the same user's membership from {other[0]} {end}"


def _violation(row: Row, column: str, detail: str) -> Violation:
    return Violation(f"/{column}", detail, f"People: {row.kind}.{column}")
