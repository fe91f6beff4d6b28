"""What is wrong with rows of an import beside others, and beside what is known.

Everything goes by the operator's own names, so that a row may speak of what another one adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lrs.errors import Violation
from lrs.people.identifier_assignments import IdentifierOwner, duplicates, identifier_assignments
from lrs.people.rows import Row, Values, columns
from lrs.xapi.validation_messages import excerpt

NAME_COLUMNS = {"user": "user", "group": "organization", "team": "team", "assignment": "assignment"}
"""The column by which each kind of thing goes."""

Key = tuple[Any, ...]

MembershipKey = tuple[str, str | None, str | None, date]
"""A user, a team or else an organization, and the first day."""


@dataclass(slots=True)
class StoredPeople:
    """What is known of whom and what the rows name; `things` by kind and name."""

    home_page: str
    things: dict[str, dict[str, Values]] = field(
        default_factory=lambda: {kind: {} for kind in NAME_COLUMNS}
    )
    person_ids: dict[str, int] = field(default_factory=dict)
    memberships: dict[MembershipKey, date | None] = field(default_factory=dict)
    holders: dict[int, IdentifierOwner] = field(default_factory=dict)


def referenced_names(rows: Iterable[Row]) -> dict[str, set[str]]:
    """The names of all things that rows are about or speak of, by kind."""
    found: dict[str, set[str]] = {kind: set() for kind in NAME_COLUMNS}
    for row in rows:
        if row.kind in NAME_COLUMNS:
            found[row.kind].add(row.values[NAME_COLUMNS[row.kind]])
        for _, kind, name in _references(row):
            found[kind].add(name)
    return found


def membership_key(row: Row) -> MembershipKey:
    """What a membership goes by."""
    values = row.values
    return values["user"], values.get("team"), values.get("organization"), values["from"]


def membership_end(row: Row, known: StoredPeople) -> date | None:
    """The day from which on a membership is over, if it ever is."""
    if "to" not in row.values:
        return known.memberships.get(membership_key(row))
    day: date | None = row.values["to"]
    return day


def without_repeats(rows: Iterable[Row]) -> list[Row]:
    """The rows without those that are about the same as one before them."""
    found: dict[Key, Row] = {}
    for row in rows:
        found.setdefault(_key(row), row)
    return list(found.values())


def violations(rows: Sequence[Row], known: StoredPeople) -> dict[int, tuple[Violation, ...]]:
    """What is wrong with rows, by their index: with each by itself, or else beside others."""
    wrong = {row.index: row.violations for row in rows if not row.is_valid}
    names = {kind: {*things} for kind, things in known.things.items()}
    for row in rows:
        if row.kind in NAME_COLUMNS and isinstance(
            name := row.values.get(NAME_COLUMNS[row.kind]), str
        ):
            names[row.kind].add(name)
    good = [row for row in rows if row.is_valid]
    claims = identifier_assignments(good, known.home_page)
    for row, violation in (
        *_contradictions(good),
        *_unresolved(good, names),
        *duplicates(claims),
        *_overlaps(good, known),
    ):
        wrong[row.index] = (*wrong.get(row.index, ()), violation)
    return wrong


def _contradictions(rows: Iterable[Row]) -> Iterator[tuple[Row, Violation]]:
    """Rows that say something else of a thing than another row."""
    found: dict[Key, Row] = {}
    for row in rows:
        first = found.setdefault(_key(row), row)
        given, other = row.values, first.values
        differing = [name for name in {**given, **other} if _differ(given, other, name)]
        if differing:
            detail = f"expected no other than in {first.location}, which is about the same"
            yield row, _violation(row, differing[0], detail)


def _differ(given: Values, other: Values, name: str) -> bool:
    return name not in given or name not in other or given[name] != other[name]


def _key(row: Row) -> Key:
    if row.kind in NAME_COLUMNS:
        return row.kind, row.values[NAME_COLUMNS[row.kind]]
    if row.kind == "membership":
        return row.kind, *membership_key(row)
    return row.kind, *(row.values.get(name) for name in columns(row.kind))


def _references(row: Row) -> Iterator[tuple[str, str, str]]:
    """What a row speaks of: a column, a kind of thing and its name."""
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
    """Rows that speak of something that is neither known nor has a row."""
    for row in rows:
        for column, kind, name in _references(row):
            if name not in names[kind]:
                detail = f"expected a {kind} that is known or has a row, found {excerpt(name)}"
                yield row, _violation(row, column, detail)


def _overlaps(rows: Iterable[Row], known: StoredPeople) -> Iterator[tuple[Row, Violation]]:
    """Memberships that last on a day on which another one of the same lasts."""
    given = {membership_key(row): row for row in rows if row.kind == "membership"}
    lasting = known.memberships | {each: membership_end(row, known) for each, row in given.items()}
    spans: dict[Key, list[tuple[date, date]]] = {each[:3]: [] for each in given}
    for each, last in lasting.items():
        if each[:3] in spans and last != each[3]:
            spans[each[:3]].append((each[3], last or date.max))
    for who, found in spans.items():
        longest = (date.min, date.min)
        for span in sorted(found):
            if span[0] < longest[1]:
                later = given.get((*who, span[0]))
                row = later or given.get((*who, longest[0]))
                if row:
                    yield row, _violation(row, "from", _lasting(longest if later else span))
            longest = max(longest, span, key=lambda each: each[1])


def _lasting(span: tuple[date, date]) -> str:
    until = "on" if span[1] == date.max else f"to {span[1]}"
    return f"expected no day of another membership of the same, which lasts from {span[0]} {until}"


def _violation(row: Row, column: str, detail: str) -> Violation:
    return Violation(f"/{column}", detail, f"People: {row.kind}.{column}")
